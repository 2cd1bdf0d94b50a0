"""`router demo`."""

from pathlib import Path

import click

from router.cli.client import Failed
from router.demo.run import play
from router.demo.script import PATTERNS
from router.errors import RouterError


@click.command()
@click.argument("pattern", type=click.Choice(PATTERNS), default="canary")
@click.option(
    "--duration", type=click.FloatRange(min=1.0), metavar="SECONDS", help="End by itself, with a summary."
)
@click.option("--dir", "root", type=click.Path(path_type=Path, file_okay=False), default=Path("var/demo"),
              show_default=True, help="Where state, pairs and logs go, in a new directory each time.")  # fmt: skip
def demo(pattern: str, duration: float | None, root: Path) -> None:
    """See a pattern at work with two sample models and visible traffic.

    Starts two versions of a small classifier, a router in front of them and clients that ask it, on ports that
    are free, and shows what happens until Ctrl-C. Version 2 decides otherwise on a known part of the requests
    and is 5 ms slower. The canary goes through its steps, is rolled back after 16 seconds, begins again and is
    yours then; blue-green switches there and back. The commands to try from another terminal are shown.

    \b
      router demo
      router demo shadow --duration 20
    """
    try:
        play(pattern, duration, root)
    except RouterError as error:
        raise Failed(str(error)) from None
