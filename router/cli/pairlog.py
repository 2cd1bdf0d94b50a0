"""What commands that read a pair log from its files share: where it lies, from when to when, what is damaged."""

import os
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from router.cli.client import Failed
from router.cli.parameters import MomentParameter
from router.cli.wording import number
from router.config.loader import load
from router.config.schema import Config
from router.errors import ConfigError
from router.pairs.comparators.base import VERDICTS
from router.pairs.extract import Extract, NoLog, Selection, log_files
from router.pairs.segments import Torn

ROOT = Path("var/pairs")
"""Where the log lies when nothing else is said: the default of `pairs.path` in the YAML."""


def selects_pairs(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options --verdict, --since and --until, as a Selection in `selection`."""

    @click.option("--verdict", type=click.Choice(VERDICTS), help="Only these.")
    @click.option("--since", type=MomentParameter(), help="Only pairs from then on: 2h, or 2026-01-31T09:00.")
    @click.option("--until", type=MomentParameter(), help="Only pairs before then.")
    @wraps(command)
    def with_selection(
        verdict: str | None, since: datetime | None, until: datetime | None, **arguments: Any
    ) -> None:
        command(selection=Selection(verdict, since, until), **arguments)

    return with_selection


def finds_log(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options --config and --from, as the root of the log in `root`."""

    @click.option("--config", "config", type=click.Path(path_type=Path), metavar="FILE",
                  help="The router's configuration, for its pairs.path.")  # fmt: skip
    @click.option("--from", "place", type=click.Path(path_type=Path), metavar="DIR",
                  help=f"Where the log lies, instead.  [default: {ROOT}]")  # fmt: skip
    @wraps(command)
    def with_root(config: Path | None, place: Path | None, **arguments: Any) -> None:
        if config and place:
            raise click.UsageError("give --config or --from: both say where the log lies")
        root = Path(configuration(config).pairs.path) if config else place or ROOT
        command(root=root, **arguments)

    return with_root


def configuration(path: Path) -> Config:
    """The configuration in a file. Ends the command with everything that is wrong with it, and exit code 2."""
    try:
        return load(path, os.environ).config
    except ConfigError as error:
        click.echo("\n".join(map(str, error.problems)), err=True)
        raise SystemExit(2) from None


def segments_of(root: Path, name: str) -> list[Path]:
    """The segments of one deployment under the root of a log; the root may be its directory itself."""
    directory = root / name
    return files_at(root if not directory.is_dir() and root.name == name else directory)


def files_at(place: Path) -> list[Path]:
    """The segments meant by a path. Raises Failed when there are none, or they may not be read."""
    try:
        files = log_files(place)
    except NoLog as error:
        raise Failed(str(error)) from None
    for file in files:
        if file.exists() and not os.access(file, os.R_OK):
            raise Failed(f"{file}: this user may not read it")
    return files


def say_damaged(extract: Extract) -> None:
    """Names on stderr what was left out, for none of it is in the result."""
    say_torn(extract.torn)
    if extract.damaged:
        click.echo(f"router: {number(extract.damaged, 'damaged line')} left out", err=True)


def say_torn(found: Iterable[Torn | str]) -> None:
    """The same of what was torn or damaged, also in the words of the router that read it."""
    for torn in found:
        click.echo(f"router: {torn}", err=True)
