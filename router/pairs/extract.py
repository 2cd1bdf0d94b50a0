"""Takes lines out of a pair log: which files, which pairs, how far it has come, what was damaged.

Lines are handed on as they stand in the log, so that what is copied is not changed.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from router.errors import RouterError
from router.pairs.segments import PACKED, PLAIN, Torn, deployments, lines, segments


class NoLog(RouterError):
    """There is no pair log where one was looked for; the text says where, and what there is."""


class Selection(msgspec.Struct, frozen=True):
    """Which pairs: of this verdict, from `since` on, before `until` (UTC); None: any."""

    verdict: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class _Head(msgspec.Struct):
    time: str
    verdict: str
    exchange: str


_heads = msgspec.json.Decoder(_Head)
EVERYTHING = Selection()


def log_files(place: Path) -> list[Path]:
    """The segments meant by a path, oldest first: one segment, a deployment's directory, or the root of a log
    with one deployment. Raises NoLog."""
    if place.is_file():
        if not place.name.endswith((PLAIN, PACKED)):
            raise NoLog(f"{place} is no pair log: its segments end with {PLAIN} or {PACKED}")
        return [place]
    if found := segments(place):
        return found
    inside = [directory for directory in deployments(place) if segments(directory)]
    if len(inside) == 1:
        return segments(inside[0])
    if inside:
        names = ", ".join(directory.name for directory in inside)
        raise NoLog(f"{place} holds the pairs of {names}: name one of them, such as {inside[0]}")
    raise NoLog(f"there is no pair log at {place}")


def timestamp(moment: datetime) -> str:
    """A moment as the log writes it; such texts compare like the moments themselves."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"


class Extract:
    """The wanted lines of some segments, in order; to be gone through once.

    `size` is the bytes of all files, `read` of those gone through so far, for showing progress. `damaged` counts
    lines that are no pairs, `torn` says what was left out because a crash cut it off or a file is damaged.
    """

    def __init__(self, paths: Sequence[Path], selection: Selection = EVERYTHING) -> None:
        self._since = timestamp(selection.since) if selection.since else ""
        self._until = timestamp(selection.until) if selection.until else "~"
        self._verdict = selection.verdict
        self._sizes = _sizes(paths, selection.since)
        self.size = sum(self._sizes.values())
        self.read = 0
        self.damaged = 0
        self.torn: list[Torn] = []

    def __iter__(self) -> Iterator[bytes]:
        before = 0
        for path, size in self._sizes.items():
            packed = path.name.endswith(PACKED)
            for line in lines(path, self.torn.append):
                if not packed:
                    self.read += len(line)
                if self._admits(line):
                    yield line
            before += size
            self.read = before

    def _admits(self, line: bytes) -> bool:
        try:
            head = _heads.decode(line)
        except msgspec.DecodeError:
            self.damaged += 1
            return False
        return self._verdict in (None, head.verdict) and self._since <= head.time < self._until


def _sizes(paths: Sequence[Path], since: datetime | None) -> dict[Path, int]:
    """The segments and their sizes, without those last written to before `since`: a pair is written after its time."""
    sizes = {}
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:  # packed or expired just now; `lines` finds the packed one
            sizes[path] = 0
            continue
        if since is None or status.st_mtime >= since.timestamp():
            sizes[path] = status.st_size
    return sizes
