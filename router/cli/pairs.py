"""`router pairs`: look at paired answers, by the admin API."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import click
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from router.cli.client import Failed, Session, deployment_path, talks_to_router
from router.cli.show import percent

VERDICT_STYLES = {"match": "green", "mismatch": "red", "incomparable": "yellow"}
VERDICTS = click.Choice(list(VERDICT_STYLES))

POLL = 1.0
POLLED = 500
"""Pairs asked for with every poll; what is written faster than that is skipped, and said to be."""

Pair = dict[str, Any]


@click.group()
def pairs() -> None:
    """Look at paired answers: tail, show, stats.

    \b
      router pairs tail loan-approval --verdict mismatch
    """


def recent(session: Session, name: str, limit: int, **wanted: str | None) -> list[Pair]:
    """The newest pairs, newest first; `wanted` may name a verdict and a request id."""
    query = {key: value for key, value in wanted.items() if value}
    found: list[Pair] = session.admin.get(deployment_path(name, "pairs"), limit=limit, **query)["pairs"]
    return found


def key_of(pair: Pair) -> tuple[str, str]:
    """What makes a pair itself: one request may have several shadows, and clients may repeat an id."""
    return pair["exchange"], pair["shadow"]["version"]


def one_line(pair: Pair) -> Text:
    """`12:00:01.123  mismatch  9f…  v1 200 4.1 ms  v2 200 9.3 ms  /outputs/0/data/0: 1 → 0`"""
    verdict = pair["verdict"]
    line = Text.assemble(
        (pair["time"][11:23], "dim"),
        "  ",
        (f"{verdict:12}", VERDICT_STYLES.get(verdict, "")),
        f"  {pair['id']}",
    )
    for half in (pair["primary"], pair["shadow"]):
        line.append(f"  {half['version']} {half_text(half)}")
    if pair["differences"]:
        line.append(f"  {difference_text(pair['differences'][0])}")
    more = len(pair["differences"]) - 1 + pair["differences_more"]
    if more > 0:
        line.append(f" and {more} more")
    return line


def half_text(half: dict[str, Any]) -> str:
    if half["error"]:
        return str(half["error"])
    return f"{half['status']} {half['latency_ms']:.1f} ms"


def difference_text(difference: dict[str, Any]) -> str:
    return f"{difference['at']}: {short(difference['primary'])} → {short(difference['shadow'])}"


def short(value: Any, length: int = 60) -> str:
    """JSON in at most so many characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= length else text[: length - 1] + "…"


def in_full(pair: Pair) -> RenderableType:
    """Everything a person wants to know of one pair."""
    parts: list[RenderableType] = [one_line(pair)]
    request = pair["request"]
    if request is not None:
        parts.append(Text(f"  {request['method']} {request['path']}  {short(request['body'], 400)}"))
    parts += [
        Text(f"  {half['version']} at {half['endpoint'] or '-'}  {short(half['body'], 400)}")
        for half in (pair["primary"], pair["shadow"])
    ]
    parts += [
        Text(f"  differs at {difference_text(difference)}", "red") for difference in pair["differences"]
    ]
    return Group(*parts, Text(""))


def statistics(answer: dict[str, Any]) -> RenderableType:
    """A table of version pairs with agreement and verdicts, and where the mismatches are."""
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("primary", "shadow"):
        table.add_column(heading)
    for heading in ("agreement", "95 % interval", *VERDICT_STYLES):
        table.add_column(heading, justify="right")
    parts: list[RenderableType] = [table]
    for versions in answer["comparisons"]:
        agreement = versions["agreement"]
        table.add_row(
            versions["primary"],
            versions["shadow"],
            percent(agreement["ratio"]),
            f"{percent(agreement['low'])} to {percent(agreement['high'])}",
            *(str(versions["verdicts"].get(verdict, 0)) for verdict in VERDICT_STYLES),
        )
        parts += [
            Text(f"{versions['primary']} and {versions['shadow']} differ at {field}: {count} pairs")
            for field, count in versions["fields"]
        ]
    return Group(*parts) if answer["comparisons"] else Text("no pairs yet")


def news(session: Session, name: str, verdict: str | None, first: int) -> Iterator[list[Pair]]:
    """The last `first` pairs, then what came since the look before, oldest first, once a second."""
    found = recent(session, name, POLLED, verdict=verdict)
    yield found[:first][::-1]
    while True:
        seen = {key_of(pair) for pair in found}
        time.sleep(POLL)
        found = recent(session, name, POLLED, verdict=verdict) or found
        fresh = [pair for pair in reversed(found) if key_of(pair) not in seen]
        if len(fresh) == POLLED:
            click.echo("pairs come faster than they are shown: some are left out", err=True)
        yield fresh


@pairs.command()
@click.argument("name")
@click.option("--verdict", type=VERDICTS, help="Only these.")
@click.option(
    "--limit",
    type=click.IntRange(0, POLLED),
    default=10,
    show_default=True,
    help="Begin with the last so many.",
)
@talks_to_router
def tail(session: Session, name: str, verdict: str | None, limit: int) -> None:
    """Follow the pairs as they are written, until Ctrl-C.

    With --json a pair is one line of JSON.

    \b
      router pairs tail loan-approval --verdict mismatch
      router pairs tail loan-approval --json | jq .differences
    """
    with suppress(KeyboardInterrupt):
        for fresh in news(session, name, verdict, limit):
            for pair in fresh:
                if session.as_json:
                    click.echo(json.dumps(pair))
                else:
                    session.console.print(one_line(pair), soft_wrap=True)


@pairs.command()
@click.argument("name")
@click.argument("id", required=False)
@click.option("--verdict", type=VERDICTS, help="Only these.")
@click.option(
    "--limit", type=click.IntRange(1, POLLED), default=5, show_default=True, help="The newest so many."
)
@talks_to_router
def show(session: Session, name: str, id: str | None, verdict: str | None, limit: int) -> None:
    """Show the newest pairs in full, or those of the request with this ID.

    \b
      router pairs show loan-approval --verdict mismatch --limit 3
      router pairs show loan-approval 4f2c9a
    """
    found = recent(session, name, limit, verdict=verdict, id=id)
    if id and not found:
        raise Failed(f"no such pair of a request {id!r} is in the log of {name}")
    session.show(found, lambda found: Group(*map(in_full, reversed(found))))


@pairs.command()
@click.argument("name")
@talks_to_router
def stats(session: Session, name: str) -> None:
    """Show how often the versions agree, and where they differ.

    \b
      router pairs stats loan-approval
    """
    session.show(session.admin.get(deployment_path(name, "comparison")), statistics)
