"""One real worker and one scripted upstream that notes every byte; a case is played against the two.

Both sides are read with h11, which knows nothing of the router: what it calls two messages, or none, is a fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

import h11
import msgspec

from router.patterns.plan import DeploymentPlan, Match, Plan, Timeouts, VersionSpec
from tests.rfc.cases import Answered, CutOff, FromClient, FromUpstream, Passed, Refused, Then
from tests.support.workers import WorkerUnderTest, connect

Delivery = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]

PATIENCE = 20.0
"""Seconds for one step of a case; a fault, not a measure."""

MOST_PIECES = 400
"""Pieces in which the bytes of a case are delivered."""

LARGE = 1 << 20
"""Bytes of a head that h11 reads: the router's own limits are to be met first."""

OURS = {b"host", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-request-id",
        b"transfer-encoding"}  # fmt: skip
"""Fields of a request that the router writes; the last is told by what h11 makes of it."""

OURS_BACK = {b"x-router-version", b"x-request-id", b"connection", b"transfer-encoding"}

PROBE = b"GET /next HTTP/1.1\r\nhost: next.example\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nhost: last.example\r\nconnection: close\r\n\r\n"


async def whole(writer: asyncio.StreamWriter, data: bytes) -> None:
    """In one write."""
    writer.write(data)


