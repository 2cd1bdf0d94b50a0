"""`router log-level`: what the log of a running router says at least."""

from typing import Any

import click

from router.cli.client import Session, talks_to_router
from router.logs import LEVELS


@click.command("log-level")
@click.argument(
    "level", required=False, type=click.Choice([each.lower() for each in LEVELS], case_sensitive=False)
)
@talks_to_router
def log_level(session: Session, level: str | None) -> None:
    """Show or set what the log of a running router says.

    Every process of the router follows at once: controller, workers and recorder, those that are started later
    too. When the router starts again, ROUTER_LOG_LEVEL counts.

    \b
      router log-level
      router log-level debug
    """
    if level is None:
        answer = session.admin.get("log-level")
    else:
        answer = session.admin.post("log-level", {"level": level})
    session.show(answer, _said)


def _said(answer: dict[str, Any]) -> str:
    return f"the log says {answer['level']} and above"
