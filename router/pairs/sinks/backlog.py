"""The records that wait for one receiver: in order, bounded, and on disk as well as in memory.

Pure but for the spool it is given. What lies in the spool survives kill -9 of the recorder; the next recorder
takes it up, so a record may be delivered twice, and none that was taken in is lost. Where the disk refuses, a
record waits in memory alone.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from router.pairs.spool import Segment, Spool, SpoolFull, started


class Waiting(NamedTuple):
    """A record, when it came (seconds, monotonic), and its place on disk, if it has one."""

    record: bytes
    since: float
    place: Segment | None


class Backlog:
    """At most `limit` bytes of records; what comes beyond is refused."""

    def __init__(self, spool: Spool, limit: int) -> None:
        self._spool = spool
        self._records: deque[Waiting] = deque()
        self.limit = limit
        self.size = 0

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: bytes, now: float) -> bool:
        """Takes the record in, unless it is over the limit; says whether."""
        if self.size + len(record) > self.limit:
            return False
        try:
            place = self._spool.append(record)
        except (OSError, SpoolFull):
            place = None
        self._keep(record, now, place)
        return True

    def recover(self, now: float, wall: float) -> int:
        """Takes up what a dead recorder left; returns how many records of it are over the limit, and gone.

        `wall` is the same moment as `now`, in seconds since the epoch.
        """
        lost = 0
        for segment in self._spool.leftovers():
            segment.pending += 1  # holds the file while it is read
            since = now - max(0.0, wall - started(segment))
            for record in segment.path.read_bytes().splitlines(keepends=True):
                if not record.endswith(b"\n"):
                    continue
                if self.size + len(record) > self.limit:
                    lost += 1
                    continue
                segment.pending += 1
                self._keep(record, since, segment)
            self._spool.release(segment)
        return lost

    @property
    def oldest(self) -> float | None:
        """When the first record that waits came in."""
        return self._records[0].since if self._records else None

    def head(self, records: int, size: int) -> list[bytes]:
        """The first records: at most so many and of so many bytes, but at least one where any waits."""
        found: list[bytes] = []
        for waiting in self._records:
            size -= len(waiting.record)
            if found and (len(found) == records or size < 0):
                break
            found.append(waiting.record)
        return found

    def drop(self, count: int) -> None:
        """The first `count` records need no keeping any more."""
        for _ in range(count):
            record, _, place = self._records.popleft()
            self.size -= len(record)
            if place is not None:
                self._spool.release(place)
        if not self._records:
            self._spool.empty()

    def forget(self, wanted: Callable[[bytes], bool]) -> int:
        """Drops the records that are wanted and writes the others anew, so that the disk has none of them either."""
        kept = [waiting for waiting in self._records if not wanted(waiting.record)]
        count = len(self._records) - len(kept)
        if count:
            self._spool.close()
            self.drop(len(self._records))
            for record, since, _ in kept:
                self.add(record, since)
        return count

    def move(self, pairs_path: Path) -> None:
        """Keeps further records under another root."""
        self._spool.move(pairs_path)

    def close(self) -> None:
        """Lets go of the disk; what waits there stays for the next recorder."""
        self._spool.close()

    def _keep(self, record: bytes, now: float, place: Segment | None) -> None:
        self._records.append(Waiting(record, now, place))
        self.size += len(record)
