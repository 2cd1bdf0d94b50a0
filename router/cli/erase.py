"""`router pairs erase`: one subject's records, out of the whole pair log."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType
from rich.text import Text

from router.cli.client import Failed, Session, deployment_path, talks_to_router
from router.cli.erase_files import erase_files
from router.cli.progress import bytes_bar
from router.cli.wording import number

POLL = 0.1
"""Seconds between two looks at how far it is."""

State = dict[str, Any]


@click.command()
@click.argument("name", required=False, default="")
@click.option(
    "--key", required=True, help="The subject's key, as its requests had it; - reads it from standard input."
)
@click.option("--hash-key", envvar="ROUTER_HASH_KEY", show_envvar=True, default="", metavar="KEY",
              help="An earlier key of pairs.hash, where records were written under it.")  # fmt: skip
@click.option("--from", "place", type=click.Path(path_type=Path), metavar="DIR",
              help="A log that no router writes, such as one under an earlier pairs.path.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask first.")
@talks_to_router
def erase(session: Session, name: str, key: str, hash_key: str, place: Path | None, yes: bool) -> None:
    """Erase a subject's records from the pair log: open, closed and compressed files, and the spool.

    Without NAME from the logs of all deployments, also of those that are in the configuration no more. The subject is
    known by `pairs.subject`, or by the rollout's sticky header or cookie. This cannot be undone. It ends once the data
    is gone from the router's disk; what other sinks were given, they keep. Exit code 2 says that files were held by
    another process: run it again later. With --from no router is asked.

    \b
      router pairs erase --key user-4711
      router pairs erase loan-approval --key - < subject.txt
      router pairs erase --key user-4711 --from /var/lib/router/pairs.old
    """
    if key_is_piped := key == "-":
        # As the shell ends its lines: a newline is part of no key.
        key = sys.stdin.read().rstrip("\r\n")
    if not (yes or session.as_json or key_is_piped):
        where = (name or "every deployment") + (f" at {place}" if place else "")
        click.confirm(
            f"Erase the records of this subject from the pair log of {where}?", abort=True, err=True
        )
    if place:
        state = erase_files(place, name, key, hash_key)
    else:
        path = deployment_path(name, "pairs", "erase") if name else "pairs/erase"
        more = {"hash_key": hash_key} if hash_key else {}
        state = _until_done(session, path, session.admin.post(path, {"key": key} | more))
    if state["error"]:
        raise Failed(f"{state['error']} ({number(state['removed'], 'record')} erased)")
    if session.as_json:
        click.echo(json.dumps(state, indent=2))
    else:
        session.print(outcome(state, hash_key))
    if state["busy"]:
        raise click.exceptions.Exit(2)


def outcome(state: State, hash_key: str) -> RenderableType:
    """What was done, what could not be told, and what was not looked at."""
    said = Text(
        f"{number(state['removed'], 'record')} erased, {number(state['segments'], 'file')} written anew"
    )
    if state["unattributed"]:
        whose = "does not say whose it is" if state["unattributed"] == 1 else "do not say whose they are"
        said.append(
            f"\n{number(state['unattributed'], 'record')} {whose}: no live half, or no such header, cookie or value "
            "in the request, or one that is hidden",
            "yellow",
        )
    if state["undelivered"]:
        said.append(f"\n{number(state['undelivered'], 'record')} on the way to other sinks", "yellow")
    if state["busy"]:
        said.append(f"\n{number(state['busy'], 'file')} held by another process: run this again later", "red")
    if (names := state.get("unconfigured")) and not hash_key:
        said.append(
            f"\nno key of pairs.hash is known for {', '.join(names)}: if there was one, give it with --hash-key to "
            "find the records written under it. Those without a hash of their subject are found where pairs.subject "
            "once said what names it; if it never did, add the deployment to the configuration, with it",
            "yellow",
        )
    if log := state.get("log"):
        said.append(
            f"\nlooked at {log}; a log elsewhere, as under an earlier pairs.path, needs --from DIR", "dim"
        )
    return said


def _until_done(session: Session, path: str, state: State) -> State:
    with bytes_bar() as progress:
        task = progress.add_task("waiting for what is on its way", total=None)
        while not state["finished"]:
            time.sleep(POLL)
            state = session.admin.get(f"{path}/{state['number']}")
            if state["total"]:
                progress.update(task, description="erasing", total=state["total"], completed=state["done"])
    return state
