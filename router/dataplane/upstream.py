"""One connection to an endpoint: carries one exchange at a time and knows whether it has carried one before.

A request that dies on a reused connection before a byte came back met the server closing it in that moment, and may
be sent again; on a fresh one it may not.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol, cast

from router.dataplane.faults import Fault
from router.dataplane.peer import unread
from router.dataplane.timers import NEVER
from router.http1.framing import Malformed
from router.http1.head import HeadLimits, ResponseHead
from router.http1.parser import ResponseParser
from router.http1.sinks import ResponseSink

if TYPE_CHECKING:
    from router.dataplane.engine import Engine
    from router.dataplane.pool import Endpoint

WRITE_BUFFER = 64 << 10

IDLE_LIMIT = 60.0
"""Seconds an idle connection is kept, where the server does not name a shorter time."""


class Carrier(ResponseSink, Protocol):
    """Who leases a connection: an exchange, a copy, or someone who only reads an answer to its end."""

    def on_received(self) -> None:
        """All that one read brought has been passed on: time to write it out."""

    def on_switched(self, rest: bytes) -> None:
        """A 101 came, and after it the first bytes of the other protocol."""

    def on_upstream_lost(self, fault: Fault, detail: str) -> None:
        """The connection broke before the response was whole. The lease is over."""

    def on_deadline(self, now: float) -> None:
        """The connection's deadline, which the carrier has set, has come."""

    def pause_request(self) -> None: ...
    def resume_request(self) -> None: ...


class _Nobody:
    """Takes what comes after a lease has ended in the middle of a read."""

    def on_informational(self, head: ResponseHead) -> None: ...
    def on_switching(self, head: ResponseHead) -> None: ...
    def on_response_whole(self, head: ResponseHead, body: bytes) -> None: ...
    def on_response(self, head: ResponseHead) -> None: ...
    def on_response_body(self, data: bytes) -> None: ...
    def on_response_end(self) -> None: ...


NOBODY: Final = _Nobody()


class Upstream:
    """The protocol of one upstream connection; like that of a client's, not derived from `asyncio.Protocol`. `deadline`
    is its carrier's to set; idle, it is the end of its life."""

    __slots__ = ("_choked", "_parser", "_paused", "_transport", "born", "carrier", "deadline", "endpoint", "engine",
                 "keep_alive_for", "reused", "slot", "untouched")  # fmt: skip

    def __init__(self, engine: Engine, endpoint: Endpoint) -> None:
        self.engine = engine
        self.endpoint = endpoint
        self.carrier: Carrier | None = None
        self.reused = False
        self.untouched = True
        self.born = 0.0
        self.keep_alive_for = IDLE_LIMIT
        self.deadline = NEVER
        self.slot = -1
        self._transport: asyncio.Transport | None = None
        self._parser = ResponseParser(engine.known_lines, HeadLimits(endpoint.answer_head))
        self._paused = False
        self._choked = False

    @property
    def usable(self) -> bool:
        return self._transport is not None

    def lease(self, carrier: Carrier, *, to_head: bool, request: bytes) -> None:
        """The carrier sends its request, or the beginning of it; `to_head` if the method is HEAD."""
        self.carrier = carrier
        self.untouched = True
        self._parser.expect(carrier, to_head)
        if self._transport is not None:
            self._transport.write(request)

    def hand_to(self, carrier: Carrier) -> None:
        """Another carrier takes over the lease and the rest of the answer."""
        self.carrier = carrier
        self._parser.sink = carrier

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def pause_reading(self) -> None:
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def release(self, *, request_whole: bool) -> None:
        """Ends the lease: back to the pool where the connection is in a known state, else closed."""
        self.carrier = None
        parser = self._parser
        parser.sink = NOBODY
        if request_whole and parser.reusable and self._transport is not None and not self._choked:
            if self._paused:
                self.resume_reading()
            head = parser.head
            if head is not None and b"keep-alive" in head.index:
                self.keep_alive_for = _promised(head.index[b"keep-alive"])
            self.reused = True
            self.endpoint.give_back(self)
        else:
            self.close()
            self.endpoint.drop_lease()

    def detach(self) -> asyncio.Transport | None:
        """Hands the transport to a tunnel; this connection is no pool's any more."""
        transport, self._transport = self._transport, None
        self.carrier = None
        self._parser.sink = NOBODY
        self.engine.wheel.forget(self)
        self.endpoint.drop_lease()
        return transport

    def close(self) -> None:
        """Closes at once; what the server still sends is nobody's."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(WRITE_BUFFER)
        self.born = monotonic()
        self.engine.wheel.watch(self)

    def data_received(self, data: bytes) -> None:
        if self.carrier is None:
            # Nobody asked: whatever this is, it must never be taken for the answer to the next request.
            self.close()
            return
        self.engine.time = monotonic()
        self.untouched = False
        parser = self._parser
        try:
            parser.feed(data)
        except Malformed as error:
            if self.carrier is not None:  # it may have let go at the head, before the rest turned out wrong
                self._break(Fault.BAD_UPSTREAM_ANSWER, str(error))
            return
        carrier = self.carrier
        if carrier is None:
            return
        if parser.switched is not None:
            carrier.on_switched(parser.switched)
        else:
            carrier.on_received()

    def eof_received(self) -> None:
        """The server ends its side: so does the transport, and `connection_lost` says what that means."""

    def connection_lost(self, exc: Exception | None) -> None:
        transport, self._transport = self._transport, None
        engine = self.engine
        engine.time = monotonic()
        engine.wheel.forget(self)
        if exc is not None and self.carrier is not None and transport is not None:
            self._salvage(transport)
        carrier = self.carrier
        if carrier is None:
            self.endpoint.forget_idle(self)
        elif exc is None and self._parser.finish():  # after a reset nobody knows that it was all
            carrier.on_received()
        else:
            self._break(
                Fault.UPSTREAM_RESET, "the upstream closed the connection before its answer was whole"
            )

    def _salvage(self, transport: asyncio.Transport) -> None:
        """A server that does not want a body answers, closes, and resets what still comes. Where writing fails before
        the answer is read, it lies here unread."""
        for data in unread(transport):
            if self.carrier is not None:
                self.data_received(data)

    def pause_writing(self) -> None:
        self._choked = True
        if self.carrier is not None:
            self.carrier.pause_request()

    def resume_writing(self) -> None:
        self._choked = False
        if self.carrier is not None:
            self.carrier.resume_request()

    def _break(self, fault: Fault, detail: str) -> None:
        carrier, self.carrier = self.carrier, None
        self._parser.sink = NOBODY
        self.close()
        self.endpoint.drop_lease()
        if carrier is not None:
            carrier.on_upstream_lost(fault, detail)

    # Timed

    def on_deadline(self, now: float) -> None:
        self.engine.time = now
        self.deadline = NEVER
        carrier = self.carrier
        if carrier is not None:
            carrier.on_deadline(now)
        else:
            self.close()
            self.endpoint.forget_idle(self)


def _promised(value: bytes) -> float:
    """Seconds an idle connection lives: by the server's Keep-Alive field, less one for the way, or by our limit."""
    for part in value.split(b","):
        name, _, number = part.strip().partition(b"=")
        if name.lower() == b"timeout" and number.isdigit():
            return min(max(float(number) - 1.0, 0.0), IDLE_LIMIT)
    return IDLE_LIMIT
