"""`router whatif`: other gates, run over what past rollouts counted."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from pydantic import ValidationError
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from router.cli.client import Failed, Session, deployment_path, talks_to_router
from router.cli.plan import trial_of
from router.cli.progress import share_bar
from router.cli.wording import PHASE_STYLES, moment, percent, plain
from router.config.again import spec_again
from router.config.explain import explain
from router.config.schema import DeploymentSpec
from router.config.snapshot import course_of
from router.config.source import read
from router.rollout.hindsight import Hindsight, look_back, rollouts
from router.rollout.samples import EvidenceSample
from router.rollout.steps import Guarded
from router.rollout.waiting import duration
from router.shares import SHARE_PARTS

_BEGINS = ("start", "replace", "restart", "switch")
_EVENTS = {
    "advance": ("advanced", "green"),
    "complete": ("completed", "green"),
    "soaked": ("promoted", "green"),
    "rollback": ("rolled back", "red"),
    "pause": ("paused", "yellow"),
    "hold": ("held", "yellow"),
}


def gates_in(file: Path) -> Guarded:
    """The gates in a file, with the keys beside them that say how they judge. Exits with all that is wrong, and with
    code 2."""
    source = read(file, os.environ)
    problems = source.problems
    if not problems:
        try:
            return Guarded.model_validate(source.values)
        except ValidationError as error:
            problems = explain(error, source, Guarded.model_json_schema())
    click.echo("\n".join(map(str, problems)), err=True)
    raise SystemExit(2)


def judged_by(spec: DeploymentSpec, gates: Guarded) -> DeploymentSpec:
    """The spec with these gates in place of its own, and with whatever else the file gives."""
    assert spec.rollout is not None
    known = type(spec.rollout).model_fields
    kept = {key: getattr(gates, key) for key in gates.model_fields_set if key in known}
    return spec.model_copy(update={"rollout": spec.rollout.model_copy(update=kept)})


def hindsights(name: str, spec: DeploymentSpec, samples: list[EvidenceSample]) -> Iterator[Hindsight]:
    """Every rollout there are samples of, in turn, as it would have gone under this spec."""
    course = course_of(name, spec)
    trial = trial_of(spec, course)
    found = rollouts(samples)
    with share_bar() as bar:
        task = bar.add_task("looking back", total=len(samples))
        for each in found:
            yield look_back(course, trial, each)
            bar.advance(task, len(each))


def real_end(events: list[dict[str, Any]], last: float) -> dict[str, Any] | None:
    """The event that says how a rollout really ended, or where it is: the newest before another one began. `events`
    of the history, newest first; `last` is when something was counted last (Unix time)."""
    ended = None
    for event in reversed(events):
        if event["when"] > last and event["what"] in _BEGINS:
            break
        ended = event
    return ended and {key: ended[key] for key in ("what", "phase", "share", "when", "who", "why")}


def as_data(found: Hindsight, events: list[dict[str, Any]]) -> dict[str, Any]:
    """One rollout as JSON-able data: shares as fractions, times in seconds of the rollout and Unix time. `events` of
    the history say how it really ended."""
    return {
        "candidate": found.candidate,
        "stable": found.stable,
        "first": found.first,
        "last": found.last,
        "really": real_end(events, found.last),
        "stays": [
            msgspec.to_builtins(stay)
            | {"share": stay.share / SHARE_PARTS, "mirror": stay.mirror / SHARE_PARTS}
            for stay in found.stays
        ],
    }


def hindsight_table(found: dict[str, Any]) -> RenderableType:
    """One rollout for people: what really happened, and below it what would have."""
    now, real = time.time(), found["really"]
    title = Text.assemble(
        (f"{found['candidate']} against {found['stable']}", "bold"),
        f"  {moment(found['first'], now)} to {moment(found['last'], now)}",
    )
    if real is not None:
        style = PHASE_STYLES.get(real["phase"], "")
        title.append_text(Text.assemble("  really ", (real["phase"], style), f" at {percent(real['share'])}"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("share", "copies", "for", "requests"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("would have", overflow="fold")
    for stay in found["stays"]:
        table.add_row(*_cells(stay))
    return Group(title, Padding(table, (0, 0, 0, 2), expand=False))


def _cells(stay: dict[str, Any]) -> Iterator[str | Text]:
    yield percent(stay["share"])
    yield percent(stay["mirror"]) if stay["mirror"] else ""
    yield duration(stay["until"] - stay["since"])
    yield str(stay["requests"])
    word, style = _EVENTS[stay["event"]]
    after = "" if stay["event"] == "hold" else f" after {duration(stay['at'] - stay['since'])}"
    yield Text.assemble((f"{word}{after}", style), f": {plain(stay['why'])}")


@click.command()
@click.argument("name")
@click.option("--gates", "file", required=True, type=click.Path(path_type=Path), metavar="FILE",
              help="YAML with the gates to try, as in a rollout.")  # fmt: skip
@talks_to_router
def whatif(session: Session, name: str, file: Path) -> None:
    """Run other gates over what past rollouts counted.

    FILE holds `gates`, and if wanted confidence, min_requests, on_fail, on_inconclusive and give_up, as they stand in
    a rollout; steps and holds are those in force. For each rollout the router has samples of, says at each exposure
    when those gates would have led on, held, or rolled back. What would have come after that nobody counted: so the
    rollout is followed to where it really went, and a rollback ends it. Times are as fine as the samples, ten seconds
    in a young rollout. Gates that ask elsewhere are taken to have passed.

    \b
      router whatif loan-approval --gates stricter.yaml
    """
    gates = gates_in(file)
    shown = session.admin.get(deployment_path(name))
    if not (shown["spec"] or {}).get("rollout"):
        raise Failed(f"{name} has no rollout")
    spec = judged_by(spec_again(shown["spec"]), gates)
    answer = session.admin.get(deployment_path(name, "samples"))
    samples = msgspec.convert(answer["samples"], list[EvidenceSample], strict=False)
    events = session.admin.get(deployment_path(name, "history"), limit=1000)["events"]
    found = [as_data(each, events) for each in hindsights(name, spec, samples)]
    session.show({"deployment": name, "rollouts": found}, _shown)


def _shown(answer: dict[str, Any]) -> RenderableType:
    if not answer["rollouts"]:
        return f"{answer['deployment']}: no rollout has counted anything yet"
    parts: list[RenderableType] = []
    for each in answer["rollouts"]:
        parts += [hindsight_table(each), ""]
    return Group(*parts[:-1])
