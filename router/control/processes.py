"""A process as the one who may have to kill it sees it: a pid that can't be mistaken for another's.

Floor 4. Nothing here kills a process when the controller itself goes away: workers must outlive it.
"""

import asyncio
import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

_POLL = 0.02
"""Seconds between looks at a process where the kernel has no pidfd."""

_STDERR = 2
_UCRED = struct.Struct("3i")


class Process(Protocol):
    """What the supervisor needs of a process."""

    @property
    def pid(self) -> int: ...

    def kill(self) -> None:
        """SIGKILL; nothing if the process has been seen to end."""

    async def wait(self) -> str:
        """Returns when the process has ended, with how it did (`exit status 1`, `killed by SIGKILL`).

        To be awaited once."""


class Child:
    """A process this one started, in a session of its own: a Ctrl-C on the terminal does not reach it."""

    def __init__(
        self, command: Sequence[str], pass_fds: Sequence[int], environ: Mapping[str, str] | None = None
    ) -> None:
        # Standard output stays this process's own: whoever reads it to its end must not have to wait for
        # workers that outlive it.
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=_STDERR,
            pass_fds=pass_fds,
            env=environ,
            start_new_session=True,
        )
        self._pidfd = _open_pidfd(self._popen.pid)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def kill(self) -> None:
        self._popen.kill()

    async def wait(self) -> str:
        await _ended(self._pidfd, lambda: self._popen.poll() is not None)
        code = self._popen.wait()
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


class Stranger:
    """A process another one started, found at the far end of a Unix socket.

    Create it while that connection is known to be alive: only then is the pid certainly still its own.
    """

    def __init__(self, peer: socket.socket) -> None:
        self._pid: int = _UCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[0]
        self._pidfd = _open_pidfd(self._pid)
        self._gone = False

    @property
    def pid(self) -> int:
        return self._pid

    def kill(self) -> None:
        if self._gone:
            return
        with contextlib.suppress(ProcessLookupError):
            if self._pidfd is None:
                os.kill(self._pid, signal.SIGKILL)
            else:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def wait(self) -> str:
        await _ended(self._pidfd, lambda: not _exists(self._pid))
        self._gone = True
        return "it was not started by this controller, so its exit status is unknown"

    def end(self, patience: float) -> None:
        """Kills the process and blocks until it is gone, `patience` seconds at most; instead of `wait`."""
        self.kill()
        self._gone = True
        if self._pidfd is not None:
            select.select([self._pidfd], [], [], patience)
            os.close(self._pidfd)


def _open_pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def _ended(pidfd: int | None, gone: Callable[[], bool]) -> None:
    if pidfd is None:
        # A kernel without pidfd has no event to wait for.
        while not gone():
            await asyncio.sleep(_POLL)
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(pidfd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
