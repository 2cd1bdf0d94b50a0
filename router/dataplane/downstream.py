"""One client connection: keep-alive, pipelining with answers in order, pausing, and a clean end.

It lives as long as its connection; an exchange lives as long as one request. While one exchange runs, the requests
behind it wait here parsed, and nothing more is read, so that what waits is bounded by one read.
"""

from __future__ import annotations

import asyncio
from random import uniform
from time import monotonic
from typing import TYPE_CHECKING, cast

from router.dataplane.faults import Fault, TooManyWaiting, fault_of, render
from router.dataplane.leaving import LINGER, LONGEST, Leaving
from router.dataplane.peer import has_sent, hung_up, reset_on_close, unsent
from router.dataplane.reply import Reply
from router.dataplane.timers import NEVER
from router.dataplane.tunnel import join
from router.http1.framing import Malformed
from router.http1.head import HeadLimits, RequestHead
from router.http1.parser import RequestParser
from router.telemetry.events import CONNECTIONS_REFUSED, OWN_ERRORS

if TYPE_CHECKING:
    from router.dataplane.engine import Engine
    from router.dataplane.exchange import Exchange

WRITE_BUFFER = 64 << 10
JITTER = 0.1
"""The part by which an idle connection is kept longer or shorter, so that those of one moment do not end in one."""

HELD_LOOK = 1.0
"""Seconds between two looks whether a client that is not read from is still there."""

HELD_LIMIT = 64 << 10
"""Bytes behind an upgrade that are read before it is answered."""

# Why nothing is read from the client for now; bits, because several reasons can hold at once.
_PIPELINE, _CONNECTING, _UPSTREAM, _CLOGGED = 1, 2, 4, 8


class _Waiting:
    """A request that came in while another was being answered."""

    __slots__ = ("body", "head", "whole")

    def __init__(self, head: RequestHead) -> None:
        self.head = head
        self.body: list[bytes] = []
        self.whole = False


