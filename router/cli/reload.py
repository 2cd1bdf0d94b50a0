"""`router reload`: read the configuration again, or put new processes in the place of the workers."""

from typing import Any

import click
from rich.text import Text

from router.cli.client import Session, talks_to_router
from router.cli.wording import number


def reloaded(answer: dict[str, Any]) -> Text:
    return Text(f"configuration {answer['digest']} is in force, generation {answer['generation']}")


def replaced(answer: dict[str, Any]) -> Text:
    return Text(f"{number(answer['replaced'], 'worker')} replaced; those before finish what they have")


@click.command()
@click.option("--workers", is_flag=True, help="Replace the worker processes instead, one after the other.")
@talks_to_router
def reload(session: Session, workers: bool) -> None:
    """Read the configuration again, or replace the workers.

    Without options it does at once what an edit of the files or SIGHUP does. With --workers no file is read: each
    worker gets a new process in its place, which runs the program as it is on disk now. No connection is refused
    and no request dropped: the one before finishes what it has.

    \b
      router reload
      router reload --workers
    """
    if workers:
        session.show(session.admin.wait_post("workers/replace"), replaced)
    else:
        session.show(session.admin.post("config/reload"), reloaded)