async def bytewise(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Every byte by itself, with time for the other side to read it; of what is large, pieces of an odd size."""
    size = 1 if len(data) <= MOST_PIECES else len(data) // MOST_PIECES | 1
    for at in range(0, len(data), size):
        writer.write(data[at : at + size])
        await asyncio.sleep(0.0001)


def split_at(at: int) -> Delivery:
    """In two pieces."""

    async def deliver(writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data[:at])
        await asyncio.sleep(0.0005)
        writer.write(data[at:])

    return deliver


async def say(writer: asyncio.StreamWriter, data: bytes, behind: bytes, deliver: Delivery) -> None:
    """Delivers the data; what is `behind` comes in one piece with its last byte."""
    if behind:
        await deliver(writer, data[:-1])
        writer.write(data[-1:] + behind)
    else:
        await deliver(writer, data)


@dataclass
class Got:
    """A request as h11 read it at the upstream."""

    line: bytes
    fields: list[tuple[bytes, bytes]]
    connection: int
    body: bytes = b""
    whole: bool = False

    def own(self) -> tuple[bytes, ...]:
        """The field lines that are not the router's."""
        return tuple(b"%b: %b" % pair for pair in self.fields if pair[0].lower() not in OURS)


@dataclass
class Script:
    """What the upstream says to the first request it gets, once `early` (at its head) or when it is whole."""

    data: bytes
    behind: bytes
    then: Then
    early: bool
    deliver: Delivery


@dataclass
class RawUpstream:
    """Reads requests with h11 and answers by script, after it with 200 and the target as the body.

    It closes after the request that ends a case, so that every case begins on a fresh connection.
    """

    script: Script | None = None
    seen: list[Got] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    _server: asyncio.Server | None = None

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    def forget(self, script: Script | None = None) -> None:
        """A new case."""
        self.script = script
        self.seen = []
        self.broken = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            await self._serve_all(reader, writer, self.connections)
        except h11.RemoteProtocolError as error:
            self.broken.append(str(error))
        except (ConnectionError, RuntimeError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _serve_all(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        data = b""
        while True:
            side = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGE)
            if data:
                side.receive_data(data)
            got: Got | None = None
            answered = False
            while True:
                event = side.next_event()
                if event is h11.NEED_DATA:
                    data = await reader.read(1 << 18)
                    if not data:
                        return
                    side.receive_data(data)
                elif isinstance(event, h11.Request):
                    line = b"%b %b" % (event.method, event.target)
                    got = Got(line, event.headers.raw_items(), number)
                    self.seen.append(got)
                    if event.http_version != b"1.1":
                        self.broken.append(f"asked in {event.http_version!r}")
                    if self.script is not None and self.script.early:
                        answered = True
                        if not await self._answer(got, writer):
                            return
                elif isinstance(event, h11.Data):
                    assert got is not None
                    got.body += event.data
                else:
                    break
            assert got is not None
            got.whole = True
            if not answered and not await self._answer(got, writer):
                return
            data = side.trailing_data[0]

    async def _answer(self, got: Got, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        script, self.script = self.script, None
        if script is None:
            target = got.line.partition(b" ")[2]
            body = b"" if got.line.startswith(b"HEAD ") else target
            last = target == b"/next"
            end = b"connection: close\r\n" if last else b""
            writer.write(b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n%b" % (end, len(target), body))
            return not last
        await say(writer, script.data, script.behind, script.deliver)
        await writer.drain()
        if script.then is Then.RESET:
            await asyncio.sleep(0.02)  # else the reset overtakes what was written
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        return script.then is Then.KEEP


@dataclass
class Reply:
    """An answer as h11 read it at the client. `whole`: it ended as its framing says."""

    status: int
    fields: list[tuple[bytes, bytes]]
    informational: list[int]
    body: bytes = b""
    whole: bool = False

    def own(self) -> tuple[bytes, ...]:
        return tuple(b"%b: %b" % pair for pair in self.fields if pair[0].lower() not in OURS_BACK)


class Client:
    """A raw client connection whose answers are read with h11."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._left = b""

    @classmethod
    async def at(cls, port: int) -> Self:
        return cls(*await connect(port))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def reply(self, method: bytes = b"GET") -> Reply | None:
        """The next answer, to a request with this method; None when the connection ended instead."""
        side = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGE)
        side.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        side.send(h11.EndOfMessage())
        if self._left:
            side.receive_data(self._left)
        informational: list[int] = []
        reply: Reply | None = None
        while True:
            try:
                event = side.next_event()
            except h11.RemoteProtocolError:
                if reply is None and self._left:
                    raise
                return reply
            if event is h11.NEED_DATA:
                data = await self._read()
                self._left += data
                side.receive_data(data)
            elif isinstance(event, h11.InformationalResponse):
                informational.append(event.status_code)
            elif isinstance(event, h11.Response):
                reply = Reply(event.status_code, event.headers.raw_items(), informational)
            elif isinstance(event, h11.Data):
                assert reply is not None
                reply.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert reply is not None
                reply.whole = True
                self._left = side.trailing_data[0]
                return reply
            else:
                return reply

    async def _read(self) -> bytes:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._reader.read(1 << 18)
        except ConnectionError:
            return b""

    async def at_end(self) -> bool:
        """Whether nothing more comes before the router closes."""
        return not self._left and await self._read() == b""

    def close(self) -> None:
        self.writer.close()


class Rig:
    """`async with Rig() as rig: await rig.play(case)`: raises AssertionError where the case does not hold."""

    async def __aenter__(self) -> Self:
        self.upstream = RawUpstream()
        port = await self.upstream.start()
        self.url = f"http://127.0.0.1:{port}"
        self.host = b"127.0.0.1:%d" % port
        self._worker = await WorkerUnderTest().__aenter__()
        await self._worker.publish(
            self._deployment("any", Match(), Timeouts()),
            self._deployment(
                "hasty", Match(headers=(("x-hasty", "1"),), path="/**"), Timeouts(1.0, 0.5, 0.5, 2.0)
            ),
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._worker.__aexit__(*exc)
        self.upstream.stop()

    def _deployment(self, name: str, match: Match, timeouts: Timeouts) -> DeploymentPlan:
        versions = (VersionSpec("v1", (self.url,)),)
        return DeploymentPlan(name, match, versions, Plan("v1"), timeouts=timeouts)

    async def play(self, case: FromClient | FromUpstream, deliver: Delivery = whole) -> None:
        if isinstance(case, FromClient):
            await self._play_client(case, deliver)
        else:
            await self._play_upstream(case, deliver)

    async def _play_client(self, case: FromClient, deliver: Delivery) -> None:
        upstream = self.upstream
        upstream.forget()
        client = await Client.at(self._worker.port)
        with contextlib.suppress(ConnectionError, RuntimeError):  # who refused already may have closed
            await deliver(client.writer, case.data + case.behind)
        for outcome in case.outcomes:
            await self._check_outcome(client, outcome)
        if not case.closes:
            client.send(LAST)
            await self._check_outcome(client, Passed(b"GET /last"))
        assert await client.at_end(), "more came after the last answer, or the connection stayed open"
        client.close()
        await self._check_next_client()
        passed = [outcome for outcome in case.outcomes if isinstance(outcome, Passed)]
        if not case.closes:
            passed.append(Passed(b"GET /last"))
        self._check_upstream(passed)

    async def _check_outcome(self, client: Client, outcome: Passed | Refused) -> None:
        method = outcome.line.partition(b" ")[0] if isinstance(outcome, Passed) else b"GET"
        reply = await client.reply(method)
        assert reply is not None, f"no answer, but the connection closed; expected {outcome}"
        if isinstance(outcome, Refused):
            self._check_refusal(reply, outcome)
            return
        assert reply.status == 200, (reply.status, reply.body)
        target = outcome.line.partition(b" ")[2]
        assert reply.body == (b"" if method == b"HEAD" else target)
        assert reply.whole

    def _check_refusal(self, reply: Reply, refused: Refused) -> None:
        fields = dict(reply.fields)
        assert (reply.status, reply.whole) == (refused.status, True), (reply.status, reply.body)
        assert fields[b"content-type"] == b"application/problem+json"
        assert b"x-router-error" in fields
        assert msgspec.json.decode(reply.body)["status"] == refused.status
        if refused.status < 500:
            assert fields[b"connection"] == b"close"

    async def _check_next_client(self) -> int:
        """Another client is served as if nothing had been; returns which upstream connection its request took."""
        self.upstream.script = None
        client = await Client.at(self._worker.port)
        client.send(PROBE)
        reply = await client.reply()
        assert reply is not None
        assert (reply.status, reply.body) == (200, b"/next"), "the next client got another answer"
        client.close()
        got = self.upstream.seen.pop()
        assert got.line == b"GET /next"
        return got.connection

    def _check_upstream(self, passed: list[Passed]) -> None:
        """The upstream got these requests, and nothing else that is whole, or that goes on."""
        upstream = self.upstream
        assert upstream.broken == [], "what reached the upstream is not HTTP"
        got = [(each.line, each.own(), each.body) for each in upstream.seen if each.whole]
        assert got == [(each.line, each.fields, each.body) for each in passed]
        for each in upstream.seen:
            hosts = [value for name, value in each.fields if name.lower() == b"host"]
            assert hosts == [self.host]

    async def _play_upstream(self, case: FromUpstream, deliver: Delivery) -> None:
        upstream = self.upstream
        upstream.forget(Script(case.data, case.behind, case.then, case.early, deliver))
        request = case.request
        if case.hasty:
            request = request.replace(b"\r\nhost:", b"\r\nx-hasty: 1\r\nhost:", 1)
        client = await Client.at(self._worker.port)
        client.send(request)
        method = request.partition(b" ")[0]
        reply = await client.reply(method)
        outcome = case.outcome
        assert reply is not None, f"the connection closed without an answer; expected {outcome}"
        if isinstance(outcome, Refused):
            self._check_refusal(reply, outcome)
        elif isinstance(outcome, CutOff):
            assert (reply.status, reply.whole) == (outcome.status, False)
            assert outcome.body.startswith(reply.body)
        else:
            got = Answered(reply.status, reply.own(), reply.body, tuple(reply.informational))
            assert (got, reply.whole) == (outcome, True)
        asked = len(upstream.seen)
        assert asked == 1, "a request was sent more than once"
        first = upstream.seen[0].connection

        again = await self._check_next_client()
        client.close()
        assert (again == first) is case.reused, "the upstream connection was used again, or was not"
        assert upstream.broken == []
        assert len(upstream.seen) == 1
