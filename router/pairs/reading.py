"""Reads the pair log of one deployment: in order, newest first, or as it grows.

Pairs come back as plain dicts, as they stand in the file. Memory holds a block and the lines asked for, however
large the log. The log may be written, packed and expired meanwhile.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from router.pairs.segments import PACKED, lines, lines_backwards, open_segment, segments, stem

PairDict = dict[str, Any]


class Wanted(msgspec.Struct, frozen=True):
    """Which pairs: of this verdict, with this request id; None: any."""

    verdict: str | None = None
    id: str | None = None

    def admits(self, line: bytes) -> bool:
        """Whether the line is a whole pair that is wanted."""
        try:
            head = _heads.decode(line)
        except msgspec.DecodeError:
            return False
        return self.verdict in (None, head.verdict) and self.id in (None, head.id)


class _Head(msgspec.Struct):
    """What is looked at before the rest of a line is worth decoding."""

    id: str
    verdict: str
    exchange: str
    shadow: "_Version"


class _Version(msgspec.Struct):
    version: str


_heads = msgspec.json.Decoder(_Head)
EVERYTHING = Wanted()


def read(directory: Path, wanted: Wanted = EVERYTHING) -> Iterator[PairDict]:
    """The pairs in the order they were written. `directory` is `<pairs.path>/<deployment>`."""
    for path in segments(directory):
        for line in lines(path):
            if wanted.admits(line):
                yield msgspec.json.decode(line)


def newest(directory: Path, limit: int, wanted: Wanted = EVERYTHING) -> list[PairDict]:
    """Up to `limit` pairs, the newest first."""
    found: list[PairDict] = []
    for path in reversed(segments(directory)):
        room = limit - len(found)
        if room <= 0:
            break
        found += [msgspec.json.decode(line) for line in _last(path, room, wanted)]
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


def _last(path: Path, limit: int, wanted: Wanted) -> Iterator[bytes]:
    if not path.name.endswith(PACKED):
        try:
            yield from _first(lines_backwards(path), limit, wanted)
            return
        except FileNotFoundError:  # packed since we looked, and nothing was read from it yet
            pass
    kept: list[bytes] = []
    for line in lines(path):
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


class Tail:
    """Follows the log from its present end. `poll` never waits: call it again a moment later."""

    def __init__(self, directory: Path, wanted: Wanted = EVERYTHING) -> None:
        self._directory = directory
        self._wanted = wanted
        self._file: BinaryIO | None = None
        self._partial = b""
        self._stem = ""
        self._open_last()

    def poll(self) -> list[PairDict]:
        """The pairs that were written since the last call."""
        pairs: list[PairDict] = []
        while True:
            pairs += self._read()
            # The list is taken before the last read of the old segment ends: what was written to it before the
            # new one began is in it by then.
            newer = [path for path in segments(self._directory) if stem(path.name) > self._stem]
            pairs += self._read()
            if not newer:
                return pairs
            self._go_to(newer[0])

    def close(self) -> None:
        """Lets go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open_last(self) -> None:
        present = segments(self._directory)
        if not present:
            return
        self._go_to(present[-1])
        if present[-1].name.endswith(PACKED):
            self.close()
        elif self._file is not None:
            self._file.seek(0, 2)

    def _go_to(self, path: Path) -> None:
        self.close()
        self._stem = stem(path.name)
        self._partial = b""
        self._file = open_segment(path)

    def _read(self) -> list[PairDict]:
        if self._file is None:
            return []
        whole = (self._partial + self._file.read()).split(b"\n")
        self._partial = whole.pop()
        return [msgspec.json.decode(line) for line in whole if self._wanted.admits(line)]
