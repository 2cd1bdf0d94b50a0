"""`router history`, and how events look."""

import time
from collections.abc import Iterator
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from router.cli.client import Session, deployment_path, talks_to_router
from router.cli.gates import gates_table
from router.cli.wording import PHASE_STYLES, milliseconds, moment, number, percent, plain


def events_table(events: list[dict[str, Any]]) -> Table:
    """A line for each event, in the order given: `12:42:21  rollback  -> rolled_back, 0%  by local: 3 a.m.`"""
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    now = time.time()
    for event in events:
        outcome = Text.assemble(
            "-> ", (event["phase"], PHASE_STYLES.get(event["phase"], "")), f", {percent(event['share'])}"
        )
        why = f": {plain(event['why'])}" if event["why"] else ""
        table.add_row(
            Text(moment(event["when"], now), "dim"),
            event["what"],
            outcome,
            Text(f"by {plain(event['who'])}{why}"),
        )
    return table


def events_with_evidence(events: list[dict[str, Any]]) -> Group:
    """Each event, and below it what the gates said and what was counted at that moment."""
    parts: list[RenderableType] = []
    for event in events:
        parts.append(events_table([event]))
        below = [*_counts(event["evidence"])]
        if event["gates"]:
            below.append(gates_table(event["gates"]))
        parts += [Padding(each, (0, 0, 0, 4), expand=False) for each in below]
    return Group(*parts)


def _counts(evidence: dict[str, Any]) -> Iterator[RenderableType]:
    """`v2  250 requests, 3 errors, p95 6.1 ms`, and the copies a version got."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for version, counts in evidence.items():
        for kind, requests, errors, p95 in (
            ("", counts["requests"], counts["errors"], counts["p95"]),
            ("copies", counts["shadow_requests"], counts["shadow_errors"], counts["shadow_p95"]),
        ):
            if requests:
                seen = f"{number(requests, 'request')}, {number(errors, 'error')}, p95 {milliseconds(p95)} ms"
                table.add_row(version, Text(f"{kind} {seen}".strip(), "dim"))
    if table.row_count:
        yield table


@click.command()
@click.argument("name")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="The newest so many."
)
@click.option("--evidence", is_flag=True, help="Also what the gates said, and what was counted by then.")
@talks_to_router
def history(session: Session, name: str, limit: int, evidence: bool) -> None:
    """Show what happened to a deployment: when, who, what and why.

    The newest first: local time, the event, the phase and the candidate's share after it, who or what caused
    it. Counts are since the router started. With --json everything, also which configuration was in force.

    \b
      router history loan-approval --limit 10
      router history loan-approval --evidence
    """
    answer = session.admin.get(deployment_path(name, "history"), limit=limit)
    shown = events_with_evidence if evidence else events_table
    session.show(answer, lambda answer: shown(answer["events"]) if answer["events"] else "no events yet")
