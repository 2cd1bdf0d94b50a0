"""Room set aside: it is there before it is needed, and what it holds is whole or nothing."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rollout.note import MOST, ROOM, Note


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "router.db.note"


@pytest.fixture
def note(path: Path) -> Iterator[Note]:
    note = Note(path)
    yield note
    note.close()


def test_the_room_is_there_before_anything_is_written(note: Note, path: Path) -> None:
    assert note.read() == b""
    assert path.stat().st_size == ROOM
    assert path.stat().st_blocks * 512 >= ROOM, "room that is not on disk is none"
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_was_written_last_is_read_by_the_next_one(note: Note, path: Path) -> None:
    note.write(b"one, and longer")
    note.write(b"two")
    other = Note(path)
    assert other.read() == b"two"
    note.clear()
    assert other.read() == b""
    other.close()


def test_no_byte_is_added_to_the_file(note: Note, path: Path) -> None:
    note.write(bytes(MOST))
    assert note.read() == bytes(MOST)
    with pytest.raises(OSError, match="set aside"):
        note.write(bytes(MOST + 1))
    assert path.stat().st_size == ROOM


@given(st.binary(min_size=1, max_size=64), st.data())
def test_half_a_note_is_none(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, draw: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("note") / "n"
    note = Note(path)
    note.write(data)
    at = draw.draw(st.integers(0, len(data) - 1))
    with path.open("r+b") as file:
        file.seek(8 + at)
        file.write(bytes([data[at] ^ 1]))
    assert note.read() == b""
    note.close()


def test_no_room_is_an_error_and_leaves_no_descriptor(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, data: bytes, at: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        Note(path)
    assert len(os.listdir("/proc/self/fd")) == before
