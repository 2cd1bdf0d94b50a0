"""Upstreams on real sockets: one that answers like a model server, one that follows a script byte by byte."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Seen:
    """One request as an upstream read it."""

    line: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes

    def get(self, name: bytes) -> bytes | None:
        """The first value of a field, by lower-case name."""
        return next((value for key, value in self.fields if key.lower() == name), None)


async def read_request(reader: asyncio.StreamReader) -> Seen | None:
    """One request; None when the connection ended before one began."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    line, *lines = head[:-4].split(b"\r\n")
    fields = [(name, value.strip()) for name, _, value in (each.partition(b":") for each in lines)]
    seen = Seen(line, fields, b"")
    length = seen.get(b"content-length")
    if length is not None:
        seen.body = await reader.readexactly(int(length))
    elif seen.get(b"transfer-encoding") is not None:
        seen.body = await _read_chunks(reader)
    return seen


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return body


@dataclass
class Upstream:
    """A server on a free loopback port; `handler` gets each connection, `requests` collects what `serve` read."""

    handler: Handler
    host: str = "127.0.0.1"
    port: int = 0
    connections: int = 0
    requests: list[Seen] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            await self.handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


def model(name: str, *, status: int = 200, delay: float = 0.0) -> Upstream:
    """Answers every request with a small JSON that says who answered and what it got; keeps connections."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (seen := await read_request(reader)) is not None:
            upstream.requests.append(seen)
            if delay:
                await asyncio.sleep(delay)
            body = b'{"model": "%b", "got": %d}' % (name.encode(), len(seen.body))
            head = b"HTTP/1.1 %d Said\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            writer.write(head % (status, len(body)) + (b"" if seen.line.startswith(b"HEAD") else body))
            await writer.drain()

    upstream = Upstream(handler)
    return upstream


def scripted(*answers: bytes | None, then_close: bool = False) -> Upstream:
    """Answers the n-th request on the server with the n-th bytes exactly (the last ones again and again).

    None closes the connection without a byte; `then_close` closes it after each answer.
    """

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (seen := await read_request(reader)) is not None:
            upstream.requests.append(seen)
            answer = answers[min(len(upstream.requests), len(answers)) - 1]
            if answer is None:
                return
            writer.write(answer)
            await writer.drain()
            if then_close:
                return

    upstream = Upstream(handler)
    return upstream


def silent() -> Upstream:
    """Takes requests and never answers."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (seen := await read_request(reader)) is not None:
            upstream.requests.append(seen)

    upstream = Upstream(handler)
    return upstream


def refusing() -> Upstream:
    """Reads a request and hangs up."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (seen := await read_request(reader)) is not None:
            upstream.requests.append(seen)

    upstream = Upstream(handler)
    return upstream
