"""Commands that look: status and history."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import click
from rich import box
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from router.cli.client import Session, deployment_path, talks_to_router

PHASE_STYLES = {
    "steady": "",
    "progressing": "cyan",
    "paused": "yellow",
    "soaking": "cyan",
    "promoted": "green",
    "rolled_back": "red",
}
EVERY = 1.0
"""Seconds between two looks with --watch."""

LAST_EVENTS = 5


def percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.4g} %"


def milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.1f}"


def moment(unix: float) -> str:
    """The time of day here, with the date."""
    return datetime.fromtimestamp(unix).strftime("%Y-%m-%d %H:%M:%S")


def ask(session: Session, name: str | None) -> dict[str, Any]:
    """What status shows: the deployments asked for, and how the configuration stands."""
    if name is None:
        deployments = session.admin.get("deployments")["deployments"]
    else:
        deployments = [session.admin.get(deployment_path(name))]
    return {"config": session.admin.get("config")["status"], "deployments": deployments}


def overview(answer: dict[str, Any]) -> RenderableType:
    """Configuration errors first, then a table of all versions; for one deployment its last events too."""
    parts: list[RenderableType] = []
    error = answer["config"]["error"]
    if error:
        parts.append(Text("The configuration on disk is refused; the one before it is in force:", "bold red"))
        parts.append(Text(f"{error}\n", "red"))
    deployments = answer["deployments"]
    parts.append(versions_table(deployments))
    if len(deployments) == 1:
        parts.append(Text(f"  waits for {deployments[0]['waits_for']}"))
        parts.append(events_table(deployments[0]["events"][:LAST_EVENTS]))
    return Group(*parts)


def versions_table(deployments: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("deployment", "pattern", "phase", "step", "version"):
        table.add_column(heading)
    for heading in ("share", "requests", "errors", "p50 ms", "p95 ms", "copies", "agreement"):
        table.add_column(heading, justify="right")
    for deployment in deployments:
        heads = deployment_cells(deployment)
        for version, share in deployment["shares"].items():
            table.add_row(*heads, version, percent(share), *count_cells(deployment["evidence"].get(version)))
            heads = ("",) * len(heads)
        table.add_section()
    return table


def deployment_cells(deployment: dict[str, Any]) -> tuple[str | Text, ...]:
    phase = deployment["phase"]
    return (
        Text(deployment["name"], "bold"),
        deployment["pattern"],
        Text(phase, PHASE_STYLES.get(phase, "")),
        step_text(deployment),
    )


def step_text(deployment: dict[str, Any]) -> str:
    """`2/4` while there is a step, counted from 1; a dash where there is none."""
    steps = deployment["steps"]
    return f"{min(deployment['step'] + 1, steps)}/{steps}" if steps else "-"


def count_cells(counts: dict[str, Any] | None) -> tuple[str | Text, ...]:
    if counts is None:
        return ("0", "0", "-", "-", "0", "-")
    return (
        str(counts["requests"]),
        Text(str(counts["errors"]), "red" if counts["errors"] else ""),
        milliseconds(counts["p50"]),
        milliseconds(counts["p95"]),
        str(counts["shadow_requests"]),
        percent(counts["agreement"]),
    )


def events_table(events: list[dict[str, Any]]) -> Table:
    """Newest first, as the router gives them."""
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("when", "who", "what", "phase", "share", "why"):
        table.add_column(heading)
    for event in events:
        table.add_row(
            moment(event["when"]),
            event["who"],
            event["what"],
            Text(event["phase"], PHASE_STYLES.get(event["phase"], "")),
            percent(event["share"]),
            event["why"],
        )
    return table


def looks(look: Callable[[], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What there is to see, once a second, for ever."""
    while True:
        yield look()
        time.sleep(EVERY)


@click.command()
@click.argument("name", required=False)
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
@talks_to_router
def status(session: Session, name: str | None, watch: bool) -> None:
    """Show what every deployment, or one, is doing.

    With NAME its last events too. An error in the configuration on disk stands at the top.

    \b
      router status
      router status loan-approval --watch
    """
    if not watch:
        session.show(ask(session, name), overview)
        return
    with suppress(KeyboardInterrupt):
        if session.as_json:
            for answer in looks(lambda: ask(session, name)):
                click.echo(json.dumps(answer))
        with Live(console=session.console, auto_refresh=False) as live:
            for answer in looks(lambda: ask(session, name)):
                live.update(overview(answer), refresh=True)


@click.command()
@click.argument("name")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="The newest so many."
)
@talks_to_router
def history(session: Session, name: str, limit: int) -> None:
    """Show what happened to a deployment: when, who, what and why.

    The newest first. With --json also on what evidence, and which configuration was in force.

    \b
      router history loan-approval --limit 10
    """
    answer = session.admin.get(deployment_path(name, "history"), limit=limit)
    session.show(answer, lambda answer: events_table(answer["events"]))
