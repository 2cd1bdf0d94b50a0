"""Where requests name their subject (`pairs.subject`), remembered beside the log: of a deployment that is in the
configuration no more, records that were written without a hash of their subject can still be found by it.

Names of headers and cookies and pointers are kept, no value and no key of `hash`.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from router.pairs.segments import deployments
from router.pairs.settings import SubjectSource
from router.pairs.spool import DIRECTORY

_FILE = "subjects"
_sources = msgspec.json.Decoder(dict[str, dict[str, str]])


class Sources:
    """Those of one pair log, under its root; None: none."""

    def __init__(self, pairs_path: Path | None = None) -> None:
        self._path = pairs_path
        self._known = {} if pairs_path is None else _read(pairs_path / DIRECTORY / _FILE)

    def of(self, deployment: str) -> SubjectSource | None:
        """The last one that this deployment had."""
        return self._known.get(deployment)

    def move(self, pairs_path: Path) -> None:
        """Keeps them beside another log, from the next `keep` on."""
        self._path = pairs_path
        self._known = _read(pairs_path / DIRECTORY / _FILE)

    def keep(self, present: Mapping[str, SubjectSource | None]) -> None:
        """Those of the deployments there are, and of others as long as they have a log. Raises OSError."""
        if self._path is None:
            return
        logged = {directory.name for directory in deployments(self._path)}
        kept = {name: source for name, source in self._known.items() if name in logged or name in present}
        kept |= {name: source for name, source in present.items() if source is not None}
        if kept != self._known:
            self._known = kept
            _write(self._path / DIRECTORY / _FILE, kept)


def _read(path: Path) -> dict[str, SubjectSource]:
    """Nothing of a file that is not there or not whole: it is renamed into place, so that a kill leaves none."""
    with suppress(OSError, ValueError):
        return {name: SubjectSource(**source) for name, source in _sources.decode(path.read_bytes()).items()}
    return {}


def _write(path: Path, sources: Mapping[str, SubjectSource]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f".{path.name}.new")
    told = {name: source.model_dump(exclude_none=True) for name, source in sources.items()}
    new.write_bytes(msgspec.json.encode(told))
    os.replace(new, path)
