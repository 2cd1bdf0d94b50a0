"""One request and its answer, with every attempt made for it: the state machine between the two sides.

    NEW ──► CONNECTING ──connection──► SENDING ──head of the answer──► ANSWERING ──end──► DONE
                ▲  └─ no connection ─┐    │                              └─101─► SWITCHED ──► DONE
                └──── retry, fallback ◄───┘ lost, late or 5xx before a byte went to the client

It is NEW until the read that brought its head is parsed to the end, so that a small request leaves in one write.
An exchange takes the routes in force once, when it starts. Only an attempt that begins later looks again: what was
rolled back meanwhile must not be reached by a request that waited for a connection (promise 1).
Everything here runs inside a callback of one of the two connections; nothing is awaited.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING

from router.channel import CapturedRequest
from router.dataplane.capture import Tap, Timing, captured_answer, message
from router.dataplane.faults import Fault, render
from router.dataplane.mirror import Pairing, launch
from router.dataplane.routes import Route, Version, choose
from router.dataplane.timers import NEVER
from router.http1.framing import LAST_CHUNK, Framing, chunk, unchunk
from router.http1.head import RequestHead, ResponseHead, compose_request, response_lines

if TYPE_CHECKING:
    from router.dataplane.downstream import Downstream
    from router.dataplane.engine import Engine
    from router.dataplane.pool import Endpoint
    from router.dataplane.upstream import Upstream

REPLAY_LIMIT = 1 << 20
"""Bytes of a request body that are kept to send it again; beyond, there is no retry and no fallback."""

DISCARD_LIMIT = 64 << 10
"""An unwanted answer up to this size is read to its end, so that its connection can be used again."""

CLIENT_GONE = 499
GATEWAY_STATUSES = (502, 503, 504)


HOLD_LIMIT = 64 << 10
"""Bytes of a request body that are read while there is no connection to send them on."""


class State(IntEnum):
    NEW = 0
    CONNECTING = 1
    SENDING = 2
    ANSWERING = 3
    SWITCHED = 4
    DONE = 5


class Hold(IntFlag):
    """Why nothing is read from a client for now."""

    PIPELINE = 1
    CONNECTING = 2
    UPSTREAM = 4


class Exchange:
    """See the module. Created by the client's connection, which tells it what the client does."""

    __slots__ = (
        "_answer", "_answer_tap", "_answer_whole", "_attempts_left", "_client", "_close_delimited", "_counter",
        "_end_by", "_endpoint", "_engine", "_first_byte", "forwarded", "_keep", "_out", "_pairing", "_rechunk",
        "_replay", "_replay_size", "_request_tap", "_request_whole", "_route", "_routes", "_started", "_state",
        "_targets", "_to_upstream", "_upstream", "_version", "deadline", "head", "id", "slot",
    )  # fmt: skip

    def __init__(self, engine: Engine, client: Downstream, head: RequestHead) -> None:
        self._engine = engine
        self._client = client
        self.head = head
        self.id = head.index.get(b"x-request-id") or engine.new_id()
        self.slot = -1
        self.deadline = NEVER
        self._end_by = NEVER
        self._started = engine.now()
        self._first_byte = -1.0
        self._state = State.NEW
        self._keep = False
        self._request_whole = False
        self._replay: list[bytes] | None = []
        self._replay_size = 0
        self._to_upstream: list[bytes] = []
        self._out: list[bytes] = []
        self._answer: ResponseHead | None = None
        self._answer_whole = False
        self._rechunk = False
        self._close_delimited = False
        self._upstream: Upstream | None = None
        self._endpoint: Endpoint | None = None
        self._version: Version | None = None
        self._route: Route | None = None
        self._counter = engine.unrouted
        self._targets: tuple[Version, ...] = ()
        self._request_tap: Tap | None = None
        self._answer_tap: Tap | None = None
        self._pairing: Pairing | None = None
        self._attempts_left = 0
        self.forwarded = b""
        self._routes = engine.routes

    def start(self) -> None:
        """Finds the deployment, assigns a version and makes the first attempt; once, later calls do nothing."""
        if self._state is not State.NEW:
            return
        engine = self._engine
        self._routes = engine.routes
        head = self.head
        route = self._routes.find(head)
        if route is None:
            self._counter.start()
            self._refuse(Fault.NO_ROUTE, "no deployment matches this request")
            return
        self._route = route
        self._attempts_left = route.retries
        version = route.assign(head, self._client.ip)
        self.forwarded = b"%bx-request-id: %b\r\n" % (self._client.forwarded(head), self.id)
        timeouts = route.timeouts
        started = self._started
        self._end_by = started + timeouts.total
        engine.wheel.start(self, started + route.soonest)
        if route.copies is not None:
            self._targets = route.copies_for(version)
            if self._targets:
                self._start_taps(route.copies.max_body)
        self._enter(version)

    def _enter(self, version: Version) -> None:
        """From here on this version is the one that answers, and the one that is counted."""
        self._version = version
        self._counter = counter = version.counter
        counter.start()
        if version.in_flight_limit and counter.in_flight > version.in_flight_limit:
            self._fail(
                Fault.OVERLOADED, f"{version.name} has {version.in_flight_limit} requests in flight already"
            )
            return
        self._attempt(fresh=False)

    def _attempt(self, *, fresh: bool) -> None:
        """Asks for a connection to the version; `fresh`: one that has carried nothing yet."""
        engine = self._engine
        version = self._version
        assert version is not None
        if engine.routes is not self._routes and self._was_withdrawn():
            return
        now = engine.now()
        endpoint = choose(version.endpoints, now)
        if endpoint is None:
            self._fail(Fault.NO_ENDPOINT, f"no endpoint of {version.name} is healthy")
            return
        self._endpoint = endpoint
        self._state = State.CONNECTING
        upstream = None if fresh else endpoint.take(self, now)
        if upstream is not None:
            self._send(upstream)
            return
        assert self._route is not None
        engine.wheel.move(self, now + self._route.timeouts.connect)
        if fresh:
            endpoint.take_fresh(self)

    def _was_withdrawn(self) -> bool:
        """Moves on to the routes in force where they no longer allow the version of this attempt."""
        version = self._version
        assert self._route is not None
        assert version is not None
        self._routes = self._engine.routes
        route = self._routes.by_name.get(self._route.name)
        if route is None or route.allows(version):
            return False
        self._counter.abandon()
        self._route = route
        self._targets = ()
        self._enter(route.assign(self.head, self._client.ip))
        return True

    # Waiter: what the pool says

    def on_connected(self, upstream: Upstream) -> None:
        engine = self._engine
        if engine.routes is not self._routes and self._was_withdrawn():
            upstream.endpoint.give_back(upstream, engine.now())
            return
        self._send(upstream)
        self.flush()

    def on_connect_failed(self, fault: Fault, detail: str) -> None:
        assert self._endpoint is not None
        self._endpoint.ejection.failure(self._engine.now())
        self._lost(fault, detail, resend=True)
        self.flush()

    def _send(self, upstream: Upstream) -> None:
        """Leases the connection and sends all of the request that is here."""
        head = self.head
        endpoint = upstream.endpoint
        self._upstream = upstream
        self._state = State.SENDING
        upstream.lease(self, head.method == b"HEAD")
        self._to_upstream = compose_request(head, endpoint.base, endpoint.host_lines, self.forwarded)
        if self._replay:
            self._to_upstream += self._replay
            if self._replay_size > REPLAY_LIMIT:
                self._replay = None
        self._client.let_go(Hold.CONNECTING)
        self._await_bytes()

    def _await_bytes(self) -> None:
        assert self._route is not None
        timeouts = self._route.timeouts
        wait = timeouts.first_byte if self._request_whole else timeouts.idle
        deadline = self._engine.now() + wait
        self.deadline = deadline if deadline < self._end_by else self._end_by

    # what the client's connection says

    def request_body(self, data: bytes) -> None:
        if self._state is State.DONE:
            return
        tap = self._request_tap
        if tap is not None:
            tap.add(data)
        if self.head.framing is Framing.CHUNKED:
            data = chunk(data)
        self._keep_and_send(data)
        if self._upstream is None and self._replay_size > HOLD_LIMIT:
            self._client.hold(Hold.CONNECTING)

    def request_end(self) -> None:
        """The request is whole: from now on the upstream is waited for. Then the copies leave."""
        self._request_whole = True
        if self._state is State.DONE:
            return
        if self.head.framing is Framing.CHUNKED:
            self._keep_and_send(LAST_CHUNK)
        if self._state is State.NEW:
            self.start()
        elif self._state is State.SENDING:
            self._await_bytes()
        if self._targets:
            self.flush()
            self._launch_copies()

    def _keep_and_send(self, data: bytes) -> None:
        """Takes a piece of the body as it goes upstream, and keeps it while the request may be sent again."""
        if self._replay is not None:
            self._replay.append(data)
            self._replay_size += len(data)
        if self._upstream is not None:
            self._to_upstream.append(data)
            if self._replay_size > REPLAY_LIMIT:
                self._replay = None

    def flush(self) -> None:
        """Writes what has gathered, one write for each side."""
        gathered = self._to_upstream
        if gathered and self._upstream is not None:
            self._upstream.write(gathered[0] if len(gathered) == 1 else b"".join(gathered))
            self._to_upstream = []
            if self._state is State.SENDING and not self._request_whole:
                self._await_bytes()
        out = self._out
        if out:
            self._client.write(out[0] if len(out) == 1 else b"".join(out))
            self._out = []

    def client_gone(self) -> None:
        """The client hung up: the upstream is told at once by closing; copies go on."""
        if self._state is not State.DONE:
            self._drop_upstream()
            self._finish(CLIENT_GONE, "client_gone", keep=False)

    def client_resumed(self) -> None:
        """The client took what was written: the upstream may go on."""
        if self._upstream is not None:
            self._upstream.resume_reading()
            self._await_progress()

    # Carrier: what the upstream says

    def on_informational(self, head: ResponseHead) -> None:
        if self.head.minor:
            response_lines(head, self._out)
            self._out.append(b"\r\n")

    def on_response(self, head: ResponseHead) -> None:
        self._answer = head
        if self._first_byte < 0:
            self._first_byte = self._engine.now() - self._started
        assert self._endpoint is not None
        if head.status >= 500:
            if head.status in GATEWAY_STATUSES:
                self._endpoint.ejection.failure(self._engine.now())
            if self._can_fall_back():
                self._fall_back(f"status_{head.status}")
                return
        else:
            self._endpoint.ejection.success()
        self._state = State.ANSWERING
        self._answer_head(head)

    def _answer_head(self, head: ResponseHead) -> None:
        version = self._version
        assert version is not None
        out = self._out
        response_lines(head, out)
        if head.status == 101:
            out.append(b"connection: upgrade\r\nupgrade: websocket\r\n")
        elif head.framing is Framing.CHUNKED or head.framing is Framing.UNTIL_CLOSE:
            if self.head.minor:
                self._rechunk = True
                out.append(b"transfer-encoding: chunked\r\n")
            else:
                self._close_delimited = True
        self._keep = (
            self.head.keep_alive
            and self._request_whole
            and not self._close_delimited
            and not self._engine.draining
            and head.status != 101
        )
        if not self._keep and head.status != 101:
            out.append(b"connection: close\r\n")
        elif not self.head.minor:
            out.append(b"connection: keep-alive\r\n")
        out += (version.lines, self.id, b"\r\n\r\n")

    def on_response_body(self, data: bytes) -> None:
        tap = self._answer_tap
        if tap is not None:
            tap.add(data)
        if self._rechunk:
            self._out += (b"%x\r\n" % len(data), data, b"\r\n")
        else:
            self._out.append(data)

    def on_response_end(self) -> None:
        self._answer_whole = True
        if self._rechunk:
            self._out.append(LAST_CHUNK)

    def on_received(self) -> None:
        self.flush()
        if self._answer_whole:
            self._complete()
            return
        self._await_progress()
        if self._client.clogged and self._upstream is not None:
            self._upstream.pause_reading()

    def _await_progress(self) -> None:
        if self._state is State.ANSWERING:
            assert self._route is not None
            deadline = self._engine.now() + self._route.timeouts.idle
            self.deadline = deadline if deadline < self._end_by else self._end_by

    def _complete(self) -> None:
        upstream, self._upstream = self._upstream, None
        assert upstream is not None
        assert self._answer is not None
        upstream.release(self._engine.now(), request_whole=self._request_whole)
        self._finish(self._answer.status, "", keep=self._keep)

    def on_switched(self, rest: bytes) -> None:
        """The upstream speaks another protocol from here on: both transports go to a tunnel."""
        self.flush()
        upstream, self._upstream = self._upstream, None
        assert upstream is not None
        self._state = State.SWITCHED
        self._engine.wheel.stop(self)
        transport = upstream.detach()
        if transport is not None:
            self._client.switch(transport, rest)

    def tunnel_closed(self) -> None:
        self._finish(101, "", keep=False)

    def on_upstream_lost(self, fault: Fault, detail: str) -> None:
        upstream, self._upstream = self._upstream, None
        assert upstream is not None
        assert self._endpoint is not None
        if self._state is State.ANSWERING:
            self._truncate(fault)
            return
        stale = upstream.reused and upstream.untouched
        if not stale:
            self._endpoint.ejection.failure(self._engine.now())
        self._lost(fault, detail, resend=stale)
        self.flush()

    def pause_request(self) -> None:
        self._client.hold(Hold.UPSTREAM)

    def resume_request(self) -> None:
        self._client.let_go(Hold.UPSTREAM)

    # Timed

    def on_deadline(self, now: float) -> None:
        state = self._state
        if state is State.CONNECTING:
            if self._endpoint is not None:
                self._endpoint.withdraw(self)
            assert self._version is not None
            self._lost(Fault.CONNECT_FAILED, f"no connection to {self._version.name} in time", resend=True)
        elif state is State.SENDING and self._request_whole:
            self._drop_upstream()
            assert self._endpoint is not None
            self._endpoint.ejection.failure(now)
            self._fail(Fault.TIMEOUT, "the upstream did not begin to answer in time")
        elif state is State.SENDING:
            self._drop_upstream()
            self._fail(Fault.BODY_STALLED, "the request body did not arrive in time")
        elif state is State.ANSWERING:
            self._drop_upstream()
            self._truncate(Fault.TIMEOUT)
            return
        self.flush()

    # failing, retrying, falling back

    def _lost(self, fault: Fault, detail: str, *, resend: bool) -> None:
        """The attempt failed; `resend`: the endpoint can't have begun to work on it (nothing was sent, or a reused
        connection closed before a byte came back)."""
        if (
            resend
            and self._attempts_left > 0
            and self._replay is not None
            and self._engine.now() < self._end_by
        ):
            self._attempts_left -= 1
            assert self._route is not None
            assert self._version is not None
            self._engine.events.add("router_retries_total", self._route.name, self._version.name)
            self._attempt(fresh=True)
        else:
            self._fail(fault, detail)

    def _fail(self, fault: Fault, detail: str) -> None:
        """No answer from this version: the fallback answers, or the router does."""
        if fault is not Fault.BODY_STALLED and self._can_fall_back():
            self._fall_back(fault.code)
        else:
            self._refuse(fault, detail)

    def _can_fall_back(self) -> bool:
        route = self._route
        return (
            route is not None
            and route.fallback is not None
            and self._version is not None
            and self._version.name != route.fallback.name
            and self._replay is not None
        )

    def _fall_back(self, reason: str) -> None:
        """The candidate's failure is counted and recorded as its own; then stable answers."""
        route, failed = self._route, self._version
        assert route is not None
        assert failed is not None
        assert route.fallback is not None
        self._engine.events.add("router_fallbacks_total", route.name, failed.name)
        self._record(reason)
        self._targets = ()
        self._answer_tap = None
        self._discard_answer()
        self._answer = None
        self._first_byte = -1.0
        self._counter.abandon()
        self._attempts_left = route.retries
        self._enter(route.fallback)

    def _discard_answer(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is None:
            return
        answer = self._answer
        if answer is not None and answer.framing <= Framing.LENGTH and answer.length <= DISCARD_LIMIT:
            upstream.carrier = _Discard(upstream, self._engine, request_whole=self._request_whole)
        else:
            upstream.release(self._engine.now(), request_whole=False)

    def _drop_upstream(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.release(self._engine.now(), request_whole=False)
        elif self._endpoint is not None:
            self._endpoint.withdraw(self)

    def _truncate(self, fault: Fault) -> None:
        """The answer can't be completed; the client must be able to tell (promise 6)."""
        self.flush()
        self._engine.events.add("router_router_errors_total", fault.code)
        assert self._answer is not None
        self._client.break_off(hard=self._close_delimited)
        self._finish(self._answer.status, fault.code, keep=False)

    def _refuse(self, fault: Fault, detail: str) -> None:
        """The router's own answer."""
        self._engine.events.add("router_router_errors_total", fault.code)
        keep = self._request_whole and self.head.keep_alive and not self._engine.draining
        lines = b"x-request-id: " + self.id + b"\r\n"
        if self._version is not None:
            lines = self._version.lines + self.id + b"\r\n"
        if not keep:
            lines += b"connection: close\r\n"
        elif not self.head.minor:
            lines += b"connection: keep-alive\r\n"
        self._out.append(render(fault, detail, lines, to_head=self.head.method == b"HEAD"))
        self.flush()
        self._finish(fault.status, fault.code, keep=keep)

    # the end

    def _finish(self, code: int, error: str, *, keep: bool) -> None:
        self._state = State.DONE
        engine = self._engine
        engine.wheel.stop(self)
        self._counter.finish(code, engine.now() - self._started, self._first_byte)
        if self._pairing is not None:
            self._record(error)
        self._client.exchange_done(keep=keep)

    # pairs

    def _start_taps(self, limit: int) -> None:
        """Keeps a bounded part of both bodies from here on; what of the request came already is taken in."""
        self._answer_tap = Tap(limit)
        self._request_tap = tap = Tap(limit)
        chunked = self.head.framing is Framing.CHUNKED
        for piece in self._replay or ():
            if piece is not LAST_CHUNK:
                tap.add(unchunk(piece) if chunked else piece)

    def _launch_copies(self) -> None:
        tap, route = self._request_tap, self._route
        assert tap is not None
        assert route is not None
        self._pairing = launch(self._engine, route, self._targets, self, tap)

    def _record(self, error: str) -> None:
        """Hands this side's half of the pair to the recorder."""
        pairing, self._pairing = self._pairing, None
        if pairing is None:
            return
        version, tap, head = self._version, self._answer_tap, self.head
        assert version is not None
        assert tap is not None
        assert self._request_tap is not None
        answer = captured_answer(
            version.name,
            self._endpoint.url if self._endpoint is not None else "",
            self._answer,
            tap,
            Timing(self._engine.now() - self._started, self._first_byte),
            complete=self._answer_whole,
            error=error,
        )
        body = message(head.fields, self._request_tap, complete=self._request_whole)
        self._engine.recorder.send(
            pairing.capture("primary", answer, CapturedRequest(head.method, head.target, body))
        )


class _Discard:
    """Reads an answer nobody wants to its end, so that its connection can carry another exchange."""

    __slots__ = ("_engine", "_request_whole", "_upstream", "_whole")

    def __init__(self, upstream: Upstream, engine: Engine, *, request_whole: bool) -> None:
        self._upstream = upstream
        self._engine = engine
        self._request_whole = request_whole
        self._whole = False

    def on_informational(self, head: ResponseHead) -> None: ...
    def on_response(self, head: ResponseHead) -> None: ...
    def on_response_body(self, data: bytes) -> None: ...
    def on_switched(self, rest: bytes) -> None: ...
    def on_upstream_lost(self, fault: Fault, detail: str) -> None: ...
    def pause_request(self) -> None: ...
    def resume_request(self) -> None: ...

    def on_response_end(self) -> None:
        self._whole = True

    def on_received(self) -> None:
        if self._whole:
            self._upstream.release(self._engine.now(), request_whole=self._request_whole)
