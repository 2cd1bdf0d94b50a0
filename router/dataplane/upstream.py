"""One connection to an endpoint: carries one exchange at a time and knows whether it has carried one before.

A request that dies on a reused connection before a byte came back met the server closing it in that moment, and may
be sent again; on a fresh one it may not.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, cast

from router.dataplane.faults import Fault
from router.http1.framing import Malformed
from router.http1.head import ResponseHead
from router.http1.parser import ResponseParser

if TYPE_CHECKING:
    from router.dataplane.pool import Endpoint

WRITE_BUFFER = 64 << 10


class Carrier(Protocol):
    """Who leases a connection: an exchange or a copy."""

    def on_informational(self, head: ResponseHead) -> None: ...
    def on_response(self, head: ResponseHead) -> None: ...
    def on_response_body(self, data: bytes) -> None: ...
    def on_response_end(self) -> None: ...

    def on_received(self) -> None:
        """All that one read brought has been passed on: time to write it out."""

    def on_switched(self, rest: bytes) -> None:
        """A 101 came, and after it the first bytes of the other protocol."""

    def on_upstream_lost(self, fault: Fault, detail: str) -> None:
        """The connection broke before the response was whole. The lease is over."""

    def pause_request(self) -> None: ...
    def resume_request(self) -> None: ...


class Upstream(asyncio.Protocol):
    """The protocol of one upstream connection."""

    __slots__ = ("_answered", "_parser", "_paused", "_transport", "_whole", "born", "carrier", "endpoint", "expires",
                 "keep_alive_for", "reused", "untouched")  # fmt: skip

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.carrier: Carrier | None = None
        self.reused = False
        self.untouched = True
        self.born = 0.0
        self.expires = 0.0
        self.keep_alive_for = float("inf")
        self._transport: asyncio.Transport | None = None
        self._parser = ResponseParser(self)
        self._answered: ResponseHead | None = None
        self._whole = False
        self._paused = False

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def lease(self, carrier: Carrier, to_head: bool) -> None:
        """The carrier sends one request next; `to_head` if its method is HEAD."""
        self.carrier = carrier
        self.untouched = True
        self._answered = None
        self._whole = False
        self._parser.expect(to_head)

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def pause_reading(self) -> None:
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and self._paused:
            self._paused = False
            self._transport.resume_reading()

    def release(self, now: float, *, request_whole: bool) -> None:
        """Ends the lease: back to the pool where the connection is in a known state, else closed."""
        self.carrier = None
        self.resume_reading()
        head = self._answered
        if (
            self._whole
            and request_whole
            and head is not None
            and head.keep_alive
            and not self._parser.surplus
            and self.usable
        ):
            if b"keep-alive" in head.index:
                self.keep_alive_for = _promised(head.index[b"keep-alive"])
            self.reused = True
            self.endpoint.give_back(self, now)
        else:
            self.close()
            self.endpoint.forget(self)

    def detach(self) -> asyncio.Transport | None:
        """Hands the transport to a tunnel; this connection is no pool's any more."""
        transport, self._transport = self._transport, None
        self.carrier = None
        self.endpoint.forget(self)
        return transport

    def close(self) -> None:
        """Closes at once; what the server still sends is nobody's."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(WRITE_BUFFER)

    def data_received(self, data: bytes) -> None:
        carrier = self.carrier
        if carrier is None:
            # Nobody asked: whatever this is, it must never be taken for the answer to the next request.
            self.close()
            return
        self.untouched = False
        try:
            self._parser.feed(data)
        except Malformed as error:
            self._break(Fault.BAD_UPSTREAM_ANSWER, str(error))
            return
        if self._parser.switched is not None:
            carrier.on_switched(self._parser.switched)
            return
        carrier = self.carrier  # another one may read this answer to its end, or nobody
        if carrier is not None:
            carrier.on_received()

    def eof_received(self) -> None:
        carrier = self.carrier
        if carrier is not None and self._parser.finish():
            carrier.on_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        carrier = self.carrier
        if carrier is not None and not self._whole and self._parser.finish():
            carrier.on_received()
            return
        if carrier is not None:
            self._break(
                Fault.UPSTREAM_RESET, "the upstream closed the connection before its answer was whole"
            )
        else:
            self.endpoint.forget(self)

    def pause_writing(self) -> None:
        if self.carrier is not None:
            self.carrier.pause_request()

    def resume_writing(self) -> None:
        if self.carrier is not None:
            self.carrier.resume_request()

    def _break(self, fault: Fault, detail: str) -> None:
        carrier, self.carrier = self.carrier, None
        self.close()
        self.endpoint.forget(self)
        if carrier is not None:
            carrier.on_upstream_lost(fault, detail)

    # ResponseSink: noted here, then passed on

    def on_informational(self, head: ResponseHead) -> None:
        if self.carrier is not None:
            self.carrier.on_informational(head)

    def on_response(self, head: ResponseHead) -> None:
        self._answered = head
        if self.carrier is not None:
            self.carrier.on_response(head)

    def on_response_body(self, data: bytes) -> None:
        if self.carrier is not None:
            self.carrier.on_response_body(data)

    def on_response_end(self) -> None:
        self._whole = True
        if self.carrier is not None:
            self.carrier.on_response_end()


def _promised(value: bytes) -> float:
    """Seconds an idle connection lives by the server's Keep-Alive field, less one for the way."""
    for part in value.split(b","):
        name, _, number = part.strip().partition(b"=")
        if name.lower() == b"timeout" and number.isdigit():
            return max(float(number) - 1.0, 0.0)
    return float("inf")
