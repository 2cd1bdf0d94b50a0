"""Packed segments of the pair log: zstd frames (RFC 8878), read as the plain bytes they stand for.

The decompressor takes a file that is cut short for one that ends there. So it is looked for, from one head of a block
to the next, whether the last frame is whole: nothing is decompressed for that.
"""

import io
import os
from typing import Any, BinaryIO

import zstandard

_BLOCK = 1 << 18
_MAX_HEAD = 18
"""Bytes of a frame's head at most, its magic number included (RFC 8878 §3.1.1.1)."""

_RLE = 1
_SKIPPABLE = 0x184D2A50


class CutShort(zstandard.ZstdError):
    """The end of the file is missing."""


def unpacked(file: BinaryIO) -> BinaryIO:
    """The plain bytes of a packed file. Reading raises ZstdError at a damage, and CutShort, which is one, at the end
    of a file that is not whole."""
    return io.BufferedReader(_Frames(file), _BLOCK)


def is_whole(file: BinaryIO) -> bool:
    """Whether the file consists of whole frames, at least one; where they are in it is left anywhere. Raises ZstdError
    for what is no zstd."""
    end, at = file.seek(0, os.SEEK_END), 0
    while at < end:
        at = _after_frame(file, at)
    return at == end > 0


class _Frames(io.RawIOBase):
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self._reader.readinto(buffer)
        if not count and not is_whole(self._file):
            raise CutShort
        return count

    def close(self) -> None:
        super().close()
        self._file.close()


def _after_frame(file: BinaryIO, at: int) -> int:
    """Where the frame that begins here ends; beyond the end of a file that does not have all of it."""
    file.seek(at)
    head = file.read(_MAX_HEAD)
    if len(head) < 8:  # the smallest frame and the head of a skippable one are longer
        return at + _MAX_HEAD
    if int.from_bytes(head[:4], "little") & ~0xF == _SKIPPABLE:
        return at + 8 + int.from_bytes(head[4:8], "little")
    try:
        at += zstandard.frame_header_size(head)
        checksum = 4 if zstandard.get_frame_parameters(head).has_checksum else 0
    except zstandard.ZstdError:
        if len(head) < _MAX_HEAD:
            return at + _MAX_HEAD
        raise
    last = False
    while not last:
        file.seek(at)
        block = file.read(3)
        if len(block) < 3:
            return at + 3
        told = int.from_bytes(block, "little")
        last = bool(told & 1)
        at += 3 + (1 if told >> 1 & 3 == _RLE else told >> 3)
    return at + checksum
