"""The durable record: where every rollout is, what led there, on what evidence, and the last generation.

Floor 2. One SQLite file in WAL mode with full synchronisation: what `write` returned from survives kill -9
and a power cut, and what it did not return from is there whole or not at all. A lock file beside it keeps a
second controller out. Every failure is a JournalError that says what to do; nothing here ever begins anew over a
file it cannot read. It does not grow without bound: of each deployment the newest MOST_ENTRIES events and
MOST_SAMPLES samples are kept.

What must not be forgotten although it can't be written, `jot` puts into room set aside (`note`); the next one to open
the journal takes it in.

`write`, `jot` and `close` belong to one thread; the reading functions may be called from any.
"""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from router.errors import RouterError
from router.rollout import layout, note, samples
from router.rollout.samples import EvidenceSample, KeptEvidence
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling

_log = logging.getLogger(__name__)

_BUSY = 1.0
"""Seconds SQLite waits for a lock that another connection holds."""

MOST_ENTRIES = 2000
MOST_SAMPLES = 5000
"""What is kept of each deployment; older ones make room."""

_T = TypeVar("_T")


class JournalError(RouterError):
    """The journal can't be read or written."""


class Entry(msgspec.Struct, frozen=True):
    """One event of a deployment: when (Unix time), who, what, why, and what it led to.

    `what` is an event of the phase table or `config`, `removed`. `share` is the candidate's after it, as a
    fraction. `evidence` are the counts per version at that moment, `gates` what the gates said then; `config` is
    the digest of the YAML in force.
    """

    id: int
    deployment: str
    when: float
    who: str
    what: str
    why: str
    phase_before: str
    phase: str
    share: float
    generation: int
    config: str = ""
    evidence: dict[str, Any] = {}
    gates: tuple[Ruling, ...] = ()


class Record(msgspec.Struct, frozen=True):
    """What is written in one transaction. `withdrawn` are ids of entries that never took effect after all.

    States and the `evidence` they were reached on belong together: a controller that goes on from both counts
    nothing twice and nothing never. `samples` are by deployment.
    """

    generation: int
    states: tuple[RolloutState, ...] = ()
    entries: tuple[Entry, ...] = ()
    withdrawn: tuple[int, ...] = ()
    evidence: tuple[KeptEvidence, ...] = ()
    samples: tuple[EvidenceSample, ...] = ()


