"""One real worker process without a controller: published to by the test, its frames collected."""

import asyncio
import resource
import socket
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from router.channel import (
    Applied,
    Capture,
    Drain,
    EndpointsDown,
    Frame,
    Half,
    Link,
    Listener,
    Publish,
    SeriesTally,
    Start,
    Taken,
    Tally,
)
from router.pairs.halves import opened
from router.patterns.limits import ClientLimits
from router.patterns.observing import Observing
from router.patterns.plan import DeploymentPlan, Match, Plan, Snapshot, VersionSpec, encode_snapshot


async def until(condition: Callable[[], object], timeout: float = 20.0, what: str = "condition") -> None:
    """Waits until the condition holds; fails after `timeout` seconds."""
    end = asyncio.get_running_loop().time() + timeout
    while not condition():
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        await asyncio.sleep(0.005)


def deployment(
    versions: dict[str, str | tuple[str, ...]],
    plan: Plan | None = None,
    *,
    name: str = "d",
    path: str = "/**",
) -> DeploymentPlan:
    """A deployment with these versions, by default proxied to the first."""
    specs = tuple(
        VersionSpec(version, (urls,) if isinstance(urls, str) else urls) for version, urls in versions.items()
    )
    return DeploymentPlan(name, Match(path=path), specs, plan or Plan(default=specs[0].name))


@dataclass
class WorkerUnderTest:
    """`async with WorkerUnderTest() as worker: await worker.publish(deployment(...))`.

    `clients` are the limits it is published; `descriptors` (0: as many as we) it may have, and no more.
    """

    host: str = "127.0.0.1"
    cert: str = ""
    key: str = ""
    clients: ClientLimits = field(default_factory=ClientLimits)
    descriptors: int = 0
    port: int = 0
    generation: int = 0
    observing: Observing = field(default_factory=Observing)
    captures: list[Capture] = field(default_factory=list)
    applied: list[int] = field(default_factory=list)
    series: dict[tuple[str, str, str], SeriesTally] = field(default_factory=dict)
    events: dict[tuple[str, ...], int] = field(default_factory=dict)
    ejected: tuple[str, ...] = ()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._dir = tempfile.TemporaryDirectory()
        recorder = str(Path(self._dir.name) / "r.sock")
        self._recorder = await loop.create_unix_server(lambda: Link(self._on_frame, lambda _: None), recorder)
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.listening = socket.socket(family)
        self.listening.bind((self.host, 0))
        self.listening.listen(1024)
        self.port = self.listening.getsockname()[1]
        ours, theirs = socket.socketpair()
        self.process = await self.spawn(theirs, self.listening)
        theirs.close()
        if self.descriptors:  # before it has Start, with which it raises its limit
            resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))
        _, self.link = await loop.create_connection(lambda: Link(self._on_frame, lambda _: None), sock=ours)
        self.rescue = str(Path(self._dir.name) / "w.sock")
        self.last_counts = Path(self._dir.name) / "w.counts"
        listener = Listener(self.listening.fileno(), f"{self.host}:{self.port}", self.cert, self.key)
        self.link.send(Start(0, (listener,), recorder, self.rescue, str(self.last_counts)))
        return self

    @staticmethod
    async def spawn(channel: socket.socket, *listening: socket.socket) -> Process:
        """The process alone, with its end of the channel."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "router.worker",
            "--channel",
            str(channel.fileno()),
            pass_fds=(channel.fileno(), *(each.fileno() for each in listening)),
        )

    async def __aexit__(self, *exc: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        self.link.close()
        self.listening.close()
        self._recorder.close()
        self._dir.cleanup()

    async def publish(self, *deployments: DeploymentPlan) -> None:
        """Puts these deployments in force and waits until they are."""
        self.generation += 1
        snapshot = encode_snapshot(Snapshot(self.generation, deployments, self.clients, self.observing))
        self.link.send(Publish(self.generation, snapshot))
        await until(lambda: self.generation in self.applied, what="the snapshot in force")

    def down(self, *urls: str) -> None:
        self.link.send(EndpointsDown(urls))

    async def drain(self, grace: float = 5.0, *, close_idle: bool = True) -> None:
        self.link.send(Drain(grace, close_idle))
        async with asyncio.timeout(grace + 5):
            await self.process.wait()

    def code_counts(self, version: str, role: str = "live", name: str = "d") -> dict[int, int]:
        series = self.series.get((name, version, role))
        return series.codes if series is not None else {}

    def _on_frame(self, link: Link, frame: Frame) -> None:
        match frame:
            case Applied():
                self.applied.append(frame.generation)
            case Half():
                self.captures.append(opened(frame))
                link.send(Taken(1))
            case Tally():
                for series in frame.series:
                    self.series[(series.deployment, series.version, series.role)] = series
                self.events.update(dict(frame.events))
                self.ejected = frame.ejected


async def connect(port: int, host: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A raw client connection."""
    return await asyncio.open_connection(host, port)


async def talk(port: int, *pieces: bytes, timeout: float = 10.0) -> bytes:
    """Sends the pieces as they are and returns all that comes back until the router closes."""
    reader, writer = await connect(port)
    async with asyncio.timeout(timeout):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        answer = await reader.read(-1)
    writer.close()
    return answer


@dataclass
class Answer:
    """One response as a raw client read it."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes


async def read_answer(reader: asyncio.StreamReader, *, to_head: bool = False) -> Answer:
    """One response from a connection that goes on. Raises IncompleteReadError when it is cut short."""
    head = await reader.readuntil(b"\r\n\r\n")
    line, *lines = head[:-4].split(b"\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (each.partition(b":") for each in lines)}
    status = int(line.split(b" ")[1])
    if to_head or status < 200 or status in (204, 304):
        return Answer(status, fields, b"")
    if b"content-length" in fields:
        return Answer(status, fields, await reader.readexactly(int(fields[b"content-length"])))
    if fields.get(b"transfer-encoding") == b"chunked":
        body = b""
        while size := int((await reader.readuntil(b"\r\n")), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return Answer(status, fields, body)
    return Answer(status, fields, await reader.read(-1))


def get(path: bytes = b"/x", *fields: bytes) -> bytes:
    """A GET with a Host and these field lines."""
    return b"GET %b HTTP/1.1\r\nhost: t\r\n%b\r\n" % (path, b"".join(each + b"\r\n" for each in fields))


def post(body: bytes, *fields: bytes, path: bytes = b"/x") -> bytes:
    """A POST with a Content-Length."""
    lines = b"".join(each + b"\r\n" for each in fields)
    return b"POST %b HTTP/1.1\r\nhost: t\r\ncontent-length: %d\r\n%b\r\n%b" % (path, len(body), lines, body)
