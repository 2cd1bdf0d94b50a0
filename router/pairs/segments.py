"""The files of one deployment's pair log: their names, their order, and their lines.

    <pairs.path>/<deployment>/<utc start>-<seq>.jsonl        being written, or not packed yet
    <pairs.path>/<deployment>/<utc start>-<seq>.jsonl.zst    packed

Names sort in the order of writing. Packing is atomic: both files exist for a moment, never a part of one.
"""

import fcntl
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import zstandard

from router.pairs.packed import CutShort, unpacked

PLAIN = ".jsonl"
PACKED = ".jsonl.zst"
TORN = "a line is torn"
"""What is wrong with a line that has no newline."""

_BLOCK = 1 << 18


def deployments(path: Path) -> list[Path]:
    """The directories of the deployments that have a pair log under this root, by name."""
    try:
        return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    except FileNotFoundError:
        return []


def segments(directory: Path) -> list[Path]:
    """The segments of a deployment, oldest first, each once; none when there is no such directory."""
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found: dict[str, Path] = {}
    for name in sorted(names):  # x.jsonl sorts before x.jsonl.zst, so the packed one wins
        if not name.startswith(".") and name.endswith((PLAIN, PACKED)):
            found[stem(name)] = directory / name
    return [found[key] for key in sorted(found)]


def stem(name: str) -> str:
    """A segment's name without its suffixes."""
    return name.removesuffix(".zst").removesuffix(PLAIN)


class Torn(NamedTuple):
    """What a reader had to leave out of a segment: from this byte on (of its plain text), and why."""

    path: Path
    at: int
    why: str

    def __str__(self) -> str:
        return f"{self.path}: from byte {self.at} on {self.why}, left out"


def unnoted(torn: Torn) -> None:
    """For those who need not know."""


def lines(path: Path, note: Callable[[Torn], None] = unnoted) -> Iterator[bytes]:
    """The whole lines of a segment in order. Left out and noted: a torn last line, unless it is being written now,
    and all from the block with a damage on."""
    at = 0
    with _open_segment(path) as file:
        try:
            for line in file:
                if line.endswith(b"\n"):
                    yield line
                elif not is_being_written(path):
                    note(Torn(path, at, TORN))
                at += len(line)
        except CutShort:
            note(Torn(path, at, "the packed file is cut short"))
        except zstandard.ZstdError:
            note(Torn(path, at, "the packed file is damaged"))


def lines_backwards(path: Path) -> Iterator[bytes]:
    """The whole lines of a plain segment, last first. Holds one block and one line."""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        rest = b""
        torn = True  # what follows the last newline
        while position > 0:
            step = min(_BLOCK, position)
            position -= step
            file.seek(position)
            first, *others = (file.read(step) + rest).split(b"\n")
            for line in reversed(others):
                if not torn:
                    yield line + b"\n"
                torn = False
            rest = first
        if not torn and rest:
            yield rest + b"\n"


def torn_end(path: Path) -> Torn | None:
    """The last line of a plain segment, where a crash cut it off: told by the last byte, so that it costs nothing."""
    try:
        with path.open("rb") as file:
            at = file.seek(0, os.SEEK_END)
            if at == 0 or _before(file, at).endswith(b"\n") or is_being_written(path):
                return None
            while at > 0:
                block = _before(file, at)
                if (found := block.rfind(b"\n")) >= 0:
                    return Torn(path, at - len(block) + found + 1, TORN)
                at -= len(block)
            return Torn(path, 0, TORN)
    except FileNotFoundError:
        return None


def is_being_written(path: Path) -> bool:
    """Whether its writer holds it (`sinks.jsonl` locks what it writes)."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def _open_segment(path: Path) -> BinaryIO:
    """Opens a segment for reading its plain lines; also when it is packed or removed at this moment.

    A segment that is gone reads as an empty one.
    """
    for candidate in (path, path.with_name(stem(path.name) + PACKED)):
        try:
            file = candidate.open("rb")
        except FileNotFoundError:
            continue
        if not candidate.name.endswith(PACKED):
            return file
        return unpacked(file)
    return io.BytesIO()


def _before(file: BinaryIO, at: int) -> bytes:
    size = min(at, _BLOCK)
    file.seek(at - size)
    return file.read(size)
