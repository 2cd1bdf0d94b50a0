"""Counts kept from one controller to the next."""

from pathlib import Path

import pytest

from router.channel import Histogram, SeriesTally, Tally
from router.control.counts import KeptCounts

ROW = SeriesTally("d", "v1", "live", {200: 7, 502: 1}, Histogram({5: 8}, 0.5), Histogram({3: 7}, 0.1), 0)
TALLY = Tally((ROW,), ((("router_retries_total", "d", "v1"), 3),))


def test_what_was_kept_is_read_as_it_was(tmp_path: Path) -> None:
    counts = KeptCounts(tmp_path / "counts")
    assert counts.read() is None
    counts.write(Tally((), ()))
    counts.write(TALLY)
    assert KeptCounts(tmp_path / "counts").read() == TALLY
    assert [path.name for path in tmp_path.iterdir()] == ["counts"]
    counts.clear()
    counts.clear()
    assert counts.read() is None


@pytest.mark.parametrize("content", [b"", b"\0\0\0\3abc", b"\0\0\0\xff", b"\xff" * 9])
def test_what_is_torn_or_no_counts_is_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "counts").write_bytes(content)
    assert KeptCounts(tmp_path / "counts").read() is None


def test_a_disk_that_takes_nothing_is_said_and_harms_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    KeptCounts(tmp_path / "gone" / "counts").write(TALLY)
    assert "count too little" in caplog.text
