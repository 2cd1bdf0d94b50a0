"""Printing for people, on a terminal or into a pipe."""

import click
from rich.console import Console, RenderableType

UNBOUNDED = 10_000
"""Columns of an output that is no terminal."""


def output() -> Console:
    """Standard output. Where it is no terminal nothing is wrapped."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = UNBOUNDED
    return console


def show(console: Console, shown: RenderableType) -> None:
    """Prints it without the blanks that fill a terminal's lines. Nothing is cut off."""
    with console.capture() as capture:
        console.print(shown, markup=False)
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))
