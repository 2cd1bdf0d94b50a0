"""The access log: what a line says, and a file that any number of processes append to.

Floor 1. Each worker writes for itself, from a thread. A batch goes out in one write to a file opened for appending,
which the kernel does in one piece, so lines of several workers never mix.
"""

import os
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

STANDARD_ERROR = "stderr"
"""The path that means the stream of the router's own log."""

_ATOMIC = 4096
"""Bytes that one write puts into a pipe in one piece (PIPE_BUF)."""

_MODE = 0o640


class Line(msgspec.Struct, omit_defaults=True):
    """One request, or one copy of one (`role` shadow). Times in milliseconds, sizes in bytes of the bodies.

    `why` says what made this version answer. `first_byte_ms` and `upstream_ms` are absent where no byte came and
    where nothing was sent; `upstream_ms` is of the last attempt. `trace` is absent where the request was not traced.
    """

    time: datetime
    id: str
    deployment: str
    version: str
    role: str
    why: str
    method: str
    path: str
    status: int
    bytes_in: int
    bytes_out: int
    duration_ms: float
    client: str
    attempts: int
    first_byte_ms: float | None = None
    upstream_ms: float | None = None
    endpoint: str = ""
    error: str = ""
    trace: str = ""


class LogFile:
    """Lines at the end of a file, or on standard error. What was there stays there.

    A file that was moved away, or deleted, is made anew at the next write: logrotate needs no more than `create`.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = 2 if path == STANDARD_ERROR else -1
        self._torn = False
        self._encoder = msgspec.json.Encoder()

    def write(self, lines: list[Line]) -> None:
        """Raises OSError when they could not all be written."""
        data = self._encoder.encode_lines(lines)
        fd = self._open()
        if stat.S_ISREG(os.fstat(fd).st_mode):
            self._write(fd, b"\n" + data if self._torn else data)
        else:
            for piece in pieces(data):
                self._write(fd, piece)

    def close(self) -> None:
        if self._fd > 2:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        if self._path == STANDARD_ERROR:
            return self._fd
        if self._fd >= 0 and not self._is_there():
            self.close()
        if self._fd < 0:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
            self._torn = False
        return self._fd

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except OSError:
            return False

    def _write(self, fd: int, data: bytes) -> None:
        """A full disk takes a part: the next batch then begins on a line of its own."""
        written = os.write(fd, data)
        self._torn = written < len(data)
        if self._torn:
            self._write(fd, data[written:])


def pieces(data: bytes, most: int = _ATOMIC) -> Iterator[bytes]:
    """The data in pieces of whole lines, each at most `most` bytes; a line that is longer is a piece of its own."""
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + most) + 1
        if not end:
            end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end
