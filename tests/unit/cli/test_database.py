"""DuckDB over real segments: what a query sees, and what it cannot reach."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from router.cli.client import Failed
from router.cli.database import Rows, condition, identifier, opened, text
from router.pairs.columns import FLAT
from router.pairs.extract import Selection, log_files
from tests.support.pairlogs import written


def ask(log: Path, sql: str) -> Rows:
    with opened(log_files(log)) as database:
        return database.query(sql, lambda percent: None)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return written(tmp_path / "it's")  # a quote in the path


def test_both_views_hold_every_pair_of_packed_and_plain_segments(log: Path) -> None:
    counted = "select verdict, count(*) from {} group by 1 order by 1"
    for view in ("pairs", "flat"):
        assert ask(log, counted.format(view)).rows == [("match", 15), ("mismatch", 5)]


def test_the_view_pairs_is_the_log(log: Path) -> None:
    rows = ask(
        log,
        "select id, pairs.primary.latency_ms, request.body, request.headers['content-type'], differences, time"
        " from pairs order by exchange limit 1",
    )
    assert rows.rows == [(
        "id-0", 2.0, {"number": 0}, "application/json", [{"at": "/label", "primary": 0, "shadow": 9}],
        datetime(2023, 11, 14, 22, 13, 20, 250000),
    )]  # fmt: skip


def test_the_view_flat_has_all_flat_columns_with_json_in_them(log: Path) -> None:
    assert ask(log, "select * from flat").names == [column.name for column in FLAT]
    assert ask(log, "select sum((request_body->>'number')::int) from flat").rows == [(190,)]


def test_damaged_and_torn_lines_are_left_out(log: Path) -> None:
    with (log / "2.jsonl").open("ab") as file:
        file.write(b'rubbish\n{}\n{"id": "torn"')
    assert ask(log, "select count(*) from pairs").rows == [(20,)]


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("select * from read_text('{outside}')", "Permission Error"),
        ("select * from '{outside}'", "Permission Error"),
        ("select * from glob('{root}/*')", "Permission Error"),
        ("copy (select 1) to '{segment}'", "give a SELECT, not COPY"),
        ("explain analyze copy (select 1) to '{segment}'", "give a SELECT, not EXPLAIN"),
        ("attach '{root}/a.db'", "not ATTACH"),
        ("install httpfs", "not LOAD"),
        ("set enable_external_access = true", "not SET"),
        ("create table x as select 1", "not CREATE"),
        ("select 1; select 2", "this is 2"),
        (" -- nothing", "this is none"),
    ],
)
def test_nothing_else_is_within_reach(log: Path, tmp_path: Path, sql: str, complaint: str) -> None:
    outside, segment = tmp_path / "secret.jsonl", str(log / "2.jsonl").replace("'", "''")
    outside.write_text('{"secret": 1}\n')
    before = (log / "2.jsonl").read_bytes()
    with pytest.raises(Failed, match=complaint):
        ask(log, sql.format(outside=outside, root=tmp_path, segment=segment))
    assert (log / "2.jsonl").read_bytes() == before


def test_variables_of_this_program_are_no_tables(log: Path) -> None:
    rows = [(1,)]  # a replacement scan of DuckDB would find it
    with pytest.raises(Failed, match="rows does not exist"):
        ask(log, "select * from rows")
    assert rows


def test_wrong_sql_is_explained_in_one_line(log: Path) -> None:
    with pytest.raises(Failed) as error:
        ask(log, "select verdit from pairs")
    assert "\n" not in error.value.message
    assert 'Referenced column "verdit" not found' in error.value.message
    assert '"verdict"' in error.value.message


def test_parquet_holds_the_columns_and_pairs_asked_for(log: Path, tmp_path: Path) -> None:
    import duckdb

    out = tmp_path / "o'ut.parquet"
    columns = [
        column for column in FLAT if column.name in ("id", "time", "primary_body", "shadow_latency_ms")
    ]
    with opened(log_files(log)) as database:
        database.write_parquet(out, columns, Selection(verdict="mismatch"), lambda percent: None)
    found = duckdb.execute("select * from read_parquet(?) order by id", [str(out)])
    assert [(column[0], str(column[1])) for column in found.description] == [
        ("id", "VARCHAR"), ("time", "TIMESTAMP"), ("primary_body", "JSON"), ("shadow_latency_ms", "DOUBLE"),
    ]  # fmt: skip
    assert [row[0] for row in found.fetchall()] == [f"id-{number}" for number in range(5)]


def test_without_duckdb_it_names_the_extra(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(Failed, match=r"pip install 'router\[sql\]'"):
        ask(log, "select 1")


def test_progress_is_told_while_a_query_runs(log: Path) -> None:
    told: list[float] = []
    with opened(log_files(log)) as database:
        database.query("select count(*) from range(3000000000)", told.append)
    assert all(0 <= percent <= 100 for percent in told)
    assert told


def test_ctrl_c_ends_a_query(log: Path) -> None:
    def ctrl_c(percent: float) -> None:
        raise KeyboardInterrupt

    endless = "select count(*) from range(100000000000) a, range(1000) b"
    with opened(log_files(log)) as database, pytest.raises(KeyboardInterrupt):
        database.query(endless, ctrl_c)


def test_conditions() -> None:
    assert condition(Selection()) == "true"
    when = datetime(2026, 1, 1, tzinfo=UTC)
    assert condition(Selection("match", when, when)) == (
        "true AND verdict = 'match' AND time >= TIMESTAMP '2026-01-01T00:00:00.000000Z'"
        " AND time < TIMESTAMP '2026-01-01T00:00:00.000000Z'"
    )


def test_literals_and_names_cannot_be_broken_out_of() -> None:
    assert text("it's") == "'it''s'"
    assert identifier('a"b') == '"a""b"'
