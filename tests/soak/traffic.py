"""What the soak sends, and the model servers it sends it to: small JSON, streams, large bodies, clients that leave in
the middle, and a server that comes and goes."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.support.routers import BROKEN
from tests.support.upstreams import Upstream
from tests.support.workers import connect, post, read_answer

LARGE = bytes(10 << 20)
EVENTS = 20
PATIENCE = 30.0
"""Seconds a client waits for an answer."""

FLAPPING = {502, 503, 504}
"""What clients of the server that comes and goes may see."""


class Model:
    """Answers by the path: `/sse` streams events, anything else says how many bytes came."""

    def __init__(self) -> None:
        self.server = Upstream(self.serve)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await read_counting(reader)) is not None:
            path, size = request
            if path.endswith(b"/sse"):
                await self._stream(writer)
            else:
                body = b'{"got": %d}' % size
                head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
                writer.write(head % len(body) + body)
            await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for number in range(EVENTS):
            event = b"data: %d\n\n" % number
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(b"0\r\n\r\n")


async def read_counting(reader: asyncio.StreamReader) -> tuple[bytes, int] | None:
    """Path and body size of one request; None when there is none any more. The body is not kept."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head[:-4].split(b"\r\n")[1:] if b": " in line)
        left = size = int(fields.get(b"content-length", b"0"))
        while left:
            part = await reader.read(min(left, 1 << 16))
            if not part:
                return None
            left -= len(part)
    except BROKEN:
        return None
    return head.split(b" ", 2)[1], size


async def flap(server: Upstream, chance: random.Random) -> None:
    """Comes and goes until cancelled; is there at the end."""
    try:
        while True:
            await asyncio.sleep(chance.uniform(1.0, 3.0))
            await server.__aexit__()
            await asyncio.sleep(chance.uniform(0.2, 1.0))
            await server.__aenter__()
    finally:
        with suppress(OSError):  # it was there
            await server.__aenter__()


@dataclass
class Kind:
    """One kind of client: what it does again and again, what came of it, and what may."""

    name: str
    ask: Callable[[int], Awaitable[int]]
    clients: int
    pause: float
    allowed: frozenset[int] = frozenset()
    may_break: bool = False
    codes: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    last: str = ""

    async def run(self, port: int, over: asyncio.Event) -> None:
        while not over.is_set():
            try:
                self.codes[await asyncio.wait_for(self.ask(port), PATIENCE)] += 1
            except (*BROKEN, TimeoutError, AssertionError) as error:
                self.broken += 1
                self.last = repr(error)
            await asyncio.sleep(self.pause)

    @property
    def count(self) -> int:
        return self.codes.total() + self.broken

    def complaints(self) -> list[str]:
        """Sentences about what nothing explains."""
        unexplained = {code: n for code, n in self.codes.items() if code != 200 and code not in self.allowed}
        found = [f"{self.name}: {unexplained} are not explained"] if unexplained else []
        if self.broken and not self.may_break:
            found.append(f"{self.name}: {self.broken} broke, {self.last}")
        return found if self.count else [f"{self.name}: nothing was asked"]


async def small(port: int, path: bytes = b"/m/x") -> int:
    """Ten requests on one connection; the worst code."""
    reader, writer = await connect(port)
    try:
        worst = 0
        for _ in range(10):
            writer.write(post(b'{"inputs": [1, 2, 3]}', b"content-type: application/json", path=path))
            answer = await read_answer(reader)
            worst = max(worst, answer.status)
            if answer.fields.get(b"connection") == b"close":
                break
        return worst
    finally:
        writer.close()


async def stream(port: int) -> int:
    reader, writer = await connect(port)
    try:
        writer.write(post(b"{}", path=b"/m/sse"))
        answer = await read_answer(reader)
        assert answer.status != 200 or answer.body.count(b"data: ") == EVENTS, "a stream that is not whole"
        return answer.status
    finally:
        writer.close()


async def large(port: int) -> int:
    reader, writer = await connect(port)
    try:
        writer.write(post(LARGE, path=b"/m/large"))
        answer = await read_answer(reader)
        assert answer.status != 200 or answer.body == b'{"got": %d}' % len(LARGE), answer.body
        return answer.status
    finally:
        writer.close()


async def leave(port: int) -> int:
    """Hangs up in the middle: of its own request, or of the answer."""
    reader, writer = await connect(port)
    if random.random() < 0.5:
        writer.write(post(LARGE, path=b"/m/large")[: random.randrange(20, 1 << 20)])
        await asyncio.sleep(0.02)
    else:
        writer.write(post(b"{}", path=b"/m/sse"))
        await reader.readuntil(b"data: 2")
    writer.transport.abort()
    return 200


def kinds() -> list[Kind]:
    """The whole mix; about 300 requests a second."""
    flapping = frozenset(FLAPPING)
    return [
        Kind("small JSON", small, clients=6, pause=0.2),
        Kind("streams", stream, clients=6, pause=0.1),
        Kind("10 MiB bodies", large, clients=2, pause=0.7),
        Kind("leaving clients", leave, clients=4, pause=0.2),
        Kind("flapping server", lambda port: small(port, b"/f/x"), 3, 0.2, flapping, may_break=True),
    ]
