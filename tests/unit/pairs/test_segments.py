import fcntl
import tempfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.segments import Torn, deployments, lines, lines_backwards, segments, torn_end


def test_each_segment_once_in_order_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl.zst", "a.jsonl", ".a.jsonl.zst.7", "notes.txt", "c.jsonl.zst"):
        (tmp_path / name).touch()
    assert [path.name for path in segments(tmp_path)] == ["a.jsonl.zst", "b.jsonl", "c.jsonl.zst"]


def test_no_directory_no_segments(tmp_path: Path) -> None:
    assert segments(tmp_path / "absent") == []
    assert deployments(tmp_path / "absent") == []
    (tmp_path / "file").touch()
    assert segments(tmp_path / "file") == []


def test_the_spool_is_no_deployment(tmp_path: Path) -> None:
    (tmp_path / ".spool").mkdir()
    (tmp_path / "loan").mkdir()
    assert deployments(tmp_path) == [tmp_path / "loan"]


def test_a_segment_that_is_gone_reads_empty(tmp_path: Path) -> None:
    assert list(lines(tmp_path / "a.jsonl")) == []


def test_a_damaged_packed_segment_ends_shortly_before_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    whole = [b"%d\n" % number for number in range(200_000)]
    path.write_bytes(zstandard.compress(b"".join(whole)) + b"rubbish")
    found = list(lines(path))
    assert len(found) > 100_000
    assert found == whole[: len(found)]
    path.write_bytes(b"rubbish")
    assert list(lines(path)) == []


def test_a_torn_last_line_is_named_with_its_place_once_nobody_writes_there(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1}\n{"a":2')
    notes: list[Torn] = []
    with path.open("rb") as writer:
        fcntl.flock(writer.fileno(), fcntl.LOCK_EX)
        assert list(lines(path, notes.append)) == [b'{"a":1}\n']
    assert notes == []
    assert list(lines(path, notes.append)) == [b'{"a":1}\n']
    assert notes == [Torn(path, 8, "a line is torn")]
    assert str(notes[0]) == f"{path}: from byte 8 on a line is torn, left out"


def test_a_damage_is_named_with_the_byte_up_to_which_all_was_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstandard.compress(b"a\n" * 1_000_000) + b"rubbish")
    notes: list[Torn] = []
    read = sum(len(line) for line in lines(path, notes.append))
    assert notes == [Torn(path, read, "the packed file is damaged")]


def test_a_packed_segment_that_is_cut_short_is_named_also_where_no_line_is_left_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    small = zstandard.compress(b'{"a":1}\n' * 3)
    path.write_bytes(small[:-1])
    notes: list[Torn] = []
    assert list(lines(path, notes.append)) == []
    assert notes == [Torn(path, 0, "the packed file is cut short")]
    whole = [b"%d\n" % number for number in range(200_000)]
    path.write_bytes(zstandard.compress(b"".join(whole))[:-1])
    found = list(lines(path, notes.append))
    assert found == whole[: len(found)] != []
    assert notes[1:] == [Torn(path, len(b"".join(found)), "the packed file is cut short")]


@pytest.mark.parametrize("head", [b"", b"a\n", b"long" * 50_000 + b"\n"])
@pytest.mark.parametrize("tail", [b"x", b"x" * 200_000])
def test_the_torn_end_is_found_from_behind_as_by_reading_all(
    tmp_path: Path, head: bytes, tail: bytes
) -> None:
    path = tmp_path / "a.jsonl"
    notes: list[Torn] = []
    path.write_bytes(head + tail)
    assert list(lines(path, notes.append)) == head.splitlines(keepends=True)
    assert [torn_end(path)] == notes == [Torn(path, len(head), "a line is torn")]
    with path.open("rb") as writer:
        fcntl.flock(writer.fileno(), fcntl.LOCK_EX)
        assert torn_end(path) is None
    path.write_bytes(head)
    assert torn_end(path) is None
    assert torn_end(tmp_path / "gone.jsonl") is None


@given(
    st.lists(st.integers(0, 700_000), max_size=5),
    st.binary(max_size=5).filter(lambda tail: b"\n" not in tail),
)
def test_backwards_is_forwards_reversed(sizes: list[int], tail: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "a.jsonl"
        file.write_bytes(b"".join(b"%d" % size + b"x" * size + b"\n" for size in sizes) + tail)
        forwards = list(lines(file))
        assert len(forwards) == len(sizes)
        assert list(lines_backwards(file)) == forwards[::-1]
