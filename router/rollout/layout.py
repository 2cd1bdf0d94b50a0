"""How the journal's file is laid out, and how a file of an earlier layout becomes one of this. Floor 2.

Each step from one layout to the next is a single transaction: a controller killed meanwhile leaves the file as it
was, and the next one begins the step again.
"""

import sqlite3
from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from router.rollout.state import RolloutState

LAYOUT = 2

APPLICATION = 0x726F7574
"""`rout`: marks the file as ours."""

_EVIDENCE = """
CREATE TABLE evidence (
    deployment TEXT PRIMARY KEY, began INTEGER NOT NULL, ran REAL NOT NULL, samples INTEGER NOT NULL,
    state BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE samples (
    deployment TEXT NOT NULL, began INTEGER NOT NULL, number INTEGER NOT NULL, sample BLOB NOT NULL,
    PRIMARY KEY (deployment, began, number)
) WITHOUT ROWID;
"""

TABLES = f"""
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {LAYOUT};
CREATE TABLE states (deployment TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (id INTEGER PRIMARY KEY, deployment TEXT NOT NULL, entry TEXT NOT NULL);
CREATE INDEX entries_by_deployment ON entries (deployment, id);
CREATE TABLE generation (only INTEGER PRIMARY KEY CHECK (only = 1), number INTEGER NOT NULL);
INSERT INTO generation VALUES (1, 0);
{_EVIDENCE}
"""
"""A new, empty journal."""


def can_read(layout: int) -> bool:
    """Whether this version of the program understands the layout, by itself or after `upgrade`."""
    return layout == LAYOUT or layout in _STEPS


def upgrade(connection: sqlite3.Connection, layout: int) -> None:
    """Brings a file of this layout to LAYOUT, in place. Raises sqlite3.Error or msgspec.DecodeError, and then the
    file has a layout it can be read by again."""
    while layout != LAYOUT:
        connection.execute("BEGIN IMMEDIATE")
        try:
            _STEPS[layout](connection)
            layout += 1
            connection.execute(f"PRAGMA user_version = {layout}")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _evidence_and_cohorts(connection: sqlite3.Connection) -> None:
    """Rollouts from before there was evidence get their first cohort: what is counted from now on counts."""
    for statement in _EVIDENCE.split(";"):
        connection.execute(statement)
    for name, text in connection.execute("SELECT deployment, state FROM states").fetchall():
        state = replace(msgspec.json.decode(text, type=RolloutState), cohort=1, began=1)
        connection.execute(
            "UPDATE states SET state = ? WHERE deployment = ?", (msgspec.json.encode(state).decode(), name)
        )


_STEPS: Mapping[int, Callable[[sqlite3.Connection], None]] = MappingProxyType({1: _evidence_and_cohorts})
"""From each earlier layout to the next one."""
