"""The runtime directory: where the Unix sockets between the processes of one router live. Floor 4."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from router.errors import RouterError

_LONGEST = 107
"""Bytes the kernel allows for the path of a Unix socket."""

_ROOM = len("/worker-255-0123456789.sock")


class RuntimeDirectory:
    """`<state path>.run/`, readable by its owner only.

    Raises RouterError when it can't be made, or when sockets in it would have paths that are too long.
    """

    def __init__(self, state: Path) -> None:
        self.path = _short(state.with_name(state.name + ".run"))
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
        except OSError as error:
            raise RouterError(f"the runtime directory {self.path}: {error.strerror}") from error

    @property
    def recorder(self) -> Path:
        """Where the recorder listens for workers."""
        return self.path / "recorder.sock"

    def new_worker(self, index: int) -> Path:
        """A rescue socket for a worker that starts now, never used before."""
        return self.path / f"worker-{index}-{secrets.token_hex(4)}.sock"

    def workers(self) -> Iterator[Path]:
        """The rescue sockets that are there, of workers alive or dead."""
        return self.path.glob("worker-*.sock")


def _short(path: Path) -> Path:
    """The path as it is given, or relative to the working directory where only that is short enough."""
    for candidate in (path, Path(os.path.relpath(path))):
        if len(os.fsencode(candidate)) + _ROOM <= _LONGEST:
            return candidate
    raise RouterError(
        f"state.path: the sockets beside it, in {path}, would have paths over {_LONGEST} bytes, "
        "which is the most a Unix socket may have: choose a shorter path"
    )
