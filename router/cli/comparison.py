"""`router pairs stats`: how often the versions agree, where they differ, and what of it is noise."""

from collections.abc import Iterator
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from router.cli.client import Session, deployment_path, talks_to_router
from router.cli.pairlog import say_torn
from router.cli.wording import number, percent, plain
from router.pairs.stats import LAST

VERDICTS = ("match", "mismatch", "incomparable")

FLIPS = 10
"""Pairs of unequal labels that are shown, most frequent first."""

Answer = dict[str, Any]


@click.command()
@click.argument("name")
@click.option(
    "--last",
    type=click.IntRange(1, 100_000_000),
    help=f"Look at the newest files that hold so many pairs; default {LAST}.",
)
@click.option("--all", "everything", is_flag=True, help="Read the whole log, however long it takes.")
@click.option("--live", is_flag=True, help="What the recorder has counted since it started: at once.")
@talks_to_router
def stats(session: Session, name: str, last: int | None, everything: bool, live: bool) -> None:
    """Show how often the versions agree, and where they differ.

    Intervals are 95 %: Wilson's for shares, Newcombe's for what is left of a disagreement without its noise.

    \b
      router pairs stats loan-approval
      router pairs stats loan-approval --last 1000000
      router pairs stats loan-approval --live --json
    """
    if sum((last is not None, everything, live)) > 1:
        raise click.UsageError("--last, --all and --live exclude each other")
    query = {"source": "live"} if live else {"last": "all" if everything else str(last or LAST)}
    answer = session.admin.wait_for(deployment_path(name, "comparison"), **query)
    session.show(answer, statistics)
    say_torn(answer.get("torn", ()))


def statistics(answer: Answer) -> RenderableType:
    """Tables: agreement and verdicts, disagreement with its noise, fields, slices, labels, numbers."""
    comparisons = answer["comparisons"]
    if not comparisons:
        return Text("no pairs yet")
    parts = (agreements, disagreements, fields, slices, flips, values)
    shown = [table for part in parts if (table := part(comparisons)).row_count]
    spaced = [each for table in shown for each in (table, "")]
    return Group(*spaced, *_extent(answer))


def agreements(comparisons: list[Answer]) -> Table:
    table = _table("answered", "copied to", "agreement", "95% interval", *VERDICTS, left=2)
    for each in comparisons:
        agreement = each["agreement"]
        counts = [str(each["verdicts"].get(verdict, 0)) for verdict in VERDICTS]
        table.add_row(*_versions(each), percent(agreement["share"]), _interval(agreement), *counts)
    return table


def disagreements(comparisons: list[Answer]) -> Table:
    """Only where a version was compared with itself: else there is nothing to take off."""
    table = _table("answered", "copied to", "disagreement", "noise", "net", "95% interval of net", left=2)
    for each in comparisons:
        found = each["disagreement"]
        if found["net"] is not None:
            shares = [percent(found[part]["share"]) for part in ("raw", "noise", "net")]
            table.add_row(*_versions(each), *shares, _interval(found["net"]))
    return table


def fields(comparisons: list[Answer]) -> Table:
    """Differences first, then what is only noise."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for each in comparisons:
        between = " and ".join(_versions(each))
        for kind, word in (("differences", "differ at"), ("noisy", "are noisy at")):
            for field in each[kind]:
                net = field["disagreement"]["net"]
                table.add_row(
                    f"{between} {word}",
                    plain(field["field"]),
                    f"in {number(field['count'], 'pair')}",
                    "" if net is None else f"net {percent(net['share'])}, {_interval(net)}",
                    f"e.g. {plain(field['examples'][0])}" if field["examples"] else "",
                )
    return table


def slices(comparisons: list[Answer]) -> Table:
    table = _table("answered", "copied to", "slice", "disagreement", "95% interval", "pairs", "", left=3)
    for each in comparisons:
        for name, rows in each["slices"].items():
            for row in rows:
                share = row["disagreement"]
                table.add_row(
                    *_versions(each),
                    f"{name}={plain(row['value'])}",
                    percent(share["share"]),
                    _interval(share),
                    str(sum(row["verdicts"].values())),
                    Text("differs more", "red") if row["differs_more"] else "",
                )
    return table


def flips(comparisons: list[Answer]) -> Table:
    table = _table("answered", "copied to", "label", "became", "pairs", left=4)
    for each in comparisons:
        for before, after, count in list(_flipped(each["labels"]))[:FLIPS]:
            table.add_row(*_versions(each), plain(before), plain(after), str(count))
    return table


def values(comparisons: list[Answer]) -> Table:
    table = _table(
        "answered",
        "copied to",
        "mean",
        "mean of copies",
        "distance",
        "p50",
        "p95",
        "p99",
        "correlation",
        left=2,
    )
    for each in comparisons:
        if (found := each["values"]) is not None:
            kinds = (
                "primary_mean",
                "shadow_mean",
                "distance_mean",
                "distance_p50",
                "distance_p95",
                "distance_p99",
            )
            numbers = [f"{found[kind]:.4g}" for kind in kinds]
            correlation = "-" if found["correlation"] is None else f"{found['correlation']:.4f}"
            table.add_row(*_versions(each), *numbers, correlation)
    return table


def _flipped(labels: dict[str, int]) -> Iterator[tuple[str, str, int]]:
    for name, count in sorted(labels.items(), key=lambda item: (-item[1], item[0])):
        before, arrow, after = name.partition(" -> ")
        if arrow and before != after:
            yield before, after, count


def _extent(answer: Answer) -> list[Text]:
    if answer["since"] is None:
        return []
    read = f"{number(answer['pairs'], 'pair')} from {answer['since'][:19]}Z to {answer['until'][:19]}Z"
    more = "" if answer["complete"] else "; older ones were left out (--last N or --all reads more)"
    return [Text(read + more, "dim")]


def _versions(each: Answer) -> tuple[str, str]:
    return each["primary"], each["shadow"]


def _interval(share: Answer) -> str:
    return f"{percent(share['low'])} to {percent(share['high'])}"


def _table(*headings: str, left: int) -> Table:
    """The first `left` columns are words, the others numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for position, heading in enumerate(headings):
        words = position < left
        table.add_column(heading, justify="left" if words else "right", overflow="fold", no_wrap=not words)
    return table
