"""Room set aside beside the journal, for what must not be forgotten when the disk is full. Floor 2.

A full disk takes no new byte, but those of a file that is there can be written over (not on every file system: some
write each byte to a new place). The room is filled once, when there is space, and written over in place. What is in
it is whole or nothing: a length and a checksum come first.
"""

import os
import zlib
from pathlib import Path

ROOM = 256 * 1024
"""Bytes set aside."""

_HEAD = 8

MOST = ROOM - _HEAD
"""Bytes that can be noted."""


class Note:
    """The room at `path`, made where it is not there. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(self._file).st_size < ROOM:
                self._put(bytes(ROOM))
        except OSError:
            self.close()
            raise

    def read(self) -> bytes:
        """What was written last; empty where that is nothing, or not whole."""
        head = os.pread(self._file, _HEAD, 0)
        size, check = int.from_bytes(head[:4]), int.from_bytes(head[4:])
        data = os.pread(self._file, size, _HEAD) if 0 < size <= MOST else b""
        return data if len(data) == size and zlib.crc32(data) == check else b""

    def write(self, data: bytes) -> None:
        """On disk when it returns, in place of what was there. Raises OSError, also where there is not room enough."""
        if len(data) > MOST:
            raise OSError(f"{len(data)} bytes are more than the {MOST} that are set aside")
        self._put(len(data).to_bytes(4) + zlib.crc32(data).to_bytes(4) + data)

    def clear(self) -> None:
        """Nothing is noted any more. Raises OSError."""
        self._put(bytes(_HEAD))

    def close(self) -> None:
        os.close(self._file)

    def _put(self, data: bytes) -> None:
        written = os.pwrite(self._file, data, 0)
        if written < len(data):
            raise OSError(f"only {written} of {len(data)} bytes were written")
        os.fdatasync(self._file)
