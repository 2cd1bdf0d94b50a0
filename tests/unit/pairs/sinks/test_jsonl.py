"""Segments on disk: whole lines, rotation, packing, retention, and what a crash or a full disk leaves."""

import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from router.pairs.segments import lines, segments
from router.pairs.sinks import jsonl
from router.pairs.sinks.jsonl import JsonlSink

NOW = 1_700_000_000.0


def everything(directory: Path) -> list[bytes]:
    return [line for path in segments(directory) for line in lines(path)]


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[JsonlSink]:
    sink = JsonlSink(tmp_path, 100, 60.0)
    yield sink
    sink.close()


def test_lines_are_there_at_once_one_directory_for_each_deployment(sink: JsonlSink, tmp_path: Path) -> None:
    sink.write("loan", [b"1\n", b"2\n"], NOW)
    sink.write("fraud", [b"3\n"], NOW)
    sink.write("loan", [b"4\n"], NOW + 1)
    assert everything(tmp_path / "loan") == [b"1\n", b"2\n", b"4\n"]
    assert everything(tmp_path / "fraud") == [b"3\n"]
    assert [path.name for path in segments(tmp_path / "loan")] == ["20231114T221320Z-000001.jsonl"]


def test_rotation_by_size_keeps_the_order_of_names(sink: JsonlSink, tmp_path: Path) -> None:
    rows = [b"%030d\n" % number for number in range(10)]
    for row in rows:
        sink.write("loan", [row], NOW)
    assert len(segments(tmp_path / "loan")) == 4
    assert everything(tmp_path / "loan") == rows


def test_a_batch_larger_than_a_segment_is_written_all_the_same(sink: JsonlSink, tmp_path: Path) -> None:
    sink.write("loan", [b"x" * 500 + b"\n"], NOW)
    assert len(everything(tmp_path / "loan")) == 1


def test_rotation_by_age(sink: JsonlSink, tmp_path: Path) -> None:
    sink.write("loan", [b"1\n"], NOW)
    sink.rotate(NOW + 59)
    sink.settle()
    assert sink.take_ended() == []
    sink.rotate(NOW + 60)
    sink.settle()
    assert sink.take_ended() == segments(tmp_path / "loan")
    assert sink.take_ended() == []


def test_settling_syncs_what_was_written_and_nothing_else(
    sink: JsonlSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink().parent.name)
    )
    sink.write("loan", [b"1\n"], NOW)
    sink.write("fraud", [b"1\n"], NOW)
    sink.settle()
    assert synced == ["loan", "fraud"]
    sink.write("loan", [b"2\n"], NOW)
    sink.settle()
    sink.settle()
    assert synced == ["loan", "fraud", "loan"]
    sink.write("fraud", [b"2\n"], NOW)
    sink.rotate(NOW + 60)
    sink.settle()
    assert synced[3:] == ["fraud"]


def test_a_sync_that_fails_is_told_once_all_are_tried(
    sink: JsonlSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def fail(fd: int) -> None:
        tried.append(fd)
        raise OSError(errno.EIO, "broken")

    sink.write("loan", [b"1\n"], NOW)
    sink.write("fraud", [b"1\n"], NOW)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="broken"):
            sink.settle()
    assert len(tried) == 2


def test_a_new_sink_never_continues_a_file(sink: JsonlSink, tmp_path: Path) -> None:
    sink.write("loan", [b"1\n"], NOW)
    (torn,) = segments(tmp_path / "loan")
    with torn.open("ab") as file:
        file.write(b"torn")
    second = JsonlSink(tmp_path, 100, 60.0)
    second.write("loan", [b"2\n"], NOW)
    second.close()
    assert len(segments(tmp_path / "loan")) == 2
    assert everything(tmp_path / "loan") == [b"1\n", b"2\n"]


def test_a_name_is_not_used_again_once_packed(sink: JsonlSink, tmp_path: Path) -> None:
    sink.write("loan", [b"1\n"], NOW)
    sink.rotate(NOW + 60)
    sink.settle()
    for path in sink.take_ended():
        jsonl.pack(path)
    sink.write("loan", [b"2\n"], NOW)
    assert everything(tmp_path / "loan") == [b"1\n", b"2\n"]


