"""The pair log as a database: DuckDB in memory, with views on the log's files.

DuckDB is an optional extra. A query of the user's gets a database that is locked down before: it reads the segments
it was given and no other file, no network, no extension; it writes nothing, and its settings stay as they are.
"""

import importlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from router.cli.client import Failed
from router.cli.sound import sound
from router.cli.wording import plain
from router.pairs.columns import FLAT, NESTED, Column
from router.pairs.extract import Selection, timestamp
from router.pairs.segments import Torn
from router.pairs.values import parse

MAX_LINE = 256 << 20
"""Bytes of the longest line of a log that is read."""

_JSON = "JSON"

POLL = 0.1
"""Seconds between two looks at how far a statement has come."""


class Rows(NamedTuple):
    """What a query gave: column names, and rows of Python values."""

    names: list[str]
    rows: list[tuple[Any, ...]]


class Database:
    """Two views of the same pairs: `pairs` as in the log, `flat` with one column for each value. `torn` is what was
    left out of the segments because a crash cut it off or a file is damaged."""

    def __init__(self, duckdb: Any, paths: Sequence[Path], torn: Sequence[Torn]) -> None:
        self.torn = torn
        self._duckdb = duckdb
        self._connection = duckdb.connect(":memory:")
        self._paths = paths
        # Names in a query mean tables, never variables of this program.
        self._connection.execute("SET python_enable_replacements = false")
        self._run(view_of_pairs(paths))
        self._run(VIEW_OF_FLAT)

    def close(self) -> None:
        self._connection.close()

    def query(self, sql: str, told: Callable[[float], None]) -> Rows:
        """Locks the database down, then runs one query of the user's. Raises Failed with what DuckDB says."""
        allowed = ", ".join(text(str(path)) for path in self._paths)
        self._run(f"SET allowed_paths = [{allowed}]")
        self._run("SET enable_external_access = false; SET lock_configuration = true")
        return self._run(self._one_query(sql), told)

    def write_parquet(
        self, out: Path, columns: Sequence[Column], selection: Selection, told: Callable[[float], None]
    ) -> None:
        """Writes these columns of the pairs selected, compressed. Raises Failed."""
        names = ", ".join(identifier(column.name) for column in columns)
        self._run(
            f"COPY (SELECT {names} FROM flat WHERE {condition(selection)})"
            f" TO {text(str(out))} (FORMAT parquet, COMPRESSION zstd)",
            told,
        )

    def _one_query(self, sql: str) -> Any:
        try:
            statements = self._connection.extract_statements(sql)
        except self._duckdb.Error as error:
            raise Failed(reason(error)) from None
        if len(statements) != 1:
            raise Failed("give one query; this is " + (f"{len(statements)}" if statements else "none"))
        kind = statements[0].type.name
        if kind != "SELECT":  # a COPY could write to the very files that a query may read
            raise Failed(f"the log is only read here: give a SELECT, not {kind}")
        return statements[0]

    def _run(self, statement: Any, told: Callable[[float], None] = lambda percent: None) -> Rows:
        """Runs it in a thread, so that its progress can be told and Ctrl-C ends it."""
        outcome: list[Rows | Exception] = []
        done = threading.Event()

        def execute() -> None:
            try:
                found = self._connection.execute(statement)
                outcome.append(_rows(found.description or (), found.fetchall()))
            except self._duckdb.Error as error:
                outcome.append(error)
            finally:
                done.set()

        threading.Thread(target=execute, daemon=True).start()
        try:
            while not done.wait(POLL):
                told(max(0.0, self._connection.query_progress()))
        except KeyboardInterrupt:
            self._connection.interrupt()
            done.wait()
            raise
        result = outcome[0] if outcome else Failed("the query came to nothing")
        if isinstance(result, Exception):
            raise Failed(reason(result)) from None
        return result


@contextmanager
def opened(paths: Sequence[Path]) -> Iterator[Database]:
    """The database of these segments, once the packed ones are checked. Raises Failed when DuckDB is not installed."""
    try:
        duckdb = importlib.import_module("duckdb")
    except ImportError:
        raise Failed("this needs DuckDB, an optional extra: pip install 'router[sql]'") from None
    with sound(paths) as found:
        database = Database(duckdb, found.paths, found.torn)
        try:
            yield database
        finally:
            database.close()


def view_of_pairs(paths: Sequence[Path]) -> str:
    """The statement that makes the view `pairs`. A line that is no pair comes as one of nulls, and is left out."""
    files = ", ".join(text(str(path)) for path in paths)
    columns = ", ".join(f"{identifier(name)}: {text(kind)}" for name, kind in NESTED.items())
    return (
        f"CREATE VIEW pairs AS SELECT * FROM read_json([{files}], format = 'newline_delimited',"
        f" columns = {{{columns}}}, ignore_errors = true, maximum_object_size = {MAX_LINE})"
        " WHERE exchange IS NOT NULL"
    )


VIEW_OF_FLAT = "CREATE VIEW flat AS SELECT {} FROM pairs".format(
    ", ".join(
        "{}::{} AS {}".format(".".join(f'"{name}"' for name in column.path), column.type, f'"{column.name}"')
        for column in FLAT
    )
)
"""The statement that makes the view `flat`."""


def condition(selection: Selection) -> str:
    """The selection as a condition on either view."""
    wanted = ["true"]
    if selection.verdict is not None:
        wanted.append(f"verdict = {text(selection.verdict)}")
    if selection.since is not None:
        wanted.append(f"time >= TIMESTAMP {text(timestamp(selection.since))}")
    if selection.until is not None:
        wanted.append(f"time < TIMESTAMP {text(timestamp(selection.until))}")
    return " AND ".join(wanted)


def _rows(description: Sequence[Any], rows: list[tuple[Any, ...]]) -> Rows:
    """DuckDB gives JSON as text, also within other values; here it is what it says."""
    kinds = [column[1] for column in description]
    holders = [index for index, kind in enumerate(kinds) if _JSON in str(kind)]
    if holders:
        rows = [tuple(_opened(value, kind) for value, kind in zip(row, kinds, strict=True)) for row in rows]
    return Rows([column[0] for column in description], rows)


def _opened(value: Any, kind: Any) -> Any:
    """A value of this DuckDB type, with the JSON in it parsed."""
    if value is None or _JSON not in str(kind):
        return value
    if kind.id in ("list", "array"):
        (_, inner), *_ = kind.children
        return [_opened(each, inner) for each in value]
    if kind.id == "map":
        inner = dict(kind.children)["value"]
        return {key: _opened(each, inner) for key, each in value.items()}
    if kind.id == "struct":
        return {name: _opened(value[name], inner) for name, inner in kind.children}
    return parse(value.encode())[0] if str(kind) == _JSON else value


def text(value: str) -> str:
    """A string literal of SQL."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A quoted name of SQL: `primary` is a reserved word."""
    return '"' + name.replace('"', '""') + '"'


def reason(error: Exception) -> str:
    """What DuckDB says is wrong, in one line, without its picture of the place."""
    head, _, rest = str(error).partition("\n\nLINE ")
    hint = rest.rpartition("\n\n")[2] if "\n\n" in rest else ""
    return plain(f"{head} {hint}")
