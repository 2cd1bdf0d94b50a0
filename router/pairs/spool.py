"""Where captures lie until their pairs are written, so that killing the recorder loses none of them; and where
records lie until a sink has delivered them (`pairs.sinks.backlog`).

A segment is a file of frames as they came over the channel, written without a buffer: what `append` took is in
the kernel's hands and survives the death of this process (not a power cut; the pair log is the durable record).
A segment is deleted once every capture in it is released. Its writer holds a lock on it all the while, so that
a segment nobody holds is one that a dead recorder left behind.

    <pairs.path>/.spool/<start in ns>-<pid>-<number>.spool
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from router.channel import Capture, FrameReader

DIRECTORY = ".spool"
_SUFFIX = ".spool"
_CHUNK = 1 << 20

MAX_AGE = 10.0
"""Seconds after which a segment is left for another: what is done in it must not wait for it to fill."""


class SpoolFull(Exception):
    """The spool is at its limit; the capture was not taken."""


class Segment:
    """One file of the spool; `pending` are the captures in it that are not released, `since` is when it was first
    seen with anything in it (`Spool.tidy`)."""

    __slots__ = ("fd", "path", "pending", "since", "size")

    def __init__(self, path: Path, fd: int, size: int = 0) -> None:
        self.path = path
        self.fd = fd
        self.size = size
        self.pending = 0
        self.since: float | None = None


class Spool:
    """Appends to segments of `segment_size` bytes, at most `limit` bytes in all, in the directory `name`."""

    def __init__(
        self,
        pairs_path: Path,
        name: str = DIRECTORY,
        *,
        limit: int = 512 << 20,
        segment_size: int = 4 << 20,
    ) -> None:
        self._name = name
        self._directory = pairs_path / name
        self._limit = limit
        self._segment_size = segment_size
        self._current: Segment | None = None
        self._count = 0
        self.size = 0

    def append(self, frame: bytes) -> Segment:
        """Keeps the frame; returns the segment to release it from. Raises SpoolFull or OSError."""
        if self.size + len(frame) > self._limit:
            raise SpoolFull
        segment = self._current
        if segment is None or segment.size >= self._segment_size:
            segment = self._next()
        written = os.write(segment.fd, frame)
        if written < len(frame):
            os.ftruncate(segment.fd, segment.size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        segment.size += written
        segment.pending += 1
        self.size += written
        return segment

    def release(self, segment: Segment) -> None:
        """One capture of this segment needs no keeping any more."""
        segment.pending -= 1
        if segment.pending == 0:
            self._settle(segment)

    def leftovers(self) -> list[Segment]:
        """Takes over what dead recorders left, oldest first."""
        try:
            paths = sorted(self._directory.glob(f"*{_SUFFIX}"))
        except OSError:
            return []
        found = [segment for path in paths if (segment := _adopt(path)) is not None]
        self.size += sum(segment.size for segment in found)
        return found

    def close(self) -> None:
        """Lets go of the current segment; what is pending stays for the next recorder."""
        segment, self._current = self._current, None
        if segment is not None:
            self._settle(segment)

    def seal(self) -> list[Path]:
        """Begins another segment with the next capture; the files that are there now, and go once all that is in
        them is released."""
        self.close()
        return sorted(self._directory.glob(f"*{_SUFFIX}"))

    def tidy(self, now: float) -> None:
        """Keeps what is done from lying here for long, also when little comes; `now` in seconds, monotonic."""
        self.empty()
        segment = self._current
        if segment is None or not segment.size:
            return
        if segment.since is None:
            segment.since = now
        elif now - segment.since >= MAX_AGE:
            self.close()

    def empty(self) -> None:
        """Empties the current segment if nothing in it is pending."""
        segment = self._current
        if segment is not None and segment.size and not segment.pending:
            self._truncate(segment)

    def move(self, pairs_path: Path) -> None:
        """Begins further segments under another root; those here live until their captures are released."""
        self.close()
        self._directory = pairs_path / self._name

    def _next(self) -> Segment:
        previous = self._current
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._count += 1
        path = self._directory / f"{time.time_ns()}-{os.getpid()}-{self._count}{_SUFFIX}"
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another recorder that starts now took it for a leftover; it will delete it
            os.close(fd)
            raise
        self._current = Segment(path, fd)
        if previous is not None and previous.pending == 0:
            self._settle(previous)
        return self._current

    def _settle(self, segment: Segment) -> None:
        """Empties the segment when nothing in it is pending; deletes it unless it is the current one."""
        if segment.pending:
            return
        if segment is self._current:
            # Truncating at every release would double the cost of a quiet moment.
            if segment.size >= self._segment_size // 16:
                self._truncate(segment)
            return
        segment.path.unlink(missing_ok=True)
        os.close(segment.fd)
        self.size -= segment.size

    def _truncate(self, segment: Segment) -> None:
        os.ftruncate(segment.fd, 0)
        self.size -= segment.size
        segment.size, segment.since = 0, None


def captures(segment: Segment) -> Iterator[Capture]:
    """The captures of a segment, in order; ends at a torn or broken frame."""
    reader = FrameReader()
    with segment.path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            try:
                frames = reader.feed(chunk)
            except ValueError:
                return
            yield from (frame for frame in frames if isinstance(frame, Capture))


def started(segment: Segment) -> float:
    """When the segment was begun, in seconds since the epoch; 0 when its name does not say."""
    text = segment.path.name.partition("-")[0]
    return int(text) / 1e9 if text.isdigit() else 0.0


def _adopt(path: Path) -> Segment | None:
    """The segment, when no living recorder holds it."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(fd)
    except OSError:
        os.close(fd)
        return None
    if status.st_nlink == 0:  # its owner finished it between our look and our lock
        os.close(fd)
        return None
    return Segment(path, fd, status.st_size)
