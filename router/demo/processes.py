"""The processes of a demo: each in a session of its own, its output in a file, stopped without leftovers.

The workers of a router outlive its controller on purpose. So that a demo still leaves nothing behind,
whatever it starts carries its mark in the environment, and at the end what still bears it is killed.
"""

import asyncio
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import aiohttp

from router.errors import RouterError

STOP_WITHIN = 1.8
"""Seconds all processes have to end after they were asked to; then they are killed."""

MARK = "ROUTER_DEMO"
"""Environment variable that says which demo started a process."""


class Crashed(RouterError):
    """A process of the demo ended by itself, or never became ready; the text shows its last words."""


def free_ports(count: int) -> list[int]:
    """That many different TCP ports of the loopback that nothing listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(held.getsockname()[1]) for held in sockets]
    for held in sockets:
        held.close()
    return ports


class Crew:
    """The demo's processes, in the order they were started. Stops the last one first."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._mark = secrets.token_hex(8)
        self._running: dict[str, asyncio.subprocess.Process] = {}

    def log_of(self, name: str) -> Path:
        return self._directory / f"{name}.log"

    async def start(self, name: str, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        """Runs this Python with the arguments, in a session of its own: Ctrl-C reaches the demo alone."""
        with self.log_of(name).open("wb") as log:
            self._running[name] = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | (environ or {}) | {MARK: self._mark},
                start_new_session=True,
            )

    def check(self) -> None:
        """Raises Crashed when one has ended."""
        for name, process in self._running.items():
            if process.returncode is not None:
                raise Crashed(f"{name} ended with code {process.returncode}:\n{self._last_words(name)}")

    def _last_words(self, name: str) -> str:
        lines = self.log_of(name).read_text(errors="replace").splitlines()
        return "\n".join(lines[-10:])

    async def ready(self, name: str, url: str, within: float = 15.0) -> None:
        """Returns once the URL answers 200. Raises Crashed after `within` seconds, or when one has ended."""
        deadline = time.monotonic() + within
        timeout = aiohttp.ClientTimeout(total=1.0)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while time.monotonic() < deadline:
                self.check()
                try:
                    async with session.get(url) as answer:
                        if answer.status == 200:
                            return
                except (aiohttp.ClientError, TimeoutError):
                    pass
                await asyncio.sleep(0.05)
        raise Crashed(f"{name} is not ready after {within:.0f} s ({url}):\n{self._last_words(name)}")

    async def stop(self) -> None:
        """Asks each to end, the last started first, and kills what is left after STOP_WITHIN seconds."""
        deadline = time.monotonic() + STOP_WITHIN
        for process in reversed(self._running.values()):
            if process.returncode is None:
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), max(0.1, deadline - time.monotonic() - 0.3))
            except TimeoutError:
                pass
        for process in self._running.values():
            if process.returncode is None:
                process.kill()
            await process.wait()
        for pid in bearing(self._mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._running.clear()


def bearing(mark: str) -> Iterator[int]:
    """Processes that were started, by whatever way, from a demo with that mark (nothing without /proc)."""
    wanted = f"{MARK}={mark}".encode()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in environ.read_bytes().split(b"\0"):
                yield int(environ.parent.name)
        except OSError:
            continue  # gone meanwhile, or somebody else's
