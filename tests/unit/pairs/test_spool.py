"""The spool keeps what it took, lets go of what is done, and tells the dead's segments from the living's."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from router.channel import encode
from router.pairs.spool import MAX_AGE, Spool, SpoolFull, captures, started
from tests.support.captures import primary, shadow

FRAME = encode(primary("a"))


def files(root: Path) -> list[Path]:
    return sorted((root / ".spool").glob("*"))


def left_behind(root: Path, segments: list[bytes]) -> Path:
    """Spool files nobody holds, as a killed recorder leaves them."""
    (root / ".spool").mkdir()
    for number, data in enumerate(segments):
        (root / ".spool" / f"{10**18 + number}-1-{number}.spool").write_bytes(data)
    return root


def test_what_is_appended_is_in_the_file_at_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    segment = spool.append(encode(primary("a")))
    spool.append(encode(shadow("a")))
    assert [(each.exchange, each.role) for each in captures(segment)] == [("a", "primary"), ("a", "shadow")]
    assert spool.size == segment.path.stat().st_size
    assert segment.path.stat().st_mode & 0o777 == 0o600
    assert segment.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_full_segment_goes_with_its_last_capture(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_size=1)
    first, second = spool.append(FRAME), spool.append(FRAME)
    assert len(files(tmp_path)) == 2
    spool.release(first)
    assert files(tmp_path) == [second.path]
    spool.release(second)  # still the current one
    spool.close()
    assert (files(tmp_path), spool.size) == ([], 0)


def test_a_segment_released_before_it_is_left_goes_as_well(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_size=len(FRAME))
    spool.release(spool.append(FRAME))
    latest = spool.append(FRAME)
    assert files(tmp_path) == [latest.path]
    assert spool.size == len(FRAME)


def test_a_quiet_spool_is_emptied(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_size=16 * len(FRAME))
    for _ in range(100):
        spool.release(spool.append(FRAME))
    assert [path.stat().st_size for path in files(tmp_path)] == [0]
    assert spool.size == 0


def test_what_is_done_does_not_lie_there_because_little_comes(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.release(spool.append(FRAME))
    assert spool.size == len(FRAME)
    spool.tidy(0.0)
    assert ([path.stat().st_size for path in files(tmp_path)], spool.size) == ([0], 0)


def test_a_segment_in_which_something_is_always_pending_is_left_in_time(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    first = last = spool.append(FRAME)
    for second in range(int(MAX_AGE) + 1):
        spool.tidy(float(second))
        last, before = spool.append(FRAME), last
        spool.release(before)
    assert last is not first
    assert files(tmp_path) == [last.path]
    assert spool.size == len(FRAME)


def test_what_is_pending_stays_on_closing(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(FRAME)
    spool.close()
    assert len(files(tmp_path)) == 1


def test_it_is_bounded_and_takes_again_once_there_is_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit=2 * len(FRAME), segment_size=1)
    first = spool.append(FRAME)
    spool.append(FRAME)
    with pytest.raises(SpoolFull):
        spool.append(FRAME)
    spool.release(first)
    spool.append(FRAME)


def test_leftovers_come_oldest_first_and_only_once(tmp_path: Path) -> None:
    left_behind(tmp_path, [encode(primary(name)) for name in "abc"])
    spool = Spool(tmp_path)
    found = spool.leftovers()
    assert [each.exchange for segment in found for each in captures(segment)] == ["a", "b", "c"]
    assert started(found[0]) == 1e9
    assert Spool(tmp_path).leftovers() == []
    assert spool.size == 3 * len(FRAME)


def test_a_living_recorders_segments_are_no_leftovers(tmp_path: Path) -> None:
    living = Spool(tmp_path, segment_size=1)
    living.append(FRAME)
    living.append(FRAME)
    assert Spool(tmp_path).leftovers() == []


@pytest.mark.parametrize("cut", [1, 3, 5, len(FRAME) - 1])
def test_a_torn_end_is_left_out(tmp_path: Path, cut: int) -> None:
    left_behind(tmp_path, [FRAME + FRAME[:cut]])
    (segment,) = Spool(tmp_path).leftovers()
    assert len(list(captures(segment))) == 1


def test_a_broken_frame_ends_the_segment(tmp_path: Path) -> None:
    left_behind(tmp_path, [b"\xff" * 100, FRAME])
    found = [list(captures(segment)) for segment in Spool(tmp_path).leftovers()]
    assert [len(each) for each in found] == [0, 1]


def test_a_write_cut_short_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    segment = spool.append(FRAME)
    write: Callable[[int, bytes], int] = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
        with pytest.raises(OSError, match="No space") as caught:
            spool.append(FRAME)
    assert caught.value.errno == errno.ENOSPC
    spool.append(FRAME)
    assert len(list(captures(segment))) == 2


def test_moving_leaves_what_is_pending_until_it_is_released(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "old")
    segment = spool.append(FRAME)
    spool.move(tmp_path / "new")
    spool.append(FRAME)
    assert len(files(tmp_path / "old")) == len(files(tmp_path / "new")) == 1
    spool.release(segment)
    assert files(tmp_path / "old") == []
