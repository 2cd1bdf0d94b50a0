"""`router pairs sql`: one query over the pair log, from its files."""

import csv
import json
import sys
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from rich.measure import Measurement
from rich.table import Table

from router.cli.database import Rows, opened
from router.cli.output import UNBOUNDED, output, show
from router.cli.pairlog import files_at, finds_log, say_torn, segments_of
from router.cli.progress import share_bar
from router.cli.wording import plain
from router.pairs.segments import deployments, segments

SHOWN = 200
"""Rows of a table that are shown; the other formats have them all."""

CUT = 400
"""Characters of a value that are shown where a row is wider than the terminal."""


@click.command()
@click.argument("query")
@click.argument("names", metavar="[NAME...]", nargs=-1)
@click.option(
    "--format", "form", type=click.Choice(("table", "json", "csv")), default="table", show_default=True
)
@finds_log
def sql(query: str, names: tuple[str, ...], form: str, root: Path) -> None:
    """Ask the pair log a question in SQL.

    DuckDB reads the log's files, and nothing else; no router has to run. The view `pairs` has the fields of the log
    (pairs.primary.status, request.body->>'x'), the view `flat` a column for each value (primary_status). NAME is a
    deployment; without one it is all of them.

    \b
      router pairs sql "select verdict, count(*) from pairs group by 1"
      router pairs sql "select primary_status, median(shadow_latency_ms) from flat group by 1" loan-approval
      router pairs sql "describe flat"
    """
    paths = _segments(root, names)
    with opened(paths) as database, share_bar() as progress:
        task = progress.add_task("asking", total=100)
        rows = database.query(query, lambda percent: progress.update(task, completed=percent))
    WRITERS[form](rows)
    say_torn(database.torn)


def _segments(root: Path, names: tuple[str, ...]) -> list[Path]:
    if names:
        return [path for name in names for path in segments_of(root, name)]
    logged = (directory.name for directory in deployments(root) if segments(directory))
    inside = [path for name in logged for path in segments_of(root, name)]
    return inside or files_at(root)


def _as_table(rows: Rows) -> None:
    console = output()
    shown = [[_cell(value) for value in row] for row in rows.rows[:SHOWN]]
    table = _table(rows, shown)
    fits = Measurement.get(console, console.options.update(width=UNBOUNDED), table).maximum <= console.width
    show(console, table if fits else _records(rows.names, shown))
    if len(rows.rows) > SHOWN:
        click.echo(f"router: the first {SHOWN} of {len(rows.rows)} rows; --format json has all", err=True)


def _table(rows: Rows, shown: list[list[str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for position, name in enumerate(rows.names):
        numeric = any(isinstance(row[position], (int, float, Decimal)) for row in rows.rows[:SHOWN])
        table.add_column(plain(name), justify="right" if numeric else "left", overflow="fold")
    for row in shown:
        table.add_row(*row)
    return table


def _records(names: list[str], shown: list[list[str]]) -> Table:
    """A line for each value, where a row would not fit into one; long values are cut."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for position, row in enumerate(shown):
        if position:
            table.add_row()
        for name, value in zip(names, row, strict=True):
            table.add_row(plain(name), value if len(value) <= CUT else value[: CUT - 3] + "...")
    return table


def _as_json(rows: Rows) -> None:
    for row in rows.rows:
        click.echo(json.dumps(dict(zip(rows.names, map(_plain_value, row), strict=True)), ensure_ascii=False))


def _as_csv(rows: Rows) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(rows.names)
    writer.writerows(map(_field, row) for row in rows.rows)


WRITERS: dict[str, Callable[[Rows], None]] = {"table": _as_table, "json": _as_json, "csv": _as_csv}


def _plain_value(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.isoformat() + ("" if value.tzinfo else "Z")
    if isinstance(value, dict):
        return {str(key): _plain_value(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain_value(each) for each in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _field(value: Any) -> Any:
    """A value in CSV: null is empty, what is no single value is JSON text."""
    value = _plain_value(value)
    return value if isinstance(value, (str, type(None))) else json.dumps(value, ensure_ascii=False)


def _cell(value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return "-" if value is None else plain(_field(value))
