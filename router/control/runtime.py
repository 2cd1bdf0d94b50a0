"""The runtime directory: where the Unix sockets between the processes of one router live. Floor 4."""

import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from router.errors import RouterError

_LONGEST = 107
"""Bytes the kernel allows for the path of a Unix socket."""

_ROOM = len("/worker-255-0123456789.sock")


class RuntimeDirectory:
    """`<state path>.run/`, or where that would be too long, a directory of the system's temporary ones that is named
    after it. Readable by its owner only, and the same each time for the same state.

    Raises RouterError when it can't be made, or belongs to somebody else.
    """

    def __init__(self, state: Path) -> None:
        self.path = _short(state.with_name(state.name + ".run"))
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            foreign = self.path.is_symlink() or self.path.stat().st_uid != os.geteuid()
        except OSError as error:
            raise RouterError(f"the runtime directory {self.path}: {error.strerror}") from error
        if foreign:
            raise RouterError(f"the runtime directory {self.path} belongs to somebody else: remove it")

    @property
    def recorder(self) -> Path:
        """Where the recorder listens for workers."""
        return self.path / "recorder.sock"

    @property
    def counts(self) -> Path:
        """Where what ended workers had counted is kept."""
        return self.path / "counts"

    def last_counts_of(self, name: str) -> Path:
        """Where the worker of this name leaves what it had counted."""
        return self.path / f"{name}.counts"

    def last_counts(self) -> Iterator[Path]:
        """The files of workers that have left; a name is that of its worker, with a suffix."""
        return self.path.glob("worker-*.counts")

    def new_worker(self, index: int) -> Path:
        """A rescue socket for a worker that starts now, never used before."""
        return self.path / f"worker-{index}-{secrets.token_hex(4)}.sock"

    def workers(self) -> Iterator[Path]:
        """The rescue sockets that are there, of workers alive or dead."""
        return self.path.glob("worker-*.sock")


def _short(path: Path) -> Path:
    if len(os.fsencode(path)) + _ROOM <= _LONGEST:
        return path
    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"router-{os.geteuid()}-{name}.run"
