"""Packed files, whole and cut at every byte."""

import io
import random
from pathlib import Path
from typing import BinaryIO

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.packed import CutShort, is_whole, unpacked


def packed(data: bytes, *, checksum: bool = False, streamed: bool = False) -> bytes:
    compressor = zstandard.ZstdCompressor(level=3, write_checksum=checksum)
    if not streamed:
        return compressor.compress(data)
    out = io.BytesIO()
    compressor.copy_stream(io.BytesIO(data), out)
    return out.getvalue()


SMALL = b"one line\n" * 3
LARGE = random.Random(1).randbytes(300_000) + b"a" * 500_000
"""More than one block: such that can't be packed, and such of one byte repeated."""

SKIPPABLE = (0x184D2A53).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"notes"


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_small_file_cut_anywhere_is_not_whole(checksum: bool, streamed: bool) -> None:
    whole = packed(SMALL, checksum=checksum, streamed=streamed)
    assert unpacked(io.BytesIO(whole)).read() == SMALL
    for length in range(len(whole)):
        assert not is_whole(io.BytesIO(whole[:length]))
        with pytest.raises(CutShort):
            unpacked(io.BytesIO(whole[:length])).read()


@pytest.mark.parametrize("data", [b"", SMALL, LARGE])
def test_whole_files_are_whole(data: bytes) -> None:
    one = packed(data, streamed=True)
    for file in (one, one + one, SKIPPABLE + one, one + SKIPPABLE):
        assert is_whole(io.BytesIO(file))
    assert unpacked(io.BytesIO(one + SKIPPABLE + one)).read() == data + data


@given(st.integers(1, len(packed(LARGE))))
def test_a_large_file_gives_what_lies_before_the_cut(missing: int) -> None:
    whole = packed(LARGE)
    file = unpacked(io.BytesIO(whole[: len(whole) - missing]))
    found = bytearray()
    with pytest.raises(CutShort):
        _read_into(found, file)
    assert LARGE.startswith(found)


def _read_into(found: bytearray, file: BinaryIO) -> None:
    while block := file.read(1000):
        found += block


@given(st.binary(max_size=60))
def test_anything_else_is_damaged_or_not_whole(data: bytes) -> None:
    with pytest.raises(zstandard.ZstdError):
        unpacked(io.BytesIO(data)).read()


def test_closing_it_closes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.zst"
    path.write_bytes(packed(SMALL))
    file = path.open("rb")
    unpacked(file).close()
    assert file.closed
