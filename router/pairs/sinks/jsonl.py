"""Writes pairs as JSON lines: one directory for each deployment, segments rotated, packed and expired.

A batch goes to the file in one write and is taken back when only part of it fits. A file is never continued by
another process: after a crash the torn last line stays where it is and a new segment begins. The writer holds a
lock on its segment, so that one nobody holds may be packed.
"""

import errno
import fcntl
import os
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import zstandard

from router.pairs.segments import PACKED, PLAIN, deployments, segments, stem

_COPY = 1 << 20


class _Segment:
    __slots__ = ("dirty", "fd", "opened", "path", "size")

    def __init__(self, path: Path, fd: int, opened: float) -> None:
        self.path = path
        self.fd = fd
        self.opened = opened
        self.size = 0
        self.dirty = False


class JsonlSink:
    """The pair log under `path`. `rotate_size` in bytes, `rotate_every` in seconds.

    `write` and `rotate` belong to one thread, `settle` and `take_ended` to another: a segment's descriptor is
    closed only by `settle`.
    """

    def __init__(self, path: Path, rotate_size: int, rotate_every: float) -> None:
        self._path = path
        self.rotate_size = rotate_size
        self.rotate_every = rotate_every
        self._open: dict[str, _Segment] = {}
        self._ending: deque[_Segment] = deque()
        self._ended: deque[Path] = deque()

    def write(self, deployment: str, lines: list[bytes], now: float) -> None:
        """Appends the lines, all or none. Raises OSError; the next call tries afresh."""
        data = b"".join(lines)
        segment = self._open.get(deployment)
        if segment is not None and (
            (segment.size and segment.size + len(data) > self.rotate_size)
            or os.fstat(segment.fd).st_nlink == 0  # somebody removed the file under us
        ):
            self._end(deployment)
            segment = None
        if segment is None:
            segment = self._open[deployment] = self._begin(deployment, now)
        written = os.write(segment.fd, data)
        if written < len(data):
            self._take_back(deployment, segment)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        segment.size += written
        segment.dirty = True

    def move(self, path: Path) -> None:
        """Ends every segment and writes under another root from now on."""
        for deployment in list(self._open):
            self._end(deployment)
        self._path = path

    def end(self, deployment: str) -> None:
        """Ends the segment of one deployment; `settle` closes it."""
        if deployment in self._open:
            self._end(deployment)

    def rotate(self, now: float) -> None:
        """Ends the segments that are open for longer than `rotate_every`."""
        for deployment, segment in list(self._open.items()):
            if now - segment.opened >= self.rotate_every:
                self._end(deployment)

    def settle(self) -> None:
        """Makes everything written durable and closes the ended segments. Raises the first OSError, at the end."""
        failure: OSError | None = None
        for segment in list(self._open.values()):
            failure = _sync(segment) or failure
        while self._ending:
            segment = self._ending.popleft()
            failure = _sync(segment) or failure
            os.close(segment.fd)
            if segment.size:
                self._ended.append(segment.path)
            else:
                segment.path.unlink(missing_ok=True)
        if failure is not None:
            raise failure

    def take_ended(self) -> list[Path]:
        """The segments that were ended and settled since the last call, for packing."""
        return [self._ended.popleft() for _ in range(len(self._ended))]

    def close(self) -> None:
        """Ends and settles every segment. Raises OSError."""
        for deployment in list(self._open):
            self._end(deployment)
        self.settle()

    def _take_back(self, deployment: str, segment: _Segment) -> None:
        try:
            os.ftruncate(segment.fd, segment.size)
        except OSError:  # a torn line stays: nothing may follow it
            self._end(deployment)

    def _end(self, deployment: str) -> None:
        self._ending.append(self._open.pop(deployment))

    def _begin(self, deployment: str, now: float) -> _Segment:
        directory = self._path / deployment
        directory.mkdir(parents=True, exist_ok=True)
        start = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        for number in range(1, 1_000_000):
            path = directory / f"{start}-{number:06}{PLAIN}"
            if path.with_name(stem(path.name) + PACKED).exists():
                continue
            try:
                fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o640)
            except FileExistsError:
                continue
            if _lock(fd):
                return _Segment(path, fd, now)
            os.close(fd)  # another recorder that starts now took it for abandoned
        raise FileExistsError(errno.EEXIST, "too many segments begun in one second", str(directory))


def _sync(segment: _Segment) -> OSError | None:
    if not segment.dirty:
        return None
    segment.dirty = False
    try:
        os.fsync(segment.fd)
    except OSError as error:
        return error
    return None


def pack(path: Path) -> None:
    """Compresses an ended segment and removes the plain file. Raises OSError and leaves the plain file then.

    The packed file keeps the time of the last write: retention counts from there. Nothing happens when the
    segment is gone, or somebody still writes or already packs it.
    """
    target = path.with_name(stem(path.name) + PACKED)
    scratch = path.with_name(f".{target.name}.{os.getpid()}")
    try:
        source = path.open("rb")
    except FileNotFoundError:
        return
    with source:
        if not _lock(source.fileno()):
            return
        try:
            _compress(source, scratch)
            os.replace(scratch, target)
        except OSError:
            scratch.unlink(missing_ok=True)
            raise
        path.unlink(missing_ok=True)


def _compress(source: BinaryIO, scratch: Path) -> None:
    status = os.fstat(source.fileno())
    with scratch.open("wb") as out:
        os.fchmod(out.fileno(), 0o640)
        zstandard.ZstdCompressor(level=3).copy_stream(source, out, read_size=_COPY)
        out.flush()
        os.fsync(out.fileno())
    os.utime(scratch, ns=(status.st_atime_ns, status.st_mtime_ns))


def abandoned(path: Path) -> list[Path]:
    """The plain segments under the pair log's root that no living process writes, oldest first.

    Clears away what an interrupted packing left.
    """
    found = []
    for directory in deployments(path):
        for scratch in directory.glob(f".*{PACKED}.*"):
            if not _alive(scratch.name.rpartition(".")[2]):
                scratch.unlink(missing_ok=True)
        found += [file for file in sorted(directory.glob(f"*{PLAIN}")) if _unlocked(file)]
    return found


def expire(path: Path, before: float) -> None:
    """Deletes the segments last written before this time (seconds since the epoch). Raises OSError."""
    for directory in deployments(path):
        for segment in segments(directory):
            with suppress(FileNotFoundError):
                if segment.stat().st_mtime < before:
                    segment.unlink()


def _alive(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is there, and somebody else's
        pass
    return True


def _unlocked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _lock(file.fileno())
    except OSError:
        return False


def _lock(fd: int) -> bool:
    """Takes the lock that goes with writing or packing a segment, unless somebody has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
