"""Commands that act on a rollout: rollback, promote, pause, resume, restart, share, switch."""

from typing import Any

import click
from rich.console import Group
from rich.text import Text

from router.cli.client import Session, deployment_path, talks_to_router
from router.cli.wording import PHASE_STYLES, number, percent
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
        lines.append(Text("warning: not written to the journal; a restart would forget it", "yellow"))
    return Group(*lines)


def act(session: Session, name: str, action: str, body: dict[str, Any] | None = None) -> None:
    """Posts the action and shows what took effect."""
    session.show(session.admin.post(deployment_path(name, action), body), outcome)


@click.command()
@click.argument("name")
@click.option("--reason", metavar="TEXT", default="", help="Kept in the history.")
@talks_to_router
def rollback(session: Session, name: str, reason: str) -> None:
    """Send all requests to the trusted version, at once.

    Possible in every phase. When this returns, no request that arrives later reaches the candidate. It stays
    so through edits and restarts, until the candidate changes or somebody says `router restart`.

    \b
      router rollback loan-approval --reason "wrong on small loans"
    """
    act(session, name, "rollback", {"reason": reason} if reason else None)


@click.command()
@click.argument("name")
@talks_to_router
def promote(session: Session, name: str) -> None:
    """Go on to the next step, or end a pause.

    \b
      router promote loan-approval
    """
    act(session, name, "promote")


@click.command()
@click.argument("name")
@talks_to_router
def pause(session: Session, name: str) -> None:
    """Stay at the present step until resumed.

    \b
      router pause loan-approval
    """
    act(session, name, "pause")


@click.command()
@click.argument("name")
@talks_to_router
def resume(session: Session, name: str) -> None:
    """Go on with a paused rollout.

    \b
      router resume loan-approval
    """
    act(session, name, "resume")


@click.command()
@click.argument("name")
@talks_to_router
def restart(session: Session, name: str) -> None:
    """Begin a rollout anew, also after a rollback.

    \b
      router restart loan-approval
    """
    act(session, name, "restart")


@click.command()
@click.argument("name")
@click.argument("candidate", metavar="SHARE", type=ShareParameter())
@talks_to_router
def share(session: Session, name: str, candidate: float) -> None:
    """Set the candidate's share by hand.

    SHARE is written 25% or 0.25.

    \b
      router share loan-approval 25%
    """
    act(session, name, "share", {"candidate": candidate})


@click.command()
@click.argument("name")
@click.argument("colour", type=click.Choice(["blue", "green"]))
@talks_to_router
def switch(session: Session, name: str, colour: str) -> None:
    """Make a colour live (blue-green).

    \b
      router switch loan-approval green
    """
    act(session, name, "switch", {"to": colour})
