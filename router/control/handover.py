"""Taking the place of a controller that runs: it is told to go, and leaves its workers behind.

Floor 4. Who it is stands in the lock file of the journal. A pid alone could be anybody's, in another container say,
so the process has to have that file open as well.
"""

import logging
import os
import select
import signal
from contextlib import suppress
from pathlib import Path

from router.errors import RouterError

PATIENCE = 15.0
"""Seconds the other controller has to bring its journal up to date and leave."""

_log = logging.getLogger(__name__)


def take_over(state: Path) -> None:
    """Has the controller that holds the journal at this path leave with SIGUSR2, and waits until it is gone. Blocks.

    Where none runs there is nothing to do. Raises RouterError when it does not go.
    """
    holder = holder_of(state)
    if holder is None:
        _log.info("no controller to take over from: starting as usual")
        return
    try:
        pidfd = os.pidfd_open(holder)
    except ProcessLookupError:
        return
    except (AttributeError, OSError) as error:
        raise RouterError(
            f"the controller (pid {holder}) can't be watched: {error}; stop it first"
        ) from error
    try:
        _log.info("taking over from the controller with pid %d", holder)
        signal.pidfd_send_signal(pidfd, signal.SIGUSR2)
        if not select.select([pidfd], [], [], PATIENCE)[0]:
            raise RouterError(
                f"the controller (pid {holder}) did not leave within {PATIENCE:g} s: its log says why"
            )
    except OSError as error:
        raise RouterError(
            f"the controller (pid {holder}) can't be told to leave: {error.strerror}"
        ) from error
    finally:
        os.close(pidfd)


def holder_of(state: Path) -> int | None:
    """The pid of the process that has the lock file of this journal open and wrote its number into it."""
    lock = state.with_name(state.name + ".lock")
    try:
        pid = int(lock.read_text())
        wanted = lock.stat()
    except (OSError, ValueError):
        return None
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found = descriptor.stat()
                if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                    return pid
    return None
