"""Frames in files."""

from pathlib import Path

import pytest

from router.channel import Drain, LogLevel, encode, keep, kept


def test_the_last_frame_that_was_kept_is_read_and_nothing_else_lies_around(tmp_path: Path) -> None:
    path = tmp_path / "worker-0-ab.counts"
    keep(path, LogLevel("debug"))
    keep(path, Drain(3.0))
    assert kept(path) == Drain(3.0)
    assert list(tmp_path.iterdir()) == [path]


def test_what_can_not_be_kept_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "counts"
    path.mkdir()
    with pytest.raises(OSError, match="counts"):
        keep(path, Drain(3.0))
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        keep(tmp_path / "gone" / "counts", Drain(3.0))


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0\0\3abc", b"\0\0\0\xff", b"\xff" * 9, encode(Drain(3.0)) * 2, encode(Drain(3.0))[:-1]],
)
def test_what_is_not_one_whole_frame_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "counts").write_bytes(content)
    with pytest.raises(ValueError, match=r"frame|MessagePack|Expected"):
        kept(tmp_path / "counts")


def test_nothing_is_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        kept(tmp_path / "counts")
