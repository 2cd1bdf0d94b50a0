"""Reads the pair log of one deployment: in order, or newest first.

Pairs come back as plain dicts, as they stand in the file. Memory holds a block and the lines asked for, however
large the log. The log may be written, packed and expired meanwhile.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from router.pairs.details import field
from router.pairs.segments import PACKED, Torn, lines, lines_backwards, segments, torn_end, unnoted

PairDict = dict[str, Any]


class Wanted(msgspec.Struct, frozen=True):
    """Which pairs: of this verdict, with this request id, that list a difference in this field (`details.field`);
    None: any."""

    verdict: str | None = None
    id: str | None = None
    field: str | None = None

    def admits(self, line: bytes) -> bool:
        """Whether the line is a whole pair that is wanted."""
        try:
            head = _heads.decode(line)
        except msgspec.DecodeError:
            return False
        named = self.verdict in (None, head.verdict) and self.id in (None, head.id)
        return named and (self.field is None or self.field in _fields_of(line))


class _Head(msgspec.Struct):
    """What is looked at before the rest of a line is worth decoding."""

    id: str
    verdict: str
    exchange: str
    shadow: "_Version"


class _Version(msgspec.Struct):
    version: str


class _Difference(msgspec.Struct):
    at: str


class _Differing(msgspec.Struct):
    """A line, as far as it says where the two answers differ."""

    differences: list[_Difference] = []


_heads = msgspec.json.Decoder(_Head)
_differing = msgspec.json.Decoder(_Differing)
EVERYTHING = Wanted()


def _fields_of(line: bytes) -> set[str]:
    """The fields in which the pair on this line lists a difference; none where it lists them in no known way."""
    try:
        return {field(each.at) for each in _differing.decode(line).differences}
    except msgspec.DecodeError:
        return set()


def read(
    directory: Path, wanted: Wanted = EVERYTHING, note: Callable[[Torn], None] = unnoted
) -> Iterator[PairDict]:
    """The pairs in the order they were written. `directory` is `<pairs.path>/<deployment>`.

    `note` learns of what is torn or damaged, and so left out.
    """
    for path in segments(directory):
        for line in lines(path, note):
            if wanted.admits(line):
                yield msgspec.json.decode(line)


def newest(
    directory: Path,
    limit: int,
    wanted: Wanted = EVERYTHING,
    note: Callable[[Torn], None] = unnoted,
) -> list[PairDict]:
    """Up to `limit` pairs, the newest first. `note` as in `read`, of the segments that are looked into."""
    found: list[PairDict] = []
    for path in reversed(segments(directory)):
        room = limit - len(found)
        if room <= 0:
            break
        found += [msgspec.json.decode(line) for line in _last(path, room, wanted, note)]
    return found


def written(directory: Path, since: float, exchanges: set[str]) -> set[tuple[str, str]]:
    """Of these exchanges, the (exchange, shadow version) of pairs in segments written to after `since`."""
    keys: set[tuple[str, str]] = set()
    for path in segments(directory):
        try:
            if path.stat().st_mtime < since:
                continue
        except FileNotFoundError:  # expired, or packed just now: `lines` finds the packed one
            pass
        for line in lines(path):
            try:
                head = _heads.decode(line)
            except msgspec.DecodeError:
                continue
            if head.exchange in exchanges:
                keys.add((head.exchange, head.shadow.version))
    return keys


def _last(path: Path, limit: int, wanted: Wanted, note: Callable[[Torn], None]) -> Iterator[bytes]:
    if not path.name.endswith(PACKED):
        if (torn := torn_end(path)) is not None:
            note(torn)
        try:
            yield from _first(lines_backwards(path), limit, wanted)
            return
        except FileNotFoundError:  # packed since we looked, and nothing was read from it yet
            pass
    kept: list[bytes] = []
    for line in lines(path, note):
        if wanted.admits(line):
            kept.append(line)
            if len(kept) > limit:
                del kept[0]
    yield from reversed(kept)


def _first(source: Iterator[bytes], limit: int, wanted: Wanted) -> Iterator[bytes]:
    for line in source:
        if wanted.admits(line):
            yield line
            limit -= 1
            if limit == 0:
                return
