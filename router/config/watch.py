"""Seeing that the configuration changed. Floor 3; the one place of it that waits (on asyncio, by watchfiles).

What is watched is the directory: an editor renames a new file over the old one, and a ConfigMap mount swaps a
symlink beside it, both of which a watch on the file itself would miss. What counts is the content: other
files in that directory (a database, an editor's backup) wake nobody.
"""

from collections.abc import AsyncGenerator
from pathlib import Path

from watchfiles import awatch

from router.config.source import fingerprint

DEBOUNCE_MS = 100
"""A change is looked at once nothing has happened for a moment, after this time at the latest."""
LOOK_EVERY_MS = 500
"""Without any event the files are looked at this often: network file systems send none, nor does a directory
elsewhere that a symlink leads to."""


def watch(path: Path) -> AsyncGenerator[None, None]:
    """Yields once after each change of the configuration at `path`, a file or a directory of files.

    Changes count from this call on, so call it before `load`: nothing is missed between the two.
    The directory must exist when the iteration begins (FileNotFoundError otherwise).
    """
    directory = path if path.is_dir() else path.parent
    return _changes(path, directory, fingerprint(path))


async def _changes(path: Path, directory: Path, seen: bytes) -> AsyncGenerator[None, None]:
    looks = awatch(
        directory,
        watch_filter=None,
        recursive=False,
        debounce=DEBOUNCE_MS,
        step=20,
        rust_timeout=LOOK_EVERY_MS,
        yield_on_timeout=True,
    )
    async for _ in looks:
        now = fingerprint(path)
        if now != seen:
            seen = now
            yield
