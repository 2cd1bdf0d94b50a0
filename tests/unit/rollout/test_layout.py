"""A journal of the first layout is brought up to date in place, whole or not at all."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from router.rollout import layout
from router.rollout.journal import Journal, JournalError, Record
from router.rollout.phase import Phase
from router.rollout.state import RolloutState

FIRST = f"""
PRAGMA application_id = {layout.APPLICATION};
PRAGMA user_version = 1;
CREATE TABLE states (deployment TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (id INTEGER PRIMARY KEY, deployment TEXT NOT NULL, entry TEXT NOT NULL);
CREATE INDEX entries_by_deployment ON entries (deployment, id);
CREATE TABLE generation (only INTEGER PRIMARY KEY CHECK (only = 1), number INTEGER NOT NULL);
INSERT INTO generation VALUES (1, 7);
INSERT INTO states VALUES ('loan', '{{"deployment":"loan","pattern":"canary","trusted":"v1","candidates":["v2"],
    "phase":"progressing","step":1,"share":1000,"mirror":0,"held":12.5,"who":"anna","why":"go","when":1.0}}');
INSERT INTO entries VALUES (3, 'loan', '{{"id":3,"deployment":"loan","when":1.0,"who":"anna","what":"promote",
    "why":"go","phase_before":"progressing","phase":"progressing","share":0.1,"generation":7}}');
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "router.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST)
    return path


def written(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_states_and_history_go_on_and_what_is_counted_from_now_on_is_evidence(path: Path) -> None:
    journal = Journal(path)
    state = journal.states()["loan"]
    assert state == RolloutState(
        "loan", "canary", "v1", ("v2",), Phase.PROGRESSING, 1, 1000, 0, 12.5, "anna", "go", 1.0, 1, 1
    )
    assert (journal.generation(), journal.history("loan")[0].gates) == (7, ())
    assert (journal.evidence(), journal.samples("loan")) == ({}, [])
    journal.write(Record(8, (state,)))
    journal.close()
    assert written(path) == layout.LAYOUT
    Journal(path).close()


def test_an_upgrade_that_was_cut_short_begins_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(text: str, type: object) -> object:
        raise OSError("killed here")

    with monkeypatch.context() as patched:
        patched.setattr("router.rollout.layout.msgspec.json.decode", broken)
        with pytest.raises(JournalError, match="killed here"):
            Journal(path)
    assert written(path) == 1
    journal = Journal(path)
    assert journal.states()["loan"].cohort == 1
    journal.close()


def test_a_state_that_is_not_understood_is_said_and_nothing_is_touched(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE states SET state = '{\"deployment\": 5}'")
        connection.commit()
    with pytest.raises(JournalError, match="not understood"):
        Journal(path)
    assert written(path) == 1


@pytest.mark.parametrize(("number", "readable"), [(1, True), (layout.LAYOUT, True), (0, False), (3, False)])
def test_layouts_it_can_read(number: int, readable: bool) -> None:
    assert layout.can_read(number) is readable
