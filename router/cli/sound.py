"""Packed segments that are cut short or damaged, in a form that DuckDB reads: it would end its query at a damage, and
leave out more than is missing of a file that is cut short. What can be read of them lies in memory, where DuckDB
takes it for a file: nothing of a pair log is written elsewhere on a disk.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from router.cli.progress import bytes_bar
from router.pairs.segments import PACKED, Torn, lines, torn_end


class Sound(NamedTuple):
    """Files with every pair that can be read, and what was left out of them."""

    paths: list[Path]
    torn: list[Torn]


@contextmanager
def sound(paths: Sequence[Path]) -> Iterator[Sound]:
    """These segments, the unsound ones replaced. Reads all packed ones, some GB in a second, with a progress bar; of
    plain ones DuckDB leaves out the torn line itself."""
    found = Sound([], [])
    with ExitStack() as held:
        with bytes_bar() as progress:
            task = progress.add_task("checking", total=sum(map(_size, paths)))
            for path in paths:
                found.paths.append(_checked(path, found.torn.append, held))
                progress.update(task, advance=_size(path))
        yield found


def _checked(path: Path, note: Callable[[Torn], None], held: ExitStack) -> Path:
    if not path.name.endswith(PACKED):
        if (torn := torn_end(path)) is not None:
            note(torn)
        return path
    notes: list[Torn] = []
    for _ in lines(path, notes.append):
        pass
    if not notes:
        return path
    note(notes[0])
    file = held.enter_context(os.fdopen(os.memfd_create("pairs"), "wb"))
    file.writelines(lines(path))
    file.flush()
    return Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # packed or expired since it was listed
        return 0
