"""What workers that have ended had counted, kept for the next controller.

Floor 4. Workers tell a new controller all that they count themselves; what those before them had counted is known to
the controller alone. Without these files it would be lost with a controller that is killed, and totals would go
backwards while the router, to its clients, never stopped. A worker that leaves puts its last counts into a file of its
own, whether somebody listens or not; the controller adds them to one file for all that ended, which names those whose
own file it has counted in: whatever moment a controller dies in, every count is in exactly one of them. They lie in
the runtime directory: a start that finds no worker of an earlier controller begins at 0.
"""

import asyncio
import logging
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from router.channel import Ended, Frame, Tally, keep, kept
from router.control.runtime import RuntimeDirectory
from router.telemetry.ledger import Ledger

_log = logging.getLogger(__name__)
_F = TypeVar("_F", bound=Frame)


class KeptCounts:
    """The files, and what of the ledger's is not in them yet."""

    def __init__(self, runtime: RuntimeDirectory, ledger: Ledger) -> None:
        self._runtime = runtime
        self._ledger = ledger
        self._unkept: set[str] = set()  # those that ended, and are not in the file for all
        self._writing = asyncio.Lock()

    def resume(self, living: Collection[str]) -> None:
        """Counts in what workers of an earlier controller had counted that have ended; the `living` ones, by name,
        tell theirs themselves. With none of them, all begins at 0."""
        if not living:
            self.clear()
            return
        ended = _read(self._runtime.counts, Ended) or Ended(Tally((), ()), ())
        self._ledger.restore(ended.counts)
        for path in self._runtime.last_counts():
            if path.stem in ended.workers:
                path.unlink(missing_ok=True)
            elif path.stem not in living and (last := _read(path, Tally)) is not None:
                self._ledger.restore(last)
                self._unkept.add(path.stem)

    def gone(self, name: str) -> None:
        """This process has ended. What it left in its file is all that it had counted, told or not."""
        last = _read(self._runtime.last_counts_of(name), Tally)
        if last is not None:
            self._ledger.tally(name, last)
        self._ledger.gone(name)
        self._unkept.add(name)

    async def keep(self) -> None:
        """Until the counts of all that ended are kept. In a thread: nobody's successor waits for a disk."""
        if self._writing.locked():
            return  # whoever writes looks once more
        async with self._writing:
            while self._unkept:
                names = frozenset(self._unkept)
                try:
                    await asyncio.to_thread(self._write, self._ledger.ended(), names)
                except OSError as error:
                    # With the next one that ends it is tried again; their own files are still there.
                    _log.warning("what ended workers had counted can't be kept for the next start: %s", error)
                    return
                self._unkept -= names

    def _write(self, counts: Tally, names: frozenset[str]) -> None:
        keep(self._runtime.counts, Ended(counts, tuple(names)))
        for name in names:
            self._runtime.last_counts_of(name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Nothing is kept any more."""
        for path in (self._runtime.counts, *self._runtime.last_counts()):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _read(path: Path, kind: type[_F]) -> _F | None:
    """None where there is nothing, or nothing that can be read."""
    try:
        frame = kept(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.warning("what ended workers had counted can't be read, and is in no total: %s", error)
        return None
    return frame if isinstance(frame, kind) else None