def test_packing_keeps_the_lines_and_the_time_and_leaves_one_file(sink: JsonlSink, tmp_path: Path) -> None:
    sink.write("loan", [b"1\n", b"2\n"], NOW)
    sink.close()
    (path,) = sink.take_ended()
    os.utime(path, (NOW, NOW))
    jsonl.pack(path)
    (packed,) = (tmp_path / "loan").iterdir()
    assert packed.name == path.name + ".zst"
    assert packed.stat().st_mtime == NOW
    assert list(lines(packed)) == [b"1\n", b"2\n"]
    assert list(lines(path)) == [b"1\n", b"2\n"]  # the name a reader got before
    jsonl.pack(path)  # once more does no harm


def test_a_segment_that_is_written_is_not_packed(sink: JsonlSink, tmp_path: Path) -> None:
    sink.write("loan", [b"1\n"], NOW)
    assert jsonl.abandoned(tmp_path) == []
    (path,) = segments(tmp_path / "loan")
    jsonl.pack(path)
    assert path.exists()


def test_what_a_dead_recorder_left_is_found_and_its_scraps_cleared(tmp_path: Path) -> None:
    directory = tmp_path / "loan"
    directory.mkdir()
    left = directory / "20231114T221320Z-000001.jsonl"
    left.write_bytes(b"1\ntorn")
    scrap = directory / f".{left.name}.zst.{2**22 + 1}"  # no process has this number
    scrap.write_bytes(b"half")
    mine = directory / f".{left.name}.zst.{os.getpid()}"
    mine.write_bytes(b"half")
    (tmp_path / ".spool").mkdir()
    assert jsonl.abandoned(tmp_path) == [left]
    assert not scrap.exists()
    assert mine.exists()


def test_retention_counts_from_the_last_write(tmp_path: Path) -> None:
    directory = tmp_path / "loan"
    directory.mkdir()
    for name, age in (("a.jsonl.zst", 100), ("b.jsonl", 100), ("c.jsonl.zst", 10), (".hidden", 100)):
        (directory / name).touch()
        os.utime(directory / name, (NOW - age, NOW - age))
    jsonl.expire(tmp_path, NOW - 50)
    assert sorted(path.name for path in directory.iterdir()) == [".hidden", "c.jsonl.zst"]
    jsonl.expire(tmp_path / "absent", NOW)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Writes beyond this size are cut short, then refused, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_batch_that_fits_only_in_part_is_taken_back(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path, 1 << 20, 60.0)
    sink.write("loan", [b"1\n"], NOW)
    with largest_file(6):
        with pytest.raises(OSError, match="No space") as caught:
            sink.write("loan", [b"22\n", b"33\n"], NOW)
        assert caught.value.errno == errno.ENOSPC
        assert (tmp_path / "loan" / "20231114T221320Z-000001.jsonl").read_bytes() == b"1\n"
    sink.write("loan", [b"4\n"], NOW)
    sink.close()
    assert everything(tmp_path / "loan") == [b"1\n", b"4\n"]
    assert len(segments(tmp_path / "loan")) == 1


def test_a_segment_that_never_took_a_line_is_removed(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path, 1 << 20, 60.0)
    with largest_file(1), pytest.raises(OSError, match="No space"):
        sink.write("loan", [b"22\n"], NOW)
    sink.close()
    assert segments(tmp_path / "loan") == []
    assert sink.take_ended() == []


def test_a_directory_in_the_way_heals_by_itself(sink: JsonlSink, tmp_path: Path) -> None:
    (tmp_path / "loan").write_bytes(b"")
    with pytest.raises(FileExistsError):
        sink.write("loan", [b"1\n"], NOW)
    (tmp_path / "loan").unlink()
    sink.write("loan", [b"2\n"], NOW)
    assert everything(tmp_path / "loan") == [b"2\n"]


def test_a_file_removed_under_the_sink_is_replaced(sink: JsonlSink, tmp_path: Path) -> None:
    sink.write("loan", [b"1\n"], NOW)
    segments(tmp_path / "loan")[0].unlink()
    sink.write("loan", [b"2\n"], NOW)
    assert everything(tmp_path / "loan") == [b"2\n"]


def test_moving_to_another_root(sink: JsonlSink, tmp_path: Path) -> None:
    sink.write("loan", [b"1\n"], NOW)
    sink.move(tmp_path / "other")
    sink.write("loan", [b"2\n"], NOW)
    assert everything(tmp_path / "other" / "loan") == [b"2\n"]
