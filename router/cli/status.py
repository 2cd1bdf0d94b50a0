"""`router status`: what is wrong, what each deployment is doing, what it waits for, what to type next."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NoReturn

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from router.cli.client import Failed, Session, deployment_path, talks_to_router
from router.cli.gates import gates_table
from router.cli.history import events_table
from router.cli.trouble import condition, problems
from router.cli.watching import NO_PULSE, Picture, Shown, stale, urgency
from router.cli.wording import PHASE_STYLES, milliseconds, moment, number, percent, plain
from router.rollout.phase import place

EVERY = 1.0
"""Seconds between two looks with --watch."""

LAST_EVENTS = 5

_HEADINGS = ("share", "requests", "errors", "p50 ms", "p95 ms", "agreement")
_NO_COUNTS = {
    "requests": 0, "errors": 0, "p50": None, "p95": None,
    "shadow_requests": 0, "shadow_errors": 0, "shadow_p50": None, "shadow_p95": None, "agreement": None,
}  # fmt: skip

_UNDO = ("rollback", "all to {trusted} at once")
_PROMOTE = ("promote", "the next step now")
NEXT = {
    "progressing": (_UNDO, ("pause", "stay at this step"), _PROMOTE),
    "paused": (_UNDO, ("resume", "go on"), _PROMOTE),
    "soaking": (_UNDO, ("promote", "end the soak now")),
    "promoted": (_UNDO,),
    "rolled_back": (("restart", "begin again"), ("history", "what happened")),
}
"""Commands that make sense in a phase, the most urgent first, and what they do."""


def ask(session: Session, name: str | None) -> dict[str, Any]:
    """What status shows: what is wrong, the deployments asked for, and how the configuration stands."""
    if name is None:
        deployments = session.admin.get("deployments")["deployments"]
    else:
        deployments = [session.admin.get(deployment_path(name))]
    config = session.admin.get("config")
    found = condition(session.admin.metrics())
    return {
        "problems": problems(config, found),
        "workers": found.workers,
        "config": config["status"],
        "deployments": deployments,
    }


def overview(answer: dict[str, Any], more: str = "") -> RenderableType:
    """How the router is, then every deployment; one alone in detail. `more`: options for commands to type."""
    deployments = answer["deployments"]
    alone = len(deployments) == 1
    parts: list[RenderableType] = [*condition_lines(answer)]
    for deployment in deployments:
        parts += ["", headline(deployment), _indented(versions_table(deployment))]
        parts.append(Padding(Text(f"waits for {plain(deployment['waits_for'])}"), (0, 0, 0, 2)))
        if deployment["gates"]:
            parts.append(_indented(gates_table(deployment["gates"])))
        parts.append(_indented(events_table(deployment["events"][: LAST_EVENTS if alone else 1])))
        if alone:
            parts += ["", _indented(commands_table(deployment, more))]
    if len(deployments) > 1:
        parts += ["", Text(f"router status NAME{more} shows events and what can be done next", "dim")]
    return Group(*parts)


def condition_lines(answer: dict[str, Any]) -> Iterator[Text]:
    """`2 workers serving, configuration of 12:44:20, no problems`, and a line for each there is."""
    wrong = answer["problems"]
    yield Text.assemble(
        f"{number(answer['workers'].get('serving', 0), 'worker')} serving, configuration of "
        f"{moment(answer['config']['loaded_at'], time.time())}, ",
        (number(len(wrong), "problem"), "bold red") if wrong else ("no problems", "green"),
    )
    for problem in wrong:
        first, *rest = problem.splitlines()
        yield Text.assemble(("! ", "bold red"), (first, "red"))
        yield from (Text(f"  {line}", "red") for line in rest)


def headline(deployment: dict[str, Any]) -> Text:
    """`loan  canary  progressing  step 2 of 3  v2 at 20%`"""
    phase = deployment["phase"]
    words: list[str | tuple[str, str]] = [
        (deployment["name"], "bold"),
        f"  {deployment['pattern'] or 'proxied'}  ",
    ]
    words.append((phase, f"bold {PHASE_STYLES.get(phase, '')}"))
    at = place(phase, deployment["step"], deployment["steps"])
    words += [f"  {part}" for part in (at, share_text(deployment)) if part]
    return Text.assemble(*words)


def share_text(deployment: dict[str, Any]) -> str:
    """Who answers, and what is copied."""
    candidates = ", ".join(deployment["candidates"])
    copied = percent(deployment["mirror"])
    if not candidates:
        return f"{deployment['live']} answers all"
    if deployment["pattern"] == "shadow":
        return f"copies of {copied} to {candidates}"
    text = f"{candidates} at {percent(deployment['share'])}"
    return f"{text}, {copied} copied" if deployment["mirror"] else text


def roles(deployment: dict[str, Any]) -> dict[str, str]:
    """What each version is in its rollout, by the words of the YAML."""
    rollout = (deployment["spec"] or {}).get("rollout") or {}
    named = {
        rollout[role]: role for role in ("stable", "candidate", "primary", "blue", "green") if role in rollout
    }
    return dict.fromkeys(rollout.get("shadows", ()), "shadow") | named


def versions_table(deployment: dict[str, Any]) -> Table:
    """A row for what a version answered, and one for the copies it got."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("version", overflow="fold")
    table.add_column("")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    role = roles(deployment)
    for version, share in deployment["shares"].items():
        counts = _NO_COUNTS | deployment["evidence"].get(version, {})
        name = version
        if share or counts["requests"] or not counts["shadow_requests"]:
            live = (counts["requests"], counts["errors"], counts["p50"], counts["p95"])
            table.add_row(name, role.get(version, ""), percent(share), *_count_cells(*live), "")
            name = ""
        if counts["shadow_requests"]:
            copies = (
                counts["shadow_requests"], counts["shadow_errors"], counts["shadow_p50"], counts["shadow_p95"]
            )  # fmt: skip
            table.add_row(name, "copies", "", *_count_cells(*copies), percent(counts["agreement"]))
    return table


