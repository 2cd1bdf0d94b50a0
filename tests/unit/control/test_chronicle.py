"""Entries of the history: their numbers, what they keep, who hears of them."""

from pathlib import Path
from typing import Any

import pytest

from router.control.bulletin import Bulletin
from router.control.chronicle import RECENT, Chronicle
from router.control.terms import Move
from router.rollout.journal import Journal, Record
from router.rollout.phase import Phase
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict

BEFORE = RolloutState("loan", "canary", "v1", ("v2",), Phase.PROGRESSING, share=1000)
AFTER = RolloutState("loan", "canary", "v1", ("v2",), Phase.ROLLED_BACK, who="router", why="error_rate: 9")
FAILED = (Ruling("error_rate", Verdict.FAIL, "9"),)
NOW = (Ruling("error_rate", Verdict.PASS, "1"),)


def chronicle(
    path: Path, counts: Any = lambda name: {"v2": {"requests": 3}}
) -> tuple[Chronicle, Journal, Bulletin]:
    journal, bulletin = Journal(path / "db"), Bulletin()
    return Chronicle(journal, bulletin, counts, lambda name: NOW, lambda: 5.0), journal, bulletin


def test_an_entry_keeps_the_evidence_it_was_made_on(tmp_path: Path) -> None:
    told, journal, _ = chronicle(tmp_path)
    entry = told.entry(told.number(), Move("rollback", BEFORE, AFTER, FAILED), 7, "d1")
    assert (entry.id, entry.what, entry.phase_before, entry.phase) == (
        1,
        "rollback",
        "progressing",
        "rolled_back",
    )
    assert (entry.who, entry.why, entry.when, entry.generation, entry.config) == (
        "router", "error_rate: 9", 5.0, 7, "d1",
    )  # fmt: skip
    assert (entry.evidence, entry.gates) == ({"v2": {"requests": 3}}, FAILED)
    assert told.entry(told.number(), Move("pause", BEFORE, BEFORE), 8, "d1").gates == NOW
    journal.close()


def test_counts_that_cannot_be_told_cost_no_entry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken(name: str) -> dict[str, Any]:
        raise ZeroDivisionError("no counts")

    told, journal, _ = chronicle(tmp_path, broken)
    assert told.entry(1, Move("rollback", BEFORE, AFTER), 7, "d1").evidence == {}
    assert "no counts" in caplog.text
    journal.close()


async def test_numbers_go_on_and_the_newest_are_at_hand(tmp_path: Path) -> None:
    first, journal, _ = chronicle(tmp_path)
    entries = tuple(
        first.entry(first.number(), Move("pause", BEFORE, BEFORE), n, "d1") for n in range(RECENT + 5)
    )
    journal.write(Record(1, entries=entries))
    journal.close()
    again, journal, bulletin = chronicle(tmp_path)
    again.recall(["loan", "fraud"])
    assert [entry.id for entry in again.recent("loan")] == list(range(RECENT + 5, 5, -1))
    assert again.recent("fraud") == []
    assert again.number() == RECENT + 6
    with bulletin.listen() as listening:
        again.tell([again.entry(99, Move("rollback", BEFORE, AFTER), 7, "d1")])
        news = await listening.next()
    assert (news["event"], news["id"], news["gates"][0]["verdict"]) == ("rollback", 99, "pass")
    assert (len(again.recent("loan")), again.recent("loan")[0].id) == (RECENT, 99)
    journal.close()
