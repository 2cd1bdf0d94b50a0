"""Subjects whose pairs are not written any more, though their captures may still come: those of requests that began
before the subject was erased.

They are kept in a file beside the spool, so that the next recorder holds back what a killed one has held back. There
they are hashed once more, with a salt: whoever was erased stands nowhere by the name the log had for him.
"""

import hashlib
import os
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from router.pairs.pair import timestamp
from router.pairs.spool import DIRECTORY

MAX_SUBJECTS = 10_000
"""Of more than so many, the first are dropped."""

KEPT = timedelta(days=1)
"""How long a request may take that was made before the erasure and is held back still."""


class Erased(msgspec.Struct, frozen=True):
    """No pair of the subject with this hash is written whose request came until then (as the log writes times)."""

    deployment: str
    hashed: bytes
    until: str


class _File(msgspec.Struct):
    salt: bytes
    erased: list[Erased] = []


_file = msgspec.json.Decoder(_File)


class Forgotten:
    """Those of one pair log, under its root; None: in memory only."""

    def __init__(self, pairs_path: Path | None = None) -> None:
        self._path = None if pairs_path is None else pairs_path / DIRECTORY / "forgotten"
        known = self._read()
        self._salt = known.salt
        self._until = {(each.deployment, each.hashed): each.until for each in known.erased}
        self._removed: Counter[tuple[str, bytes]] = Counter()

    def add(self, deployment: str, subjects: frozenset[str], until: str) -> None:
        """`until` is now, as the pair log writes times. Raises OSError when it can't be kept; it holds all the same."""
        for subject in subjects:
            key = (deployment, self._hashed(subject))
            self._drop(key)
            self._until[key] = until
        old = timestamp((datetime.fromisoformat(until) - KEPT).timestamp())
        while (first := next(iter(self._until))) and (
            len(self._until) > MAX_SUBJECTS or self._until[first] < old
        ):
            self._drop(first)
        self._write()

    def takes(self, deployment: str, subject: str | None, time: str) -> bool:
        """Whether this pair is one of them, and so is not to be written; counts it then."""
        if subject is None or not self._until:
            return False
        key = (deployment, self._hashed(subject))
        until = self._until.get(key)
        if until is None or time > until:
            return False
        self._removed[key] += 1
        return True

    def removed(self, deployment: str, subjects: frozenset[str]) -> int:
        """Pairs that were not written since `add`."""
        return sum(self._removed[deployment, self._hashed(subject)] for subject in subjects)

    def move(self, pairs_path: Path) -> None:
        """Keeps them under another root. Raises OSError."""
        self._path = pairs_path / DIRECTORY / "forgotten"
        if self._until:
            self._write()

    def _hashed(self, subject: str) -> bytes:
        return hashlib.blake2b(subject.encode(), key=self._salt, digest_size=16).digest()

    def _drop(self, key: tuple[str, bytes]) -> None:
        self._until.pop(key, None)
        self._removed.pop(key, None)

    def _read(self) -> _File:
        """Nothing of a file that is not there or not whole: it is renamed into place, so that a kill leaves none."""
        with suppress(OSError, msgspec.DecodeError):
            if self._path is not None:
                return _file.decode(self._path.read_bytes())
        return _File(os.urandom(16))

    def _write(self) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self._path.with_name(f".{self._path.name}.new")
        erased = [Erased(deployment, hashed, until) for (deployment, hashed), until in self._until.items()]
        new.write_bytes(msgspec.json.encode(_File(self._salt, erased)))
        os.replace(new, self._path)
