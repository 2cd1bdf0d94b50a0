"""Whoever is erased stays erased, also for the recorder after this one."""

import json
from pathlib import Path

import pytest

from router.pairs.forgotten import Forgotten

SUBJECT = frozenset(("s",))


def test_what_is_on_its_way_is_not_written_and_counted() -> None:
    forgotten = Forgotten()
    subjects = frozenset(("s",))
    assert not forgotten.takes("loan", "s", "2026-01-01T00:00:00Z")
    forgotten.add("loan", subjects, "2026-01-01T00:00:10Z")
    assert forgotten.takes("loan", "s", "2026-01-01T00:00:10Z")
    assert not forgotten.takes("loan", "s", "2026-01-01T00:00:11Z"), "a request of later"
    assert not forgotten.takes("loan", None, "2026-01-01T00:00:00Z")
    assert not forgotten.takes("loan", "t", "2026-01-01T00:00:00Z")
    assert not forgotten.takes("other", "s", "2026-01-01T00:00:00Z")
    assert forgotten.removed("loan", subjects) == 1
    forgotten.add("loan", subjects, "2026-01-01T00:00:20Z")
    assert forgotten.removed("loan", subjects) == 0
    for number in range(20_000):
        forgotten.add("loan", frozenset((str(number),)), "2026-02-01T00:00:00Z")
    assert not forgotten.takes("loan", "s", "2026-01-01T00:00:00Z")
    assert forgotten.takes("loan", "19999", "2026-01-01T00:00:00Z")


def test_the_next_recorder_holds_back_the_same(tmp_path: Path) -> None:
    Forgotten(tmp_path).add("loan", SUBJECT, "2026-01-01T00:00:10.000000Z")
    assert (tmp_path / ".spool").stat().st_mode & 0o777 == 0o700
    assert Forgotten(tmp_path).takes("loan", "s", "2026-01-01T00:00:10.000000Z")
    assert not Forgotten(tmp_path / "elsewhere").takes("loan", "s", "2026-01-01T00:00:10.000000Z")


def test_the_file_does_not_have_the_name_the_log_had(tmp_path: Path) -> None:
    Forgotten(tmp_path).add("loan", frozenset(("4b3a65bd",)), "2026-01-01T00:00:10.000000Z")
    assert b"4b3a65bd" not in (tmp_path / ".spool" / "forgotten").read_bytes()


def test_it_moves_with_the_log(tmp_path: Path) -> None:
    forgotten = Forgotten(tmp_path / "old")
    forgotten.add("loan", SUBJECT, "2026-01-01T00:00:10.000000Z")
    forgotten.move(tmp_path / "new")
    assert Forgotten(tmp_path / "new").takes("loan", "s", "2026-01-01T00:00:10.000000Z")


def test_after_a_day_nobody_is_remembered(tmp_path: Path) -> None:
    forgotten = Forgotten(tmp_path)
    forgotten.add("loan", SUBJECT, "2026-01-01T00:00:10.000000Z")
    forgotten.add("loan", frozenset(("t",)), "2026-01-02T00:00:11.000000Z")
    assert not forgotten.takes("loan", "s", "2026-01-01T00:00:00.000000Z")
    assert len(json.loads((tmp_path / ".spool" / "forgotten").read_text())["erased"]) == 1


@pytest.mark.parametrize("text", ["", "[{}]", "\0"])
def test_a_broken_file_stops_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / ".spool").mkdir()
    (tmp_path / ".spool" / "forgotten").write_text(text)
    assert not Forgotten(tmp_path).takes("loan", "s", "2026-01-01T00:00:00.000000Z")


def test_a_full_disk_is_told_and_the_subject_is_held_back_all_the_same(tmp_path: Path) -> None:
    (tmp_path / ".spool").write_text("no directory")
    forgotten = Forgotten(tmp_path)
    with pytest.raises(OSError, match=r"\.spool"):
        forgotten.add("loan", SUBJECT, "2026-01-01T00:00:10.000000Z")
    assert forgotten.takes("loan", "s", "2026-01-01T00:00:00.000000Z")
