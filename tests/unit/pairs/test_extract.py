"""Taking lines out of logs that are packed, torn, damaged, growing or gone."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.extract import EVERYTHING, Extract, NoLog, Selection, log_files, timestamp
from router.pairs.sinks import jsonl

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def line(name: str, verdict: str = "match", minutes: float = 0) -> bytes:
    when = timestamp(NOON + timedelta(minutes=minutes))
    return msgspec.json.encode({"exchange": name, "time": when, "verdict": verdict, "body": "x"}) + b"\n"


def names(extract: Extract) -> str:
    return "".join(msgspec.json.decode(each)["exchange"] for each in extract)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Three segments: one packed, one torn by a crash, one with damage."""
    directory = tmp_path / "pairs" / "loan"
    directory.mkdir(parents=True)
    (directory / "1.jsonl").write_bytes(line("a") + line("b", "mismatch", 1))
    jsonl.pack(directory / "1.jsonl")
    (directory / "2.jsonl").write_bytes(line("c", minutes=2) + b'{"exchange": "torn"')
    (directory / "3.jsonl").write_bytes(b"rubbish\n" + line("d", "mismatch", 3) + b"{}\n")
    return directory


def extract(log: Path, selection: Selection = EVERYTHING) -> Extract:
    return Extract(log_files(log), selection)


def test_all_lines_in_order_and_as_they_stand(log: Path) -> None:
    assert b"".join(extract(log)) == line("a") + line("b", "mismatch", 1) + line("c", minutes=2) + line(
        "d", "mismatch", 3
    )


def test_what_is_passed_over_is_named_and_counted(log: Path) -> None:
    found = extract(log)
    assert names(found) == "abcd"
    assert [(torn.path, torn.at) for torn in found.torn] == [(log / "2.jsonl", len(line("c", minutes=2)))]
    assert found.damaged == 2


def test_progress_ends_at_the_size_of_the_files(log: Path) -> None:
    found = extract(log)
    seen = [found.read for _ in found]
    assert seen == sorted(seen)
    assert found.read == found.size == sum(path.stat().st_size for path in log.iterdir())


def test_selection_by_verdict_and_time(log: Path) -> None:
    assert names(extract(log, Selection(verdict="mismatch"))) == "bd"
    assert names(extract(log, Selection(since=NOON + timedelta(minutes=1)))) == "bcd"
    assert names(extract(log, Selection(until=NOON + timedelta(minutes=1)))) == "a"
    both = Selection("match", NOON + timedelta(minutes=1), NOON + timedelta(minutes=3))
    assert names(extract(log, both)) == "c"


def test_segments_written_before_the_time_are_not_even_opened(log: Path) -> None:
    os.utime(log / "3.jsonl", (0, 0))
    found = extract(log, Selection(since=NOON))
    assert names(found) == "abc"
    assert found.damaged == 0


def test_a_segment_packed_or_expired_after_it_was_listed(log: Path) -> None:
    files = log_files(log)
    jsonl.pack(log / "2.jsonl")
    (log / "3.jsonl").unlink()
    assert names(Extract(files)) == "abc"


def test_a_log_is_found_by_segment_directory_or_root(log: Path) -> None:
    assert log_files(log / "2.jsonl") == [log / "2.jsonl"]
    assert log_files(log) == log_files(log.parent) == sorted(log.iterdir())


def test_a_root_with_several_deployments_asks_which(log: Path) -> None:
    (log.parent / "embed").mkdir()
    (log.parent / "embed" / "1.jsonl").touch()
    with pytest.raises(
        NoLog, match=rf"holds the pairs of embed, loan: name one of them, such as {log.parent}/embed"
    ):
        log_files(log.parent)


def test_no_log_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(NoLog, match=f"there is no pair log at {tmp_path}/absent"):
        log_files(tmp_path / "absent")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(NoLog, match=r"notes.txt is no pair log: its segments end with .jsonl or .jsonl.zst"):
        log_files(tmp_path / "notes.txt")


MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, MOMENTS)
def test_moments_as_text_compare_like_moments(one: datetime, other: datetime) -> None:
    assert (timestamp(one) < timestamp(other)) == (one < other)
    assert datetime.fromisoformat(timestamp(one)) == one
