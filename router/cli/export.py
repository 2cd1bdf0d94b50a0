"""`router pairs export`: the pair log in another format, from its files."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from router.cli.client import Failed
from router.cli.database import opened
from router.cli.pairlog import finds_log, say_damaged, say_torn, segments_of, selects_pairs
from router.cli.progress import bytes_bar, share_bar
from router.pairs.columns import Column, chosen
from router.pairs.export import as_csv, as_json_lines
from router.pairs.extract import Extract, Selection

Writer = Callable[[Iterable[bytes], Sequence[Column]], Iterator[bytes]]

FORMATS = ("jsonl", "csv", "parquet")


class ColumnsParameter(click.ParamType[tuple[Column, ...]]):
    """Names of flat columns, separated by commas."""

    name = "columns"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Column, ...]:
        try:
            return chosen([name.strip() for name in value.split(",")])
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("name")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="[default: what --out ends with, or jsonl]"
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Where to write; standard output if absent.")  # fmt: skip
@click.option(
    "--columns", type=ColumnsParameter(), metavar="NAME,...", help="Only these columns, in this order."
)
@selects_pairs
@finds_log
def export(
    name: str,
    form: str | None,
    out: Path | None,
    columns: tuple[Column, ...] | None,
    selection: Selection,
    root: Path,
) -> None:
    """Write a deployment's pairs as JSON lines, CSV or Parquet.

    Reads the log's files; no router has to run. JSON lines are the log's own, unless --columns names some.
    CSV and Parquet have flat columns, such as primary_latency_ms; bodies in them are JSON text.

    \b
      router pairs export loan-approval --out pairs.parquet
      router pairs export loan-approval --format csv --verdict mismatch --since 2h > mismatches.csv
      router pairs export loan-approval --columns id,verdict,primary_latency_ms,shadow_latency_ms
    """
    paths = segments_of(root, name)
    form = form or _form_of(out)
    if out is not None and any(path.parent.resolve() == out.resolve().parent for path in paths):
        raise Failed(f"{out} would lie among the segments of the log: write it elsewhere")
    if form == "parquet":
        _write_parquet(paths, out, columns or chosen([]), selection)
    else:
        _write_lines(Extract(paths, selection), out, form, columns)


def _form_of(out: Path | None) -> str:
    suffix = "" if out is None else out.suffix.removeprefix(".")
    return suffix if suffix in FORMATS else FORMATS[0]


def _write_lines(extract: Extract, out: Path | None, form: str, columns: tuple[Column, ...] | None) -> None:
    # A bar among lines on the same terminal would help nobody.
    lines: Iterable[bytes] = extract if out is None and sys.stdout.isatty() else _watched(extract)
    if form == "csv":
        lines = as_csv(lines, columns or chosen([]))
    elif columns:
        lines = as_json_lines(lines, columns)
    try:
        with _opened(out) as file:
            file.writelines(lines)
    except BrokenPipeError:  # whoever read has seen enough
        sys.stdout = None
    except OSError as error:
        raise Failed(f"{error.filename or out or 'standard output'}: {error.strerror}") from None
    say_damaged(extract)


def _watched(extract: Extract) -> Iterator[bytes]:
    """The lines, with a bar that says how much of the log is read."""
    with bytes_bar() as progress:
        task = progress.add_task("reading", total=extract.size)
        for count, line in enumerate(extract):
            if count % 256 == 0:
                progress.update(task, completed=extract.read)
            yield line


@contextmanager
def _opened(out: Path | None) -> Iterator[BinaryIO]:
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with out.open("wb") as file:
        yield file


def _write_parquet(
    paths: list[Path], out: Path | None, columns: Sequence[Column], selection: Selection
) -> None:
    if out is None:
        raise click.UsageError("Parquet is no text: name a file with --out")
    with opened(paths) as database, share_bar() as progress:
        task = progress.add_task("writing", total=100)
        database.write_parquet(
            out, columns, selection, lambda percent: progress.update(task, completed=percent)
        )
    say_torn(database.torn)
