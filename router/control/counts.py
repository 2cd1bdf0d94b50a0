"""What workers that have ended had counted, kept for the next controller.

Floor 4. Workers tell a new controller all that they count themselves; what those before them had counted is known to
the controller alone. Without this file it would be lost with a controller that is killed, and totals would go
backwards while the router, to its clients, never stopped. It lies in the runtime directory: a start that finds no
worker of an earlier controller begins at 0.
"""

import logging
import os
from contextlib import suppress
from pathlib import Path

from router.channel import FrameReader, Tally, encode

_log = logging.getLogger(__name__)


class KeptCounts:
    """One file, written as a whole or not at all. It survives the death of processes; that of the machine ends the
    workers as well, so nothing is synced."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, tally: Tally) -> None:
        """Keeps these in the place of those before. A disk that takes nothing costs exactness and is logged."""
        new = self._path.with_suffix(".new")
        try:
            new.write_bytes(encode(tally))
            os.replace(new, self._path)
        except OSError as error:
            _log.warning("a controller after this one will count too little: %s", error)
            with suppress(OSError):
                new.unlink()

    def read(self) -> Tally | None:
        """What was kept; None where there is nothing, or nothing that can be read."""
        try:
            frames = FrameReader().feed(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _log.warning("what ended workers had counted can't be read, totals begin anew: %s", error)
            return None
        return frames[0] if len(frames) == 1 and isinstance(frames[0], Tally) else None

    def clear(self) -> None:
        """Nothing is kept any more."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
