"""Takes one subject's records out of a pair log that is being written meanwhile.

Pairs on their way are held up by `forgotten`, segments of the log are treated by `erase`; `erasing` has the order of
things. A segment is written anew without the subject's lines, synced, and renamed over the old one, so that a kill
leaves the one or the other whole; one without such lines is not touched.

Only the recorder may do this: it holds the locks of what it writes.
"""

import fcntl
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import zstandard

from router.pairs.redaction import digest
from router.pairs.segments import PACKED, PLAIN, lines
from router.pairs.sinks.outlets import DIRECTORY as QUEUES
from router.pairs.subject import Subjects
from router.pairs.values import REDACTED, parse

Progress = Callable[[int, int], None]
"""Bytes of files looked at, of all there are."""


class _Request(msgspec.Struct):
    headers: dict[str, str]
    body: Any = None


class _Line(msgspec.Struct):
    request: _Request | None
    subject: str | None = None


class _Head(msgspec.Struct):
    deployment: str


_decoder = msgspec.json.Decoder(_Line)
_heads = msgspec.json.Decoder(_Head)

_OWN = re.compile(rb'"subject":"([0-9a-f]{32})","cohort":\d+,"labels":[^{}]*\}\n?$')
"""The subject of a line, at its end (`pairs.pair.Pair`): bodies, which stand before, may have such a member too."""


class Erased(msgspec.Struct):
    """What was done: records removed, segments written anew or deleted for that, records that name no subject and
    so may be anyone's, those of the subject that wait for another sink, and segments that could not be looked at
    because another process holds them."""

    removed: int = 0
    segments: int = 0
    unattributed: int = 0
    undelivered: int = 0
    busy: int = 0


class Finder:
    """Tells the lines of one subject, by its hash, or by its key in the request where a line has no hash.

    `keys`: under which further ones the subject may have been hashed.
    """

    def __init__(self, subjects: Subjects, key: str, keys: Iterable[bytes] = ()) -> None:
        self._subjects = subjects
        self.hashes = subjects.candidates(key, keys)
        self._hashes = frozenset(each.encode() for each in self.hashes)
        self._digests = frozenset(_digests(key, {subjects.key, *keys} - {b""}))

    def finds(self, line: bytes) -> bool | None:
        """Whether the line is the subject's; None where it does not say whose it is."""
        if (
            told := _OWN.search(line)
        ) is not None:  # most lines: told a hundred times faster than by decoding them
            return told[1] in self._hashes
        try:
            found = _decoder.decode(line)
        except msgspec.DecodeError:
            return None
        if found.subject is not None:
            return found.subject in self.hashes
        key = (
            None
            if found.request is None
            else self._subjects.logged(found.request.headers, found.request.body)
        )
        if key is None or key == REDACTED:
            return None
        return key in self._digests or self._subjects.hashed(key) in self.hashes


def _digests(key: str, hash_keys: Iterable[bytes]) -> Iterator[str]:
    """What the log may have in place of the key where `hash` names it, also where it is a number or a boolean."""
    value, _ = parse(key.encode("utf-8", "backslashreplace"))
    values = [key, value] if isinstance(value, int | float) else [key]
    for hash_key in hash_keys:
        yield from (digest(hash_key, each) for each in values)


def files(directory: Path) -> list[Path]:
    """All segment files of a deployment, oldest first; of one that is being packed, both forms."""
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [directory / name for name in names if name[0] != "." and name.endswith((PLAIN, PACKED))]


def is_found(line: bytes, finders: Mapping[str, Finder]) -> bool:
    """Whether a line is of one of these deployments and its finder finds it."""
    try:
        finder = finders.get(_heads.decode(line).deployment)
    except msgspec.DecodeError:
        return False
    return finder is not None and finder.finds(line) is True


def undelivered(log: Path, finders: Mapping[str, Finder]) -> int:
    """The subject's records in the queues of other sinks: these leave when they are delivered."""
    count = 0
    for path in (log / QUEUES).rglob("*.spool"):
        with suppress(FileNotFoundError), path.open("rb") as records:
            count += sum(is_found(line, finders) for line in records)
    return count


def erase(wanted: Mapping[Path, Finder], progress: Progress) -> Erased:
    """Erases from each of these segments what its finder finds. Raises OSError; what was done before stays done."""
    done, total = 0, sum(_size(path) for path in wanted)
    erased = Erased()
    for listed, finder in wanted.items():
        size = _size(listed)
        path = _where(listed)
        if path is not None:
            _erase_from(path, finder, erased)
        done += size
        progress(done, total)
    return erased


def _where(path: Path) -> Path | None:
    """The segment as it is now: it may have been packed or have expired since it was listed."""
    for candidate in (path, path.with_name(path.name + ".zst")):
        if candidate.exists():
            return candidate
    return None


def _erase_from(path: Path, finder: Finder, erased: Erased) -> None:
    with path.open("rb") as held:
        try:
            fcntl.flock(held.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            erased.busy += 1
            return
        removed = 0
        for line in lines(path):
            found = finder.finds(line)
            removed += found is True
            erased.unattributed += found is None
        if removed:
            _rewrite(path, finder, os.fstat(held.fileno()))
            erased.removed += removed
            erased.segments += 1


def _rewrite(path: Path, finder: Finder, status: os.stat_result) -> None:
    """The name is that of an unfinished packing, which the recorder clears away after a crash."""
    scratch = path.with_name(f".{path.name.removesuffix('.zst')}.zst.{os.getpid()}")
    try:
        with scratch.open("wb") as out:
            os.fchmod(out.fileno(), 0o640)
            kept = _write(out, path, finder)
            out.flush()
            os.fsync(out.fileno())
        # Retention counts from the last write of a pair, not from now.
        os.utime(scratch, ns=(status.st_atime_ns, status.st_mtime_ns))
        if kept:
            os.replace(scratch, path)
        else:
            path.unlink()
    finally:
        scratch.unlink(missing_ok=True)
    _sync(path.parent)


def _write(out: BinaryIO, path: Path, finder: Finder) -> int:
    """Writes the lines that stay, in the file's own form; returns how many there are."""
    rest = (line for line in lines(path) if finder.finds(line) is not True)
    if not path.name.endswith(PACKED):
        return _write_all(out.write, rest)
    with zstandard.ZstdCompressor(level=3).stream_writer(out, closefd=False) as packed:
        return _write_all(packed.write, rest)


def _write_all(write: Callable[[bytes], int], rest: Iterator[bytes]) -> int:
    count = 0
    for line in rest:
        write(line)
        count += 1
    return count


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
