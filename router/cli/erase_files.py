"""`router pairs erase --from DIR`: in the files of a log that no router writes any more."""

from pathlib import Path
from typing import Any

import click
from msgspec.structs import asdict

from router.channel import Erasing
from router.cli.client import Failed
from router.cli.progress import bytes_bar
from router.cli.wording import number
from router.pairs.erasure import Finder, erase, files, undelivered
from router.pairs.segments import deployments
from router.pairs.sources import Sources
from router.pairs.spool import DIRECTORY as SPOOL
from router.pairs.subject import Subjects


def erase_files(root: Path, name: str, key: str, hash_key: str) -> dict[str, Any]:
    """Erases in the log under this root, of one deployment or of all; says what a router would say. Raises Failed."""
    sources = Sources(root)
    finders = {
        each: Finder(Subjects(sources.of(each), hash_key.encode()), key) for each in _deployments(root, name)
    }
    wanted = {path: finder for each, finder in finders.items() for path in files(root / each)}
    try:
        with bytes_bar() as progress:
            task = progress.add_task("erasing", total=None)
            erased = erase(wanted, lambda done, total: progress.update(task, completed=done, total=total))
        left = undelivered(root, finders)
    except OSError as error:
        raise Failed(f"not all is erased: {error}") from None
    _say_left_over(root)
    return asdict(
        Erasing(
            0,
            removed=erased.removed,
            segments=erased.segments,
            unattributed=erased.unattributed,
            undelivered=left,
            busy=erased.busy,
            log=str(root.absolute()),
            unconfigured=tuple(finders),
            finished=True,
        )
    )


def _say_left_over(root: Path) -> None:
    """Captures that a killed recorder has left are no records yet."""
    left = [path for path in (root / SPOOL).glob("*.spool") if path.stat().st_size]
    if left:
        click.echo(
            f"router: {number(len(left), 'file')} of captures in {root / SPOOL} not looked at: a recorder that "
            "was killed has left them, and the next one with this pairs.path makes records of them",
            err=True,
        )


def _deployments(root: Path, name: str) -> list[str]:
    logged = [directory.name for directory in deployments(root)]
    if name and name not in logged:
        raise Failed(
            f"there is no pair log of {name} at {root}; there is one of: {', '.join(logged) or 'none'}"
        )
    if not logged:
        raise Failed(f"there is no pair log at {root}")
    return [name] if name else logged
