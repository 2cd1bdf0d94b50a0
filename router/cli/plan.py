"""`router plan`: a rollout as a timetable, before anything runs."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from router.cli.operate import ShareParameter
from router.cli.output import output, show
from router.cli.parameters import DurationParameter
from router.cli.wording import percent
from router.config.loader import load
from router.config.schema import DeploymentSpec
from router.config.snapshot import course_of, trials_of
from router.errors import ConfigError
from router.rollout import ramp
from router.rollout.course import Course
from router.rollout.evidence_state import Trial
from router.rollout.rehearsal import Leg, Traffic, rehearse
from router.rollout.waiting import duration
from router.shares import SHARE_PARTS

_COLUMNS = ("step", "share", "copies", "least", "in all", "about", "requests", "gates")


def trial_of(spec: DeploymentSpec, course: Course) -> Trial:
    """What is tried: of several shadows the first."""
    trials = trials_of(spec, course, ramp.reconcile(course, None))
    return trials[0] if trials else Trial(course.trusted, course.candidates[0])


def timetable(name: str, spec: DeploymentSpec, traffic: Traffic) -> dict[str, Any]:
    """The rehearsal of one rollout as JSON-able data: shares as fractions, times in seconds."""
    course = course_of(name, spec)
    legs = list(rehearse(course, trial_of(spec, course), traffic))
    steps, least, about = [], 0.0, 0.0
    for leg in legs:
        least += leg.least
        about += leg.lasts or 0.0
        steps.append(_row(leg, len(course.rungs), least, about))
    return {
        "deployment": name,
        "pattern": course.pattern,
        "stable": course.trusted,
        "candidate": ", ".join(course.candidates),
        "steps": steps,
        "least": least,
        "about": about if legs and not legs[-1].why else None,
        "ends": legs[-1].why if legs else "",
    }


def _row(leg: Leg, steps: int, least: float, about: float) -> dict[str, Any]:
    return {
        "step": "soak" if leg.step >= steps else leg.step + 1,
        "share": leg.share / SHARE_PARTS,
        "mirror": leg.mirror / SHARE_PARTS,
        "least": leg.least,
        "least_in_all": least,
        "promote": leg.person,
        "gates": list(leg.gates),
        "shown_after": leg.shown,
        "requests": leg.requests,
        "lasts": leg.lasts,
        "lasts_in_all": about,
        "why": leg.why,
    }


def plan_table(shown: dict[str, Any]) -> RenderableType:
    """One rollout for people."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in _COLUMNS:
        numeric = heading not in ("step", "gates")
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
    for step in shown["steps"]:
        table.add_row(*_cells(step))
    title = Text.assemble(
        (shown["deployment"], "bold"), f"  {shown['pattern']}  {shown['stable']} to {shown['candidate']}"
    )
    return Group(title, Padding(table, (0, 0, 0, 2), expand=False), *_endings(shown))


def _cells(step: dict[str, Any]) -> Iterator[str]:
    yield str(step["step"])
    yield percent(step["share"])
    yield percent(step["mirror"]) if step["mirror"] else ""
    yield "promote" if step["promote"] else duration(step["least"])
    yield duration(step["least_in_all"])
    yield "" if step["lasts"] is None else duration(step["lasts_in_all"])
    yield str(step["requests"] or "")
    yield ", ".join(step["gates"])


def _endings(shown: dict[str, Any]) -> Iterator[Text]:
    promotes = sum(step["promote"] for step in shown["steps"])
    waits = "" if not promotes else ", and as long as it takes to promote"
    least = f"  at least {duration(shown['least'])}{waits}"
    if shown["ends"]:
        yield Text(least)
        yield Text(f"  it does not end by itself: {shown['ends']}", "yellow")
    else:
        yield Text(f"{least}; about {duration(shown['about'])} at this traffic")


def _assumptions(traffic: Traffic) -> Text:
    return Text(
        f"assumed: {traffic.rps:g} requests/s, {percent(traffic.error_rate)} fail on either side, "
        f"{percent(traffic.agreement)} of the pairs agree, median latency {duration(traffic.latency)}",
        "dim",
    )


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("name", required=False)
@click.option("--rps", type=click.FloatRange(min=0, min_open=True), default=50.0, show_default=True,
              help="Requests a second, in all.")  # fmt: skip
@click.option("--error-rate", type=ShareParameter(), default="1%", show_default=True,
              help="The part that fails, on either side.")  # fmt: skip
@click.option("--agreement", type=ShareParameter(), default="99.5%", show_default=True,
              help="The part of the pairs that agree.")  # fmt: skip
@click.option("--latency", type=DurationParameter(), default="50ms", show_default=True, help="The median.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def plan(
    config: Path,
    name: str | None,
    rps: float,
    error_rate: float,
    agreement: float,
    latency: float,
    as_json: bool,
) -> None:
    """Print rollouts as timetables, at the traffic you expect.

    For each step of the rollouts in CONFIG (or of NAME alone): how long it lasts at least, what that adds up to, and
    at the traffic assumed about when its gates have all passed and how many requests the candidate needs for that.
    The real engine goes through average traffic; chance makes verdicts come earlier or later.

    \b
      router plan router.yaml
      router plan router.yaml loan-approval --rps 5 --error-rate 0.5%
    """
    traffic = Traffic(rps, error_rate, agreement, latency)
    shown = [timetable(each, spec, traffic) for each, spec in _rollouts(config, name).items()]
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    parts: list[RenderableType] = [_assumptions(traffic)]
    for each in shown:
        parts += ["", plan_table(each)]
    show(output(), Group(*parts))


def _rollouts(config: Path, name: str | None) -> dict[str, DeploymentSpec]:
    """The deployments asked for that have a rollout. Exits with what is wrong, and with code 2."""
    try:
        deployments = load(config, os.environ).config.deployments
    except ConfigError as error:
        click.echo("\n".join(map(str, error.problems)), err=True)
        raise SystemExit(2) from None
    found = {each: spec for each, spec in deployments.items() if spec.rollout and name in (None, each)}
    if not found:
        asked = "no deployment" if name is None else f"no deployment {name!r}"
        known = ", ".join(each for each, spec in deployments.items() if spec.rollout) or "none"
        raise click.UsageError(f"{config} has {asked} with a rollout; those that have one: {known}")
    return found