class Journal:
    """The journal at `path`, created when there is none.

    Raises JournalError when another controller uses it, and when it can't be opened, locked or understood.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._note: note.Note | None = None
        with self._explained("opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(path)
        try:
            self._connection = self._open()
            self.write()  # nothing: finds out now whether anything can be
            self._take_in_note()
        except BaseException:
            os.close(self._lock)
            raise

    def states(self) -> dict[str, RolloutState]:
        """Every deployment's state, also of those that are in no YAML now."""
        rows = self._read("SELECT deployment, state FROM states ORDER BY deployment")
        return {name: self._decoded(state, RolloutState) for name, state in rows}

    def generation(self) -> int:
        """The newest generation that was written; 0 in a new journal."""
        return int(self._read("SELECT number FROM generation")[0][0])

    def last_id(self) -> int:
        """The id of the newest entry; 0 without any."""
        return int(self._read("SELECT coalesce(max(id), 0) FROM entries")[0][0])

    def history(self, deployment: str, limit: int = 100) -> list[Entry]:
        """The deployment's newest entries, newest first."""
        rows = self._read(
            "SELECT entry FROM entries WHERE deployment = ? ORDER BY id DESC LIMIT ?", deployment, limit
        )
        return [self._decoded(entry, Entry) for (entry,) in rows]

    def evidence(self) -> dict[str, KeptEvidence]:
        """The evidence each deployment's newest rollout has gathered."""
        rows = self._read("SELECT deployment, began, ran, state, samples FROM evidence")
        return {row[0]: KeptEvidence(*row) for row in rows}

    def samples(self, deployment: str) -> list[EvidenceSample]:
        """What was counted in the deployment's rollouts, oldest first; `state.began` tells them apart."""
        rows = self._read(
            "SELECT sample FROM samples WHERE deployment = ? ORDER BY began, number", deployment
        )
        with self._understood():
            return [samples.decode(data) for (data,) in rows]

    def write(self, *records: Record) -> None:
        """All records, in this order, in one transaction: on disk when it returns, untouched when it raises.

        Writing a record twice does no harm.
        """
        connection = self._connection
        with self._explained("written"):
            try:
                connection.execute("BEGIN IMMEDIATE")
                for record in records:
                    _put(connection, record)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def jot(self, *records: Record) -> None:
        """Of records that could not be written, where rollouts are and who brought them there: on disk when it
        returns, in place of what was jotted down before. Raises JournalError where that is not possible either."""
        states = {state.deployment: state for record in records for state in record.states}
        entries = [replace(entry, evidence={}, gates=()) for record in records for entry in record.entries]
        newest = max((record.generation for record in records), default=0)
        withdrawn = tuple(number for record in records for number in record.withdrawn)
        record = Record(newest, tuple(states.values()), tuple(entries), withdrawn)
        noted = msgspec.json.encode(record)
        if len(noted) > note.MOST:
            noted = msgspec.json.encode(replace(record, entries=()))  # where rollouts are counts most
        if self._note is None:
            raise JournalError(f"no room was set aside beside the journal {self._path}")
        with self._explained("noted beside"):
            self._note.write(noted)

    def settle(self) -> None:
        """What was jotted down is written by now. (Where it can't be taken out it does no harm: it is older.)"""
        if self._note is not None:
            with suppress(OSError):
                self._note.clear()

    def close(self) -> None:
        """Gives the lock back."""
        self._connection.close()
        if self._note is not None:
            self._note.close()
        os.close(self._lock)

    def _take_in_note(self) -> None:
        """What is newer than all that was written. Raises JournalError where it can't be written yet: to go on
        without it would be to forget it."""
        try:
            self._note = note.Note(self._path.with_name(self._path.name + ".note"))
            noted = self._note.read()
        except OSError as error:
            _log.warning("no room can be set aside beside the journal, for when the disk is full: %s", error)
            return
        if noted:
            record = self._decoded(noted.decode(), Record)
            if record.generation > self.generation():
                _log.warning("taking in what the last controller could not write into the journal")
                self.write(record)
            self.settle()

    def _open(self) -> sqlite3.Connection:
        with self._explained("read"):
            if not self._path.exists():
                _create(self._path)
            if not self._path.stat().st_size:
                raise JournalError(f"{self._path} is empty, which no journal ever is: {_REMEDY}")
            connection = _connect(f"file:{quote(str(self._path))}?mode=rw")
            try:
                self._check(connection)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
            except BaseException:
                connection.close()
                raise
            return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        if connection.execute("PRAGMA application_id").fetchone()[0] != layout.APPLICATION:
            raise JournalError(f"{self._path} is a database of another program: name another state.path")
        written = connection.execute("PRAGMA user_version").fetchone()[0]
        if not layout.can_read(written):
            raise JournalError(
                f"{self._path} has layout {written}, this version of router reads {layout.LAYOUT}: "
                "run the version that wrote it, or name another state.path"
            )
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise JournalError(f"{self._path} is damaged ({found}): {_REMEDY}")
        with self._understood():
            layout.upgrade(connection, written)

    def _read(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Through a connection of its own: nobody who reads waits for a write that is stuck."""
        with (
            self._explained("read"),
            closing(_connect(f"file:{quote(str(self._path))}?mode=ro")) as connection,
        ):
            return connection.execute(query, values).fetchall()

    def _decoded(self, text: str, kind: type[_T]) -> _T:
        with self._understood():
            return msgspec.json.decode(text, type=kind)

    @contextmanager
    def _understood(self) -> Iterator[None]:
        try:
            yield
        except msgspec.DecodeError as error:
            raise JournalError(
                f"{self._path} holds a record that is not understood ({error}): {_REMEDY}"
            ) from None

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            remedy = f": {_REMEDY}" if isinstance(error, sqlite3.DatabaseError) and _is_damage(error) else ""
            raise JournalError(f"the journal {self._path} can't be {what} ({error}){remedy}") from error


_REMEDY = "put a copy back, or move it away to begin anew"


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return not isinstance(error, sqlite3.OperationalError)


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=_BUSY, isolation_level=None, check_same_thread=False)


def _create(path: Path) -> None:
    """A new journal appears whole or not at all: a controller killed meanwhile leaves no half of one."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished)) as connection:
        connection.executescript(layout.TABLES)
    unfinished.rename(path)


def _lock(path: Path) -> int:
    """The descriptor that holds the lock; the kernel gives it back when the process ends, however it ends."""
    name = path.with_name(path.name + ".lock")
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise JournalError(
            f"the journal {path} belongs to a router that is running (pid {holder}): "
            "stop it, or give this one another state.path"
        ) from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


_FORGET_ENTRIES = f"""
DELETE FROM entries WHERE deployment = ? AND id <= (
    SELECT id FROM entries WHERE deployment = ? ORDER BY id DESC LIMIT 1 OFFSET {MOST_ENTRIES})
"""
_FORGET_SAMPLES = f"""
DELETE FROM samples WHERE deployment = ? AND (began, number) <= (
    SELECT began, number FROM samples WHERE deployment = ? ORDER BY began DESC, number DESC
    LIMIT 1 OFFSET {MOST_SAMPLES})
"""


def _put(connection: sqlite3.Connection, record: Record) -> None:
    encode = msgspec.json.encode
    connection.executemany("DELETE FROM entries WHERE id = ?", [(entry,) for entry in record.withdrawn])
    connection.executemany(
        "INSERT OR REPLACE INTO states VALUES (?, ?)",
        [(state.deployment, encode(state).decode()) for state in record.states],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)",
        [(entry.id, entry.deployment, encode(entry).decode()) for entry in record.entries],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO evidence VALUES (?, ?, ?, ?, ?)",
        [(kept.deployment, kept.began, kept.ran, kept.samples, kept.state) for kept in record.evidence],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?)",
        [
            (sample.state.deployment, sample.state.began, sample.number, samples.encode(sample))
            for sample in record.samples
        ],
    )
    connection.executemany(_FORGET_ENTRIES, [(name, name) for name in {e.deployment for e in record.entries}])
    names = {sample.state.deployment for sample in record.samples}
    connection.executemany(_FORGET_SAMPLES, [(name, name) for name in names])
    connection.execute("UPDATE generation SET number = max(number, ?)", (record.generation,))
