"""Commands that act on a rollout: rollback, promote, pause, resume, restart, share, switch."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from rich.console import Group
from rich.text import Text

from router.cli.client import Session, deployment_path, talks_to_router
from router.cli.wording import PHASE_STYLES, number, percent, plain
from router.spec import parse_share


class ShareParameter(click.ParamType[float]):
    """A share as people write it, `25%` or `0.25`, as a fraction of 1."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_share(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


def outcome(answer: dict[str, Any]) -> Group:
    """What took effect: the phase, the shares, how fast, on how many workers; and what to worry about."""
    phase, workers = answer["phase"], answer["workers"]
    shares = ", ".join(f"{version} {percent(share)}" for version, share in answer["shares"].items())
    lines = [
        Text.assemble(
            (f"{answer['deployment']}: ", "bold"),
            (phase, f"bold {PHASE_STYLES.get(phase, '')}"),
            f": {shares}",
        ),
        Text(
            f"generation {answer['generation']}, in force after {answer['applied_ms']:.1f} ms "
            f"on {workers['confirmed']} of {number(workers['live'], 'worker')}"
        ),
    ]
    # A worker that does not confirm is killed: the change is in force all the same.
    if replaced := workers["live"] - workers["confirmed"]:
        late = (
            f"{number(replaced, 'worker')} did not confirm in time and {'was' if replaced == 1 else 'were'}"
        )
        lines.append(Text(f"warning: {late} replaced", "yellow"))
    if not answer["persisted"]:
        lines.append(Text("warning: not written to the journal; a restart may forget it", "yellow"))
    lines += [Text(f"warning: {plain(warning)}", "yellow") for warning in answer["warnings"]]
    return Group(*lines)


Act = Callable[[str, dict[str, Any]], None]
"""Posts an action with its body, and shows what took effect."""


def acts_on_deployment(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the argument NAME and the options all commands share, and an Act in their place."""

    @click.argument("name")
    @click.option("--reason", metavar="TEXT", default="", help="Kept in the history.")
    @click.option("--seen", type=click.IntRange(min=0), metavar="GENERATION", default=None,
                  help="Act only if the deployment has not changed since this generation.")  # fmt: skip
    @talks_to_router
    @wraps(command)
    def with_act(session: Session, name: str, reason: str, seen: int | None, **arguments: Any) -> None:
        def act(action: str, body: dict[str, Any]) -> None:
            more = {"reason": reason} if reason else {}
            session.show(session.admin.post(deployment_path(name, action), body | more, seen), outcome)

        command(act, **arguments)

    return with_act


@click.command()
@acts_on_deployment
def rollback(act: Act) -> None:
    """Send all requests to the trusted version, at once.

    Possible in every phase. When this returns, no request that arrives later reaches the candidate. It stays
    so through edits and restarts, until the candidate changes or somebody says `router restart`. Warns where the
    trusted version has no healthy endpoint, or more is in flight than it takes.

    \b
      router rollback loan-approval --reason "wrong on small loans"
    """
    act("rollback", {})


@click.command()
@click.option("--full", is_flag=True, help="To 100 % at once, whatever steps are left.")
@acts_on_deployment
def promote(act: Act, full: bool) -> None:
    """Go on to the next step, or end a pause.

    \b
      router promote loan-approval
      router promote loan-approval --full --reason "proven elsewhere"
    """
    act("promote", {"full": True} if full else {})


@click.command()
@acts_on_deployment
def pause(act: Act) -> None:
    """Stay at the present step until resumed.

    \b
      router pause loan-approval
    """
    act("pause", {})


@click.command()
@acts_on_deployment
def resume(act: Act) -> None:
    """Go on with a paused rollout.

    \b
      router resume loan-approval
    """
    act("resume", {})


@click.command()
@acts_on_deployment
def restart(act: Act) -> None:
    """Begin a rollout anew, also after a rollback.

    \b
      router restart loan-approval
    """
    act("restart", {})


@click.command()
@acts_on_deployment
@click.argument("candidate", metavar="SHARE", type=ShareParameter())
def share(act: Act, candidate: float) -> None:
    """Set the candidate's share by hand.

    SHARE is written 25% or 0.25.

    \b
      router share loan-approval 25%
    """
    act("share", {"candidate": candidate})


@click.command()
@acts_on_deployment
@click.argument("colour", type=click.Choice(["blue", "green"]))
def switch(act: Act, colour: str) -> None:
    """Make a colour live (blue-green).

    \b
      router switch loan-approval green
    """
    act("switch", {"to": colour})
