"""Entry point of `python -m bench`: run, report, guard, recorder, and a list of the scenarios."""

import argparse
import platform
import signal
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click
from rich.console import Console

import router
from bench import guard, load, recorder, report
from bench.install import install, versions
from bench.machine import Cores, describe, usable_cores
from bench.results import Outcome, Report, decode, encode
from bench.scenarios import Scenario, registered
from bench.session import FULL, QUICK, SMOKE, Effort, Session
from bench.tables import of_bars, of_outcome, show

LATEST = Path(__file__).with_name("results") / "latest.json"
DOCS = Path(__file__).parents[1] / "docs"

_EFFORTS = {effort.name: effort for effort in (SMOKE, QUICK, FULL)}


@click.group()
def main() -> None:
    """What a proxied request costs, beside the proxies people use today."""


@main.command()
@click.option("--effort", type=click.Choice(list(_EFFORTS)), default=QUICK.name, show_default=True)
@click.option(
    "--install/--no-install", "bring", default=True, help="Bring peers that are missing.  [default: yes]"
)
@click.option("--into", type=click.Path(path_type=Path, dir_okay=False), default=LATEST, help="The JSON.")
@click.argument("scenarios", nargs=-1)
def run(effort: str, bring: bool, into: Path, scenarios: tuple[str, ...]) -> None:
    """Measures SCENARIOS (all where none is named), shows the tables and writes every round as JSON."""
    console = Console(width=max(Console().width, 160), markup=False)
    chosen = _chosen(_EFFORTS[effort], scenarios)
    if bring:
        install(lambda line: console.print(line, style="dim", highlight=False))
    if load.missing():
        raise click.ClickException(f"wrk is not installed: {load.missing()}")
    try:
        cores = Cores.of(usable_cores())
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    signal.signal(signal.SIGTERM, _end)
    session = Session(_EFFORTS[effort], cores, console)
    began = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    result = Report(began, effort, describe(), _versions(), [])
    into.parent.mkdir(parents=True, exist_ok=True)
    for scenario in chosen:
        found = _outcome(session, scenario)
        if found is not None:
            result.outcomes.append(found)
            into.write_bytes(encode(result))  # each time: a long run that is ended keeps what it has
    _show(result, console)
    console.print(
        f"{time.monotonic() - session.began:.0f} s; every round: {into}; into the page: python -m bench report"
    )


@main.command("report")
@click.option(
    "--from", "source", type=click.Path(path_type=Path, dir_okay=False), default=LATEST, help="The JSON."
)
def write_report(source: Path) -> None:
    """Fills docs/performance.md, its chart and its JSON from the last run."""
    if not source.exists():
        raise click.ClickException(f"{source} is not there: make bench writes it")
    for path in report.write(decode(source.read_bytes()), DOCS):
        click.echo(path)


@main.command("guard")
@click.option("--store", is_flag=True, help="Accept what is measured as the new limit.")
def check(store: bool) -> None:
    """Counts what a request takes in bytecodes and calls, against the stored ratios to the bare proxy."""
    found = guard.measured()
    if store:
        guard.store(found)
    complaints = guard.complaints(found, guard.limits())
    click.echo("\n".join([*guard.described(found), *complaints]))
    sys.exit(bool(complaints))


@main.command("recorder")
@click.option("--rounds", default=5, show_default=True)
@click.option("--seconds", default=4, show_default=True)
def measure_recorder(rounds: int, seconds: int) -> None:
    """The recorder alone: pairs a second on one core."""
    recorder.main(argparse.Namespace(rounds=rounds, seconds=seconds))


@main.command("list")
def list_scenarios() -> None:
    """The scenarios."""
    for scenario in registered(FULL.streams):
        click.echo(f"{scenario.name:14} {scenario.about}")


def _end(signum: int, _: object) -> None:
    """Ends the run as an exception does, so that no proxy it started stays behind."""
    sys.exit(128 + signum)


def _chosen(effort: Effort, names: tuple[str, ...]) -> list[Scenario]:
    known = {scenario.name: scenario for scenario in registered(effort.streams)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.BadParameter(
            f"{', '.join(unknown)}; there are {', '.join(known)}", param_hint="SCENARIOS"
        )
    return [known[name] for name in names or known if names or name not in effort.without]


def _outcome(session: Session, scenario: Scenario) -> Outcome | None:
    """What it found; a scenario that fails is left out and said, the others go on."""
    began = time.monotonic()
    session.skipped.clear()
    try:
        outcome = scenario.run(session)
    except Exception as error:  # the edge of a run of many minutes
        session.console.print(f"{scenario.name} failed: {error!r}", style="red", highlight=False)
        return None
    outcome.skipped = [*session.skipped]
    outcome.seconds = time.monotonic() - began
    return outcome


def _versions() -> dict[str, str]:
    built = "compiled" if router.COMPILED else "not compiled"
    ours = {"router": f"{version('router')} ({built})", "Python": platform.python_version()}
    return ours | {name: version(name) for name in ("uvloop", "aiohttp")} | versions()


def _show(result: Report, console: Console) -> None:
    for outcome in result.outcomes:
        console.print()
        show(of_outcome(outcome), console)
    console.print()
    show(of_bars(result), console)
    found = ", ".join(f"{name} {number}" for name, number in result.versions.items())
    console.print(f"{result.date}, {result.effort}, {result.machine}; {found}", highlight=False)


if __name__ == "__main__":
    main(prog_name="bench")
