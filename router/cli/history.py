"""`router history`, and how events look."""

import time
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from router.cli.client import Session, deployment_path, talks_to_router
from router.cli.wording import PHASE_STYLES, moment, percent, plain


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


@click.command()
@click.argument("name")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="The newest so many."
)
@talks_to_router
def history(session: Session, name: str, limit: int) -> None:
    """Show what happened to a deployment: when, who, what and why.

    The newest first: local time, the event, the phase and the candidate's share after it, who or what caused
    it. With --json also on what evidence, and which configuration was in force.

    \b
      router history loan-approval --limit 10
    """
    answer = session.admin.get(deployment_path(name, "history"), limit=limit)
    session.show(
        answer, lambda answer: events_table(answer["events"]) if answer["events"] else "no events yet"
    )
