"""The whole router as its users meet it: `router serve` as a process, its admin API, and clients that load it."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

from router.pairs import reading
from tests.support.ports import free_ports
from tests.support.workers import Answer, connect, read_answer, until

BROKEN = (OSError, asyncio.IncompleteReadError)


def deployment(rollout: str = "", path: str = "/m/**", more: str = "", **versions: str) -> str:
    """One deployment in YAML; `rollout` and `more` in flow style, versions with their URLs."""
    urls = ", ".join(f'{name}: {{url: "{url}"}}' for name, url in versions.items())
    lines = [f"match: {{path: {path}}}", f"versions: {{{urls}}}"]
    lines += [f"rollout: {rollout}"] if rollout else []
    lines += [more] if more else []
    return "".join(f"    {line}\n" for line in lines)


def canary(steps: str, more: str = "") -> str:
    """A canary from v1 to v2."""
    return f"{{pattern: canary, stable: v1, candidate: v2, steps: [{steps}]{more}}}"


HALF = canary("{share: 50%, hold: 1h}")
"""A candidate that answers half of the requests, for longer than any test runs."""


@dataclass
class Router:
    """`async with Router(tmp_path, {"m": deployment(...)}) as router`: started and serving.

    `deployments` maps names to YAML, `extra` is YAML for the top, `sinks` those beside the pair file, in flow
    style. `start` and `kill` may alternate; what a killed controller left is ended with the test.
    """

    path: Path
    deployments: dict[str, str]
    workers: int = 2
    extra: str = ""
    token: str = ""
    sinks: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=lambda: [sys.executable, "-m", "router.cli"])
    process: "subprocess.Popen[bytes]" = field(init=False)
    pids: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.port, self.admin_port = free_ports(2)
        self.file = self.path / "router.yaml"
        self.log = self.path / "log"
        self.write()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.end()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.end()

    # The configuration

    def text(self) -> str:
        deployments = "".join(f"  {name}:\n{body}" for name, body in self.deployments.items())
        admin = "" if "admin:" in self.extra else f"admin: {{listen: '127.0.0.1:{self.admin_port}'}}\n"
        return (
            f"listen: 127.0.0.1:{self.port}\nworkers: {self.workers}\n{admin}"
            f"state: {{path: {self.path}/db}}\npairs: {{sinks: [{self.sinks}], path: {self.path}/pairs}}\n"
            f"{self.extra}deployments:\n{deployments}"
        )

    def write(self, text: str | None = None) -> None:
        """Puts the configuration (or this text) on disk, in one move as a good editor does."""
        new = self.file.with_suffix(".new")
        new.write_text(self.text() if text is None else text)
        new.replace(self.file)

    # The process

    async def start(self, *options: str) -> None:
        """Until it says that it is ready."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*self.command, "serve", *options, str(self.file)],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self.environ},
            )
        assert self.process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(self.process.stdout.readline), 40)
        self.note_children()
        assert b"is ready" in line, self.log.read_text()

    def kill(self) -> None:
        """kill -9 of the controller; its workers and its recorder live on."""
        self.note_children()
        self.process.kill()
        self.process.wait(20)
        self._close_output()

    async def stop(self) -> int:
        """SIGTERM; its exit status."""
        self.note_children()
        self.process.terminate()
        status = await asyncio.to_thread(self.process.wait, 45)
        self._close_output()
        return status

    def end(self) -> None:
        """Nothing that was started here is left."""
        if hasattr(self, "process"):
            self.note_children()
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait(20)
            self._close_output()
        for pid in self.living():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _close_output(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()

    def children(self, module: str) -> list[int]:
        """Pids of this controller's workers (`router.worker`), or of its recorder (`router.recorder`)."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and module.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return sorted(found)

    def note_children(self) -> None:
        self.pids |= {*self.children("router.worker"), *self.children("router.recorder")}

    def living(self) -> set[int]:
        """Which of all processes the controllers ever started still run (a zombie does not)."""
        return {pid for pid in self.pids if _runs(pid)}

    # The admin API

    def call(self, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
        """Status and answer, decoded where it is JSON. Blocks."""
        connection = HTTPConnection("127.0.0.1", self.admin_port, timeout=15)
        token = self.token if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            is_json = "json" in answer.headers.get("content-type", "")
            return answer.status, json.loads(text) if is_json else text
        finally:
            connection.close()

    async def get(self, path: str) -> Any:
        status, answer = await asyncio.to_thread(self.call, "GET", path)
        assert status == 200, answer
        return answer

    async def deployment(self, name: str = "m") -> dict[str, Any]:
        answer: dict[str, Any] = await self.get(f"/api/v1/deployments/{name}")
        return answer

    async def act(self, action: str, name: str = "m", **body: Any) -> dict[str, Any]:
        """POSTs the action; what it answered, which must be 200."""
        path = f"/api/v1/deployments/{name}/{action}"
        status, answer = await asyncio.to_thread(self.call, "POST", path, body or None)
        assert status == 200, answer
        assert isinstance(answer, dict)
        return answer

    async def metrics(self) -> dict[str, float]:
        """Every sample by its name with labels, as the page writes it."""
        page = await self.get("/metrics")
        return {name: float(value) for name, value in re.findall(r"^([^#\s].*) (\S+)$", page, re.MULTILINE)}

    async def metric(self, name: str) -> float:
        """0 for one that is not there."""
        return (await self.metrics()).get(name, 0.0)

    async def comes_true(self, check: Callable[[], Any], what: str = "it", within: float = 20.0) -> None:
        """Waits until the awaited check holds."""
        end = asyncio.get_running_loop().time() + within
        while not await check():
            assert asyncio.get_running_loop().time() < end, f"{what} did not come true within {within} s"
            await asyncio.sleep(0.02)

    def pairs(self, name: str = "m") -> list[dict[str, Any]]:
        """What the pair log of a deployment holds now."""
        return list(reading.read(self.path / "pairs" / name))


@dataclass
class Sent:
    """One request of a client and what became of it; times of the loop."""

    id: str
    began: float
    status: int = 0
    version: str = ""
    router_error: str = ""
    broken: str = ""
    seconds: float = 0.0


@dataclass
class Load:
    """Clients that keep their connections and send one request after the other, until the block ends."""

    port: int
    clients: int = 16
    path: str = "/m/x"
    pause: float = 0.0
    body: bytes = b'{"x": 1}'
    sent: list[Sent] = field(default_factory=list)
    connections: int = 0
    _stopping: bool = False

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(self.clients)]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Until every request sent has its answer."""
        self._stopping = True
        await asyncio.wait_for(asyncio.gather(*self._tasks), 30)

    async def more(self, count: int, within: float = 20.0) -> None:
        """Until so many further requests are answered."""
        wanted = self.answered + count
        await until(lambda: self.answered >= wanted, within, f"{count} further answers")

    @property
    def answered(self) -> int:
        return sum(1 for each in self.sent if each.status)

    @property
    def failures(self) -> list[Sent]:
        """What a client would call an error."""
        return [each for each in self.sent if each.broken or each.status >= 400]

    def since(self, moment: float) -> list[Sent]:
        """The requests that were sent after this moment."""
        return [each for each in self.sent if each.began > moment]

    def codes(self) -> Counter[tuple[str, int]]:
        """Answers by version and status."""
        return Counter((each.version, each.status) for each in self.sent if each.status)

    async def _client(self, number: int) -> None:
        reader: asyncio.StreamReader | None = None
        writer: asyncio.StreamWriter | None = None
        loop = asyncio.get_running_loop()
        turn = 0
        while not self._stopping:
            request = Sent(f"{self.path}-{number}-{turn}", loop.time())
            turn += 1
            self.sent.append(request)
            try:
                if reader is None or writer is None:
                    reader, writer = await connect(self.port)
                    self.connections += 1
                    request.began = loop.time()
                writer.write(self._bytes(request.id))
                answer = await asyncio.wait_for(read_answer(reader), 20)
            except (*BROKEN, TimeoutError) as error:
                request.broken = repr(error)
                reader = None
            else:
                self._take(request, answer, loop.time())
                if answer.fields.get(b"connection") == b"close":
                    reader = None
            if reader is None and writer is not None:
                writer.close()
                writer = None
            if self.pause:
                await asyncio.sleep(self.pause)
        if writer is not None:
            writer.close()

    def _bytes(self, request_id: str) -> bytes:
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: t\r\nx-request-id: {request_id}\r\nx-user: {request_id}\r\n"
        )
        return f"{head}content-length: {len(self.body)}\r\n\r\n".encode() + self.body

    def _take(self, request: Sent, answer: Answer, now: float) -> None:
        request.status = answer.status
        request.version = answer.fields.get(b"x-router-version", b"").decode()
        request.router_error = answer.fields.get(b"x-router-error", b"").decode()
        request.seconds = now - request.began
        assert answer.fields.get(b"x-request-id", b"").decode() == request.id


async def ask(port: int, path: str = "/m/x", *fields: str, method: str = "GET") -> Answer:
    """One request on a connection of its own."""
    reader, writer = await connect(port)
    lines = "".join(f"{each}\r\n" for each in (*fields, "connection: close"))
    writer.write(f"{method} {path} HTTP/1.1\r\nhost: t\r\n{lines}\r\n".encode())
    try:
        return await asyncio.wait_for(read_answer(reader, to_head=method == "HEAD"), 20)
    finally:
        writer.close()


async def version(port: int, path: str = "/m/x", *fields: str) -> str:
    """Who answered."""
    return (await ask(port, path, *fields)).fields.get(b"x-router-version", b"").decode()


def ids(seen: Iterable[Any]) -> set[str]:
    """The request ids an upstream saw."""
    return {(each.get(b"x-request-id") or b"").decode() for each in seen}


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
