"""Records that wait: in order, bounded, on disk and in memory."""

import shutil
from pathlib import Path

from router.pairs.sinks.backlog import Backlog
from router.pairs.spool import Spool


def backlog(path: Path, limit: int = 100, segment_size: int = 1 << 20) -> Backlog:
    return Backlog(Spool(path, ".sinks/x", segment_size=segment_size), limit)


def left_behind(path: Path) -> Path:
    """A copy of what is on disk, held by nobody."""
    shutil.copytree(path / ".sinks", path / "left" / ".sinks")
    return path / "left"


def test_heads_are_bounded_by_records_and_bytes_but_never_empty(tmp_path: Path) -> None:
    waiting = backlog(tmp_path)
    for record in (b"aaaa\n", b"b\n", b"c\n"):
        assert waiting.add(record, 1.0)
    assert waiting.head(10, 100) == [b"aaaa\n", b"b\n", b"c\n"]
    assert waiting.head(2, 100) == [b"aaaa\n", b"b\n"]
    assert waiting.head(10, 7) == [b"aaaa\n", b"b\n"]
    assert waiting.head(10, 1) == [b"aaaa\n"]
    waiting.drop(2)
    assert (waiting.head(10, 100), len(waiting), waiting.size, waiting.oldest) == ([b"c\n"], 1, 2, 1.0)
    waiting.drop(1)
    assert (waiting.head(10, 100), waiting.oldest) == ([], None)


def test_what_is_over_the_limit_is_refused_until_there_is_room(tmp_path: Path) -> None:
    waiting = backlog(tmp_path, limit=4)
    assert waiting.add(b"aa\n", 0.0)
    assert not waiting.add(b"b\n", 0.0)
    waiting.drop(1)
    assert waiting.add(b"b\n", 0.0)


def test_what_a_dead_process_left_comes_back_whole_with_its_age(tmp_path: Path) -> None:
    waiting = backlog(tmp_path, segment_size=1)
    for record in (b"a\n", b"b\n", b"c\n"):
        waiting.add(record, 0.0)
    waiting.drop(1)
    left = left_behind(tmp_path)
    newest = max((left / ".sinks" / "x").iterdir())
    newest.write_bytes(b"c\nd, torn")
    newest.rename(newest.with_name("9000000000-1-1.spool"))  # begun 9 s after the epoch
    second = backlog(left)
    assert second.recover(100.0, wall=12.0) == 0
    assert second.head(10, 100) == [b"b\n", b"c\n"]
    second.drop(1)
    assert second.oldest == 97.0
    second.drop(1)
    assert list((left / ".sinks" / "x").iterdir()) == []


def test_recovery_keeps_to_the_limit_and_says_what_it_cost(tmp_path: Path) -> None:
    waiting = backlog(tmp_path)
    for record in (b"a\n", b"b\n", b"c\n"):
        waiting.add(record, 0.0)
    assert backlog(left_behind(tmp_path), limit=4).recover(0.0, wall=0.0) == 1


def test_what_is_forgotten_is_gone_from_the_disk_too(tmp_path: Path) -> None:
    waiting = backlog(tmp_path)
    for record in (b"a\n", b"secret\n", b"b\n"):
        waiting.add(record, 1.0)
    assert waiting.forget(lambda record: b"secret" in record) == 1
    assert waiting.head(10, 100) == [b"a\n", b"b\n"]
    assert b"".join(file.read_bytes() for file in tmp_path.rglob("*.spool")) == b"a\nb\n"
    assert waiting.forget(lambda record: b"secret" in record) == 0


def test_without_a_disk_records_wait_in_memory(tmp_path: Path) -> None:
    (tmp_path / ".sinks").write_bytes(b"in the way")
    waiting = backlog(tmp_path)
    assert waiting.add(b"a\n", 0.0)
    assert waiting.head(1, 100) == [b"a\n"]
    waiting.drop(1)
    assert (len(waiting), waiting.size) == (0, 0)
