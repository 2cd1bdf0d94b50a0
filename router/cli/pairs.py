"""`router pairs`: look at paired answers, by the admin API."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from router.cli.client import Failed, Session, deployment_path, talks_to_router
from router.cli.comparison import stats
from router.cli.erase import erase
from router.cli.export import export
from router.cli.pairlog import say_torn
from router.cli.sql import sql
from router.cli.wording import number, plain

VERDICT_STYLES = {"match": "green", "mismatch": "red", "incomparable": "yellow"}
VERDICTS = click.Choice(list(VERDICT_STYLES))

POLL = 1.0
"""Seconds between two looks."""

POLLED = 500
"""Pairs asked for with every poll; what is written faster than that is skipped, and said to be."""

BODY = 400
"""Characters of a body that are shown."""

Pair = dict[str, Any]


@click.group()
def pairs() -> None:
    """Look at paired answers: tail, show, stats, export, sql, erase.

    \b
      router pairs tail loan-approval --verdict mismatch
    """


pairs.add_command(stats)
pairs.add_command(export)
pairs.add_command(sql)
pairs.add_command(erase)


def recent(session: Session, name: str, limit: int, said: set[str], **wanted: str | None) -> list[Pair]:
    """The newest pairs, newest first; `wanted` may name a verdict and a request id. What of the log is torn or damaged
    is named on stderr, but for what was `said` before."""
    query = {key: value for key, value in wanted.items() if value}
    answer = session.admin.get(deployment_path(name, "pairs"), limit=limit, **query)
    torn = answer.get("torn", ())
    say_torn(each for each in torn if each not in said)
    said.update(torn)
    found: list[Pair] = answer["pairs"]
    return found


def key_of(pair: Pair) -> tuple[str, str]:
    """What makes a pair itself: one request may have several shadows, and clients may repeat an id."""
    return pair["exchange"], pair["shadow"]["version"]


def one_line(pair: Pair) -> Text:
    """`12:00:01  mismatch      9f…  v1 200 4.1 ms  v2 200 9.3 ms`, in local time."""
    verdict = pair["verdict"]
    line = Text.assemble(
        (datetime.fromisoformat(pair["time"]).astimezone().strftime("%H:%M:%S"), "dim"),
        "  ",
        (f"{verdict:12}", VERDICT_STYLES.get(verdict, "")),
        f"  {plain(pair['id'])}",
    )
    for half in (pair["primary"], pair["shadow"]):
        line.append(f"  {half['version']} {half_text(half)}")
    return line


def first_difference(pair: Pair) -> str:
    """Where the answers differ first, and in how many other places; empty where they do not."""
    if not pair["differences"]:
        return ""
    more = len(pair["differences"]) - 1 + pair["differences_more"]
    return difference_text(pair["differences"][0]) + (f" and {more} more" if more > 0 else "")


def in_short(pair: Pair, width: int) -> Text:
    """A pair in one line; its difference in a second one where both together are wider than `width`."""
    line, difference = one_line(pair), first_difference(pair)
    if difference:
        fits = line.cell_len + len(difference) + 2 <= width
        line.append("  " if fits else "\n          ").append(difference)
    return line


def half_text(half: dict[str, Any]) -> str:
    if half["error"]:
        return plain(half["error"])
    return f"{half['status']} {half['latency_ms']:.1f} ms"


def difference_text(difference: dict[str, Any]) -> str:
    return f"{plain(difference['at'])}: {short(difference['primary'])} -> {short(difference['shadow'])}"


def short(value: Any, length: int = 60) -> str:
    """JSON in at most so many characters."""
    text = plain(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= length else text[: length - 3] + "..."


def in_full(pair: Pair) -> RenderableType:
    """Everything a person wants to know of one pair; a long body is cut after so many characters."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    request = pair["request"]
    if request is not None:
        table.add_row(
            "request", f"{request['method']} {plain(request['path'])}\n{short(request['body'], BODY)}"
        )
    for half in (pair["primary"], pair["shadow"]):
        table.add_row(half["version"], f"{half['endpoint'] or 'no endpoint'}\n{short(half['body'], BODY)}")
    for difference in pair["differences"]:
        table.add_row(Text("differs", "red"), Text(difference_text(difference), "red"))
    if pair["differences_more"]:
        table.add_row("", f"and in {number(pair['differences_more'], 'more place')}")
    return Group(one_line(pair), Padding(table, (0, 0, 1, 2), expand=False))


def news(session: Session, name: str, verdict: str | None, first: int) -> Iterator[list[Pair]]:
    """The last `first` pairs, then what came since the look before, oldest first, once a second."""
    said: set[str] = set()
    found = recent(session, name, POLLED, said, verdict=verdict)
    yield found[:first][::-1]
    while True:
        seen = {key_of(pair) for pair in found}
        time.sleep(POLL)
        found = recent(session, name, POLLED, said, verdict=verdict) or found
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
                    session.print(in_short(pair, session.console.width))


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
    found = recent(session, name, limit, set(), verdict=verdict, id=id)
    if id and not found:
        raise Failed(f"no such pair of a request {id!r} is in the log of {name}")
    session.show(found, lambda found: Group(*map(in_full, reversed(found))))
