"""The proxies that are measured, one file each: its configuration, its command, and how to get it.

A peer that can't be had is skipped with a line that says why.
"""

import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

VENV = Path(__file__).parents[1] / ".venv"
"""Where peers from the package index are installed: an environment of their own, so that they don't disturb ours."""

SHARE = 10
"""Percent of the requests that go to the second version of a canary."""

INFER = "/v2/models/loan/infer"
"""The path that is asked for; routers for language models only know those of OpenAI's API."""

COMPLETIONS = "/v1/completions"


@dataclass(frozen=True)
class Peer:
    """A proxy to measure: its name and port, the files it reads (by name, in its directory), and its command.

    `counted`: what the command line of the processes on the path of a request holds; empty: all are.
    `missing`: how to get it, empty when it is there. `pinned`: to the proxy's cores; otherwise the kernel places it.
    """

    name: str
    port: int
    files: dict[str, str]
    command: tuple[str, ...]
    missing: str = ""
    note: str = ""
    path: str = INFER
    counted: str = ""
    admin: int = 0
    pinned: bool = True


@dataclass(frozen=True)
class Place:
    """Where a peer finds things: a directory for its files, and the port of the model server behind it (two ports
    where the versions have one each)."""

    directory: Path
    upstream: int
    second: int = 0

    @property
    def candidate(self) -> int:
        """The port of the second version, by default that of the first: then one server is both."""
        return self.second or self.upstream


def executable(name: str) -> str:
    """In the environment of the peers, or on the PATH (and where Debian puts servers); empty when it is in neither."""
    beside = VENV / "bin" / name
    return (
        str(beside) if beside.exists() else shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin") or ""
    )


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