class Downstream:
    """The protocol of one client connection: what `asyncio.Protocol` asks for, without it as a base, since a class that
    is compiled has only compiled ones. `clogged`: the client takes its answer more slowly than it comes; `holds`: the
    reasons why nothing is read from it now, 0 without any; `limits` are those it began with; `reply` is what an
    exchange writes its answer with."""

    __slots__ = ("_closing", "_engine", "_eventful", "_exchange", "_forwarded", "_forwarded_host", "_keep_alive",
                 "_malformed", "_parser", "_peer_lines", "_queue", "scheme", "_transport", "_unsent", "clogged",
                 "deadline", "holds", "ip", "limits", "reply", "slot")  # fmt: skip

    def __init__(self, engine: Engine, scheme: bytes) -> None:
        self._engine = engine
        self.scheme = scheme
        self._transport: asyncio.Transport | None = None
        self.limits = limits = engine.routes.clients
        head = HeadLimits(limits.head, limits.fields, limits.target)
        self._parser = RequestParser(self, engine.known_lines, head)
        self._keep_alive = limits.keep_alive * uniform(1 - JITTER, 1 + JITTER)
        self._unsent = 0
        self._exchange: Exchange | None = None
        self._queue: list[_Waiting] = []  # a deque takes 700 bytes of every idle connection
        self._malformed: Malformed | None = None
        self.holds = 0
        self._closing = False
        # Whether anything but one whole request after another has happened, which few connections see.
        self._eventful = False
        self._peer_lines = b""
        self._forwarded = b""
        self._forwarded_host = b""
        self.reply = Reply()
        self.clogged = False
        self.ip = b""
        self.deadline = NEVER
        self.slot = -1

    # what the exchange asks for

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def flush(self) -> None:
        """Writes what has gathered in `reply`."""
        out = self.reply.out
        if out:
            self.write(b"".join(out))
            self.reply.out = []

    def hold_connecting(self) -> None:
        """Nothing more is read while there is no upstream connection to send it on."""
        self._hold(_CONNECTING)

    def hold_upstream(self) -> None:
        """Nothing more is read while the upstream takes no more."""
        self._hold(_UPSTREAM)

    @property
    def held_by_upstream(self) -> bool:
        """Whether it is the upstream that the rest of the request waits for."""
        return bool(self.holds & _UPSTREAM)

    def let_go(self) -> None:
        """There is an upstream connection, and it takes what comes."""
        if self.holds:
            self._let_go(_CONNECTING | _UPSTREAM)

    def forwarded(self, head: RequestHead) -> bytes:
        """The field lines that tell an upstream who asked, how, and for which host.

        The client's address is added to a list it brought; scheme and host are kept where a proxy before us set
        them.
        """
        index, host = head.index, head.host
        if b"x-forwarded-for" in index or b"x-forwarded-proto" in index or b"x-forwarded-host" in index:
            before = [field[2] for field in head.fields if field[0] == b"x-forwarded-for" and field[2]]
            chain = b", ".join((*before, self.ip))
            scheme = index.get(b"x-forwarded-proto") or self.scheme
            lines = b"x-forwarded-for: %b\r\nx-forwarded-proto: %b\r\n" % (chain, scheme)
            return b"%bx-forwarded-host: %b\r\n" % (lines, index.get(b"x-forwarded-host") or host)
        if host != self._forwarded_host:
            self._forwarded_host = host
            self._forwarded = b"%bx-forwarded-host: %b\r\n" % (self._peer_lines, host)
        return self._forwarded

    def exchange_done(self, *, keep: bool) -> None:
        """The exchange is over: the next one begins, or the connection idles, or it ends."""
        self._exchange = None
        if not keep:
            self._end(LONGEST)
        elif self._eventful:
            self._go_on()
        else:
            self.deadline = self._engine.time + self._keep_alive

    def _go_on(self) -> None:
        """There may be more to do than to wait for the next request."""
        if self._parser.upgrading:
            self._resume_parsing()
            if self._exchange is not None or self._closing:
                return
        if self._queue or self._malformed is not None:
            # Not at once: a read full of tiny requests would nest as deep as it has requests.
            self._engine.loop.call_soon(self._next)
            return
        if self.holds:
            self._let_go(self.holds)
        if self.clogged:
            self._await_taking()
        else:
            self._eventful = False
            self.deadline = self._engine.time + self._keep_alive

    def switch(self, upstream: asyncio.Transport, rest: bytes) -> None:
        """The exchange turned into a tunnel; this protocol has nothing more to do."""
        transport, self._transport = self._transport, None
        exchange, self._exchange = self._exchange, None
        engine = self._engine
        engine.clients.discard(self)
        engine.wheel.forget(self)
        if transport is None or exchange is None:
            engine.door.left(self.ip, self.limits)
            upstream.abort()
            return

        def closed() -> None:
            engine.tunnels.discard(tunnel)
            engine.door.left(self.ip, self.limits)
            engine.time = monotonic()
            exchange.tunnel_closed()

        tunnel = join(transport, upstream, self._parser.held, rest, closed)
        engine.tunnels.add(tunnel)

    def reset(self) -> None:
        """Ends the connection at once, so that the client can tell that its answer is not whole."""
        transport = self._transport
        if transport is not None:
            reset_on_close(transport)
            transport.abort()

    def close_if_idle(self) -> None:
        """The whole router stops: a connection between two requests goes."""
        transport = self._transport
        if transport is None or self._closing or self._exchange is not None or self._parser.mid_message:
            return
        if has_sent(transport):
            return  # the next request is here, only not read yet
        if transport.can_write_eof():
            transport.close()
        else:
            self._end(LINGER)  # TLS would wait for the client to say the same

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(WRITE_BUFFER)
        peer = transport.get_extra_info("peername")
        self.ip = peer[0].encode() if peer else b"unknown"
        self._peer_lines = b"x-forwarded-for: %b\r\nx-forwarded-proto: %b\r\n" % (self.ip, self.scheme)
        self._forwarded = self._peer_lines
        engine, limits = self._engine, self.limits
        inside = len(engine.clients) + len(engine.tunnels)
        reason = engine.door.refusal(transport, self.ip, limits, inside)
        if reason:
            self._turn_away(self._transport, reason)
        else:
            engine.clients.add(self)
            self.deadline = monotonic() + limits.head_timeout
            engine.wheel.watch(self)

    def data_received(self, data: bytes) -> None:
        engine = self._engine
        engine.time = monotonic()
        try:
            self._parser.feed(data)
        except Malformed as error:
            self._malformed = error
            self._eventful = True
            if self._exchange is None:
                self._next()
            elif not self._queue:
                self._exchange.client_malformed(error)
            return
        if self._exchange is not None:
            self._exchange.start()
        elif self._parser.mid_message and self.deadline > engine.time + self.limits.head_timeout:
            self.deadline = engine.time + self.limits.head_timeout

    def eof_received(self) -> None:
        """A client that ends its side is gone: a model must not go on working for it.

        Whether it has closed both sides or only one (which RFC 9112 neither asks for nor forbids) can't be told before
        something is sent to it. nginx and Envoy decide as we do; HAProxy answers, unless it has `abortonclose`.
        """

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        engine = self._engine
        engine.time = monotonic()
        engine.wheel.forget(self)
        if self in engine.clients:
            engine.clients.remove(self)
            engine.door.left(self.ip, self.limits)
        self._queue.clear()
        exchange = self._exchange
        if exchange is not None:
            exchange.client_gone()

    def pause_writing(self) -> None:
        self.clogged = self._eventful = True
        if self._transport is not None:
            self._unsent = unsent(self._transport)

    def resume_writing(self) -> None:
        self.clogged = False
        self._engine.time = monotonic()
        if self._exchange is not None:
            self._exchange.client_resumed()
        elif self.holds & _CLOGGED:
            self.deadline = self._engine.time + self._keep_alive
            self._let_go(_CLOGGED)
            self._next()

    # RequestSink

    def on_request_whole(self, head: RequestHead, body: bytes) -> None:
        if self._exchange is None and not self._queue and not self._closing:
            self.deadline = NEVER
            exchange = self._exchange = self._engine.exchange(self._engine, self, head)
            exchange.start_whole(body)
        else:
            self.on_request(head)
            if body:
                self.on_request_body(body)
            self.on_request_end()

    def on_request(self, head: RequestHead) -> None:
        if self._closing:
            return  # it was told so with the answer before
        self._eventful = True
        if self._exchange is None and not self._queue:
            self._exchange = self._engine.exchange(self._engine, self, head)
            self.deadline = NEVER
        else:
            if len(self._queue) >= self.limits.pipelined:
                raise TooManyWaiting(f"more than {self.limits.pipelined} requests wait on one connection")
            self._queue.append(_Waiting(head))
            self._hold(_PIPELINE)

    def on_request_body(self, data: bytes) -> None:
        if self._queue:
            self._queue[-1].body.append(data)
        elif self._exchange is not None:
            self._exchange.request_body(data)

    def on_request_end(self) -> None:
        if self._queue:
            self._queue[-1].whole = True
        elif self._exchange is not None:
            self._exchange.request_end()

    def on_held(self, size: int) -> None:
        if size > HELD_LIMIT:
            self._hold(_PIPELINE)

    # Timed

    def on_deadline(self, now: float) -> None:
        """Idle for too long, a head that does not arrive, an answer that is not taken; or time to look whether a
        client that is not read from is still there."""
        self._engine.time = now
        self.deadline = NEVER
        transport = self._transport
        if transport is None:
            return
        if transport.is_closing() or self.holds & _CLOGGED:
            if self.takes_some():
                self.deadline = now + self.limits.write_timeout
            else:
                transport.abort()
        elif self._exchange is not None or self._queue:
            self._look_for_hang_up(transport, now)
        else:
            if self._parser.mid_message:
                self._refuse(Fault.BODY_STALLED, "the request did not arrive in time")
            self._end(LONGEST)

    def takes_some(self) -> bool:
        """Whether the client has taken something of what it was sent since this was asked last, or since it was
        first too slow."""
        before = self._unsent
        self._unsent = unsent(self._transport) if self._transport is not None else 0
        return self._unsent < before

    def _look_for_hang_up(self, transport: asyncio.Transport, now: float) -> None:
        if self.holds:
            if hung_up(transport):
                transport.abort()
            self.deadline = now + HELD_LOOK

    def _await_taking(self) -> None:
        """The client gets nothing more to do before it has taken what is there: it is not read from either."""
        self._hold(_CLOGGED)
        self.deadline = self._engine.time + self.limits.write_timeout

    # between exchanges

    def _next(self) -> None:
        """Starts the request that waits longest, or says what was wrong with what came after the last one."""
        if self._transport is None or self._exchange is not None or self._closing:
            return
        if self.clogged:
            self._await_taking()
        elif self._queue:
            self._engine.time = monotonic()
            waiting = self._queue.pop(0)
            exchange = self._exchange = self._engine.exchange(self._engine, self, waiting.head)
            if not self._queue:
                self._let_go(_PIPELINE)
            for piece in waiting.body:
                exchange.request_body(piece)
            if waiting.whole:
                exchange.request_end()
            exchange.start()
            if self._malformed is not None and not self._queue:
                exchange.client_malformed(self._malformed)
        elif self._malformed is not None:
            self._refuse(fault_of(self._malformed), str(self._malformed))
            self._end(LONGEST)

    def _refuse(self, fault: Fault, detail: str) -> None:
        engine = self._engine
        engine.unrouted.start()
        engine.unrouted.finish(fault.status, 0.0, -1.0)
        engine.events.add(OWN_ERRORS, fault.code)
        lines = b"connection: close\r\nx-request-id: %b\r\n" % engine.new_id()
        self.write(render(fault, detail, lines, to_head=False))

    def _resume_parsing(self) -> None:
        """The upgrade was declined: what lies behind it are requests again."""
        if self.holds:
            self._let_go(_PIPELINE)
        try:
            self._parser.resume()
        except Malformed as error:
            self._malformed = error
        exchange = self._exchange
        if exchange is not None:
            exchange.start()
            if self._malformed is not None and not self._queue:
                exchange.client_malformed(self._malformed)

    def _end(self, longest: float) -> None:
        """All is said. What was written has time to arrive, and the client `longest` seconds to fall silent."""
        transport = self._transport
        if transport is not None:
            self._closing = True
            self._queue.clear()
            self._engine.wheel.forget(self)
            Leaving(self._engine, self, transport, longest)

    def _turn_away(self, transport: asyncio.Transport, reason: str) -> None:
        """One connection too many: told so, if there is a descriptor to spare for that."""
        engine = self._engine
        engine.time = monotonic()
        engine.events.add(CONNECTIONS_REFUSED, reason)
        self._closing = True
        if reason == "descriptors":
            transport.abort()
            return
        self._refuse(Fault.OVERLOADED, "there are as many connections as there may be")
        self._end(LINGER)

    def _hold(self, reason: int) -> None:
        if not self.holds and self._transport is not None:
            self._transport.pause_reading()
            self.deadline = monotonic() + HELD_LOOK
        self.holds |= reason
        self._eventful = True

    def _let_go(self, reasons: int) -> None:
        self.holds &= ~reasons
        if not self.holds and self._transport is not None:
            self._transport.resume_reading()