def _count_cells(requests: int, errors: int, p50: float | None, p95: float | None) -> tuple[str | Text, ...]:
    return str(requests), Text(str(errors), "red" if errors else ""), milliseconds(p50), milliseconds(p95)


def commands_table(deployment: dict[str, Any], more: str) -> Table:
    """What a person may want to do now, and the command as it has to be typed."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(style="bold", overflow="fold")
    name, pattern, phase = deployment["name"], deployment["pattern"], deployment["phase"]
    for action, meaning in NEXT.get(phase, ()):
        if pattern != "shadow" or action != "promote":
            table.add_row(
                f"{meaning.format(trusted=deployment['trusted'])}:", f"router {action} {name}{more}"
            )
    if pattern == "blue_green" and phase in ("steady", "promoted"):
        role = roles(deployment)
        for version in deployment["shares"]:
            if version != deployment["live"] and version in role:
                table.add_row(f"make {version} live:", f"router switch {name} {role[version]}{more}")
    return table


def _indented(table: Table) -> Padding:
    return Padding(table, (0, 0, 0, 2), expand=False)


def _watch(session: Session, name: str | None, first: dict[str, Any]) -> None:
    """Shows a look, and another every second, for ever; a router that is away for a while is waited for."""
    if session.console.is_terminal:
        _watch_on_screen(session, name)
    look: RenderableType = overview(first, session.options)
    while True:
        session.print(Group(look, ""))
        time.sleep(EVERY)
        try:
            look = overview(ask(session, name), session.options)
        except Failed as error:
            look = Text(f"router: {error.message}")


def _watch_on_screen(session: Session, name: str | None) -> NoReturn:
    """The last picture stays while there is no newer one, and says how old it is."""
    top: list[Text] = []
    shown: list[Shown] = []
    at, trouble = time.monotonic(), ""
    with Live(console=session.console, auto_refresh=False, screen=True) as live:
        while True:
            try:
                top, shown = picture_of(session, name)
                at, trouble = time.monotonic(), ""
            except Failed as error:
                trouble = error.message
            warning = [stale(trouble, time.monotonic() - at)] if trouble else []
            live.update(Picture([*warning, *top], shown), refresh=True)
            time.sleep(EVERY)


def picture_of(session: Session, name: str | None) -> tuple[list[Text], list[Shown]]:
    """How the router is, and every deployment asked for with what it did lately."""
    answer, pulses = ask(session, name), session.admin.get("trends")["deployments"]
    return list(condition_lines(answer)), [
        Shown(each, pulses.get(each["name"], NO_PULSE), headline(each), roles(each))
        for each in sorted(answer["deployments"], key=urgency)
    ]


@click.command()
@click.argument("name", required=False)
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
@talks_to_router
def status(session: Session, name: str | None, watch: bool) -> None:
    """Show what every deployment, or one, is doing.

    What is wrong stands at the top: a refused configuration, workers that do not serve, unhealthy endpoints,
    changes that are not on disk. With NAME also the last events and what to type next. --watch fills the screen:
    what each version did in the last half minute, and requests a second of the last minutes as a line.

    Requests, errors and latencies are of all answers since the router started. A row `copies` counts the copies
    a version got beside the live answers; agreement is the part of them that was answered alike.

    \b
      router status
      router status loan-approval --watch
    """
    answer = ask(session, name)
    if not watch:
        session.show(answer, lambda answer: overview(answer, session.options))
        return
    with suppress(KeyboardInterrupt):
        while session.as_json:
            click.echo(json.dumps(answer))
            time.sleep(EVERY)
            answer = ask(session, name)
        _watch(session, name, answer)
