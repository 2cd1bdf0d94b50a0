"""One request and its answer, with every attempt made for it: the state machine between the two sides (`state`).

It is NEW until the read that brought its head is parsed to the end, so that a small request leaves in one write.
An exchange takes the routes in force once, when it starts. Only an attempt that begins later looks again: what was
rolled back meanwhile must not be reached by a request that waited for a connection (promise 1).
Everything here runs inside a callback of one of the two connections; nothing is awaited. `engine.time` is the time
at which that callback began.
"""

from __future__ import annotations

from typing import ClassVar, Final

from router.dataplane.attempts import Attempts
from router.dataplane.faults import Fault, fault_of
from router.dataplane.inflow import Inflow
from router.dataplane.mirror import Mirroring
from router.dataplane.state import ANSWERING, CONNECTING, DONE, NEW, QUEUED, SENDING, SWITCHED
from router.dataplane.upstream import Upstream
from router.http1.framing import CHUNKED, LAST_CHUNK, Malformed, chunk
from router.http1.head import ResponseHead, compose_request

REPLAY_LIMIT: Final = 1 << 20
"""Bytes of a request body that are kept to send it again; beyond, there is no retry and no fallback."""

UNSENT_LIMIT = 64 << 10
"""Bytes of a request body that are read while there is no connection to send them on."""

CLIENT_GONE = 499
GATEWAY_STATUSES: Final = (502, 503, 504)


class Exchange(Attempts):
    """See the module. Created by the client's connection, which tells it what the client does."""

    __slots__ = ()

    mirroring_type: ClassVar[type[Mirroring]] = Mirroring

    def start_whole(self, body: bytes) -> None:
        """`start` with a request that is here to its end."""
        if body:
            self._replay = [body]
            self._replay_size = len(body)
        self.request_end()

    def start(self) -> None:
        """Finds the deployment, assigns a version and makes the first attempt. Only the first call does anything."""
        if self._state is not NEW:
            return
        engine, head, client = self._engine, self.head, self._client
        self._routes = routes = engine.routes
        self._route = route = routes.find(head)
        if route is None or engine.short_of_memory:
            engine.unrouted.start()
            if route is None:
                self._refuse(Fault.NO_ROUTE, "no deployment matches this request")
            else:
                self._refuse(Fault.OVERLOADED, "this worker has all the memory that it may have")
            return
        if (head.length > route.max_body or self._inflow is not None) and not self._fits(route.max_body):
            return
        self._forwarded = client.forwarded(head)
        self._attempts_left = route.retries
        self._end_by = self._started + route.timeouts.total
        version = route.assign(head, client.ip)
        if route.copies is not None and not head.upgrade:
            targets = route.copies_for(version)
            if targets:
                self._mirroring = self.mirroring_type(engine, route, targets)
        if self._mirroring is None:
            self._enter(version)
        else:
            came = list(self._replay or ())  # the attempt may let go of it
            self._enter(version)
            if self._state is not DONE:
                self._launch(self._mirroring, came)

    def _fits(self, limit: int) -> bool:
        """Whether the body is within the deployment's limit, as far as can be told now; refuses the request if not."""
        inflow = self._inflow
        if inflow is not None:
            inflow.limit = limit
        if self.head.length <= limit and (inflow is None or inflow.size <= limit):
            return True
        self._cut_off(Fault.BODY_TOO_LARGE, f"the body is over {limit} bytes")
        return False

    def _send(self, upstream: Upstream) -> None:
        head, endpoint = self.head, upstream.endpoint
        self._upstream = upstream
        self._state = SENDING
        pieces = compose_request(head, endpoint.base, endpoint.host_lines)
        pieces += (self._forwarded, b"x-request-id: ", self.id, b"\r\n\r\n")
        if self._replay:
            pieces += self._replay
            if self._replay_size > REPLAY_LIMIT:
                self._replay = None
        client = self._client
        if client.holds:
            self.resume_request()
        upstream.lease(self, to_head=head.method == b"HEAD", request=b"".join(pieces))
        timeouts = self._route.timeouts  # type: ignore[union-attr]
        self._set_deadline(upstream, timeouts.first_byte if self._request_whole else timeouts.idle)

    def _set_deadline(self, upstream: Upstream, wait: float) -> None:
        """The upstream has `wait` seconds for its next sign of life, and no more than is left in all."""
        deadline = self._engine.time + wait
        upstream.deadline = deadline if deadline < self._end_by else self._end_by
        if self._route.hasty:  # type: ignore[union-attr]
            self._engine.wheel.hasten(upstream)

    # what the client's connection says

    def request_body(self, data: bytes) -> None:
        if self._state is DONE or not self._comes_well(len(data)):
            return
        wire = chunk(data) if self.head.framing is CHUNKED else data
        if self._mirroring is not None:
            self._mirroring.body(data, wire)
        self._pass_on(wire)
        if self._upstream is None and self._replay_size > UNSENT_LIMIT:
            self._client.hold_connecting()

    def _comes_well(self, size: int) -> bool:
        """Whether the body is neither too large nor too slow; ends the request if not. Once an answer has begun, how
        the two keep pace is theirs to say."""
        inflow = self._inflow
        if inflow is None:
            inflow = self._inflow = Inflow(self._client.limits, self._engine.time)
        fault = inflow.add(size, self._engine.time)
        if fault is None or (fault is Fault.BODY_STALLED and self._state is ANSWERING):
            return True
        large = fault is Fault.BODY_TOO_LARGE
        self._cut_off(
            fault, f"the body is over {inflow.limit} bytes" if large else "the body comes too slowly"
        )
        return False

    def request_end(self) -> None:
        """The request is whole: from now on the upstream is waited for."""
        self._request_whole = True
        if self._state is DONE:
            return
        wire = LAST_CHUNK if self.head.framing is CHUNKED else b""
        if wire:
            self._pass_on(wire)
        if self._mirroring is not None:
            self._mirroring.end(wire)
        if self._state is NEW:
            self.start()
        elif self._state is SENDING:
            assert self._upstream is not None
            assert self._route is not None
            self._set_deadline(self._upstream, self._route.timeouts.first_byte)

    def _pass_on(self, data: bytes) -> None:
        """Takes a piece of the body as it goes upstream, and keeps it while the request may be sent again."""
        if self._replay is not None:
            self._replay.append(data)
            self._replay_size += len(data)
        upstream = self._upstream
        if upstream is not None:
            upstream.write(data)
            if self._replay_size > REPLAY_LIMIT:
                self._replay = None
            if self._state is SENDING:
                assert self._route is not None
                self._set_deadline(upstream, self._route.timeouts.idle)

    def client_gone(self) -> None:
        """The client hung up: the upstream is told at once by closing; copies go on."""
        if self._state is not DONE:
            self._drop_upstream()
            self._finish(CLIENT_GONE, "client_gone", keep=False)

    def client_malformed(self, error: Malformed) -> None:
        """What the client sent after the head is no body. A request that is whole is not concerned."""
        if self._request_whole or self._state is DONE:
            return
        self._cut_off(fault_of(error), str(error))

    def _cut_off(self, fault: Fault, detail: str) -> None:
        """The request is not read any further, and it is the client's doing."""
        self._drop_upstream()
        if self._state is ANSWERING:
            self._truncate(fault)
        else:
            if self._version is None:
                self._engine.unrouted.start()
            self._refuse(fault, detail)

    def client_resumed(self) -> None:
        """The client took what was written: the upstream may go on."""
        if self._upstream is not None:
            self._upstream.resume_reading()
            self._await_progress(self._upstream)

    # Carrier: what the upstream says

    def on_informational(self, head: ResponseHead) -> None:
        if self.head.minor:
            self._client.reply.inform(head)

    def on_switching(self, head: ResponseHead) -> None:
        if not self.head.upgrade:
            raise Malformed("a 101 nobody asked for")
        self.on_response(head)

    def on_response_whole(self, head: ResponseHead, body: bytes) -> None:
        self.on_response(head)
        if self._state is ANSWERING:
            self._answer_whole = True
            if body:
                self._client.reply.out.append(body)
                if self._mirroring is not None:
                    self._mirroring.answered = body

    def on_response(self, head: ResponseHead) -> None:
        self._answer = head
        self._first_byte = self._engine.time - self._started
        endpoint = self._endpoint
        assert endpoint is not None
        if head.status < 500:
            if endpoint.ejection.troubled:
                endpoint.ejection.success()
        else:
            if head.status in GATEWAY_STATUSES:
                endpoint.ejection.failure(self._engine.time)
            if self._can_fall_back():
                self._fall_back(head.status, f"status_{head.status}")
                return
        self._state = ANSWERING
        version, request = self._version, self.head
        keep = request.keep_alive and self._request_whole and not self._engine.draining
        assert version is not None
        self._client.reply.begin(head, request, (version.lines, self.id, b"\r\n\r\n"), keep)

    def on_response_body(self, data: bytes) -> None:
        if self._mirroring is not None:
            self._mirroring.answer(data)
        self._client.reply.body(data)

    def on_response_end(self) -> None:
        self._answer_whole = True
        self._client.reply.end()

    def on_received(self) -> None:
        client, upstream = self._client, self._upstream
        reply = client.reply
        if reply.out:
            client.write(b"".join(reply.out))
            reply.out = []
        assert upstream is not None
        if self._answer_whole:
            assert self._answer is not None
            self._upstream = None
            upstream.release(request_whole=self._request_whole)
            self._finish(self._answer.status, "", keep=reply.keep)
            return
        self._await_progress(upstream)
        if client.clogged:
            upstream.pause_reading()
            self._set_deadline(upstream, client.limits.write_timeout)

    def _await_progress(self, upstream: Upstream) -> None:
        if self._state is ANSWERING:
            assert self._route is not None
            self._set_deadline(upstream, self._route.timeouts.idle)

    def on_switched(self, rest: bytes) -> None:
        """The upstream speaks another protocol from here on: both transports go to a tunnel."""
        self._client.flush()
        upstream, self._upstream = self._upstream, None
        assert upstream is not None
        self._state = SWITCHED
        transport = upstream.detach()
        if transport is not None:
            self._client.switch(transport, rest)
        else:
            self.tunnel_closed()

    def tunnel_closed(self) -> None:
        self._finish(101, "", keep=False)

    def on_upstream_lost(self, fault: Fault, detail: str) -> None:
        upstream, self._upstream = self._upstream, None
        assert upstream is not None
        assert self._endpoint is not None
        if self._state is ANSWERING:
            self._truncate(fault)
            return
        stale = upstream.reused and upstream.untouched
        if stale:
            self._endpoint.discard_idle()
        else:
            self._endpoint.ejection.failure(self._engine.time)
        self._lost(fault, detail, resend=stale)

    def pause_request(self) -> None:
        self._client.hold_upstream()

    def resume_request(self) -> None:
        self._client.let_go()
        if self._inflow is not None:
            self._inflow.pardon(self._engine.time)

    # Timed: the exchange itself while it waits, afterwards its connection

    def on_deadline(self, now: float) -> None:
        engine, state, version = self._engine, self._state, self._version
        engine.time = now
        assert version is not None
        if state is QUEUED or state is CONNECTING:
            self._waited_long_enough()
        elif state is SENDING and (self._request_whole or self._client.held_by_upstream):
            assert self._endpoint is not None
            self._drop_upstream()
            self._endpoint.ejection.failure(now)
            late = "begin to answer" if self._request_whole else "take the request"
            self._fail(Fault.TIMEOUT, f"{version.name} did not {late} in time")
        elif state is SENDING:
            self._drop_upstream()
            self._refuse(Fault.BODY_STALLED, "the request body did not arrive in time")
        elif state is ANSWERING:
            self._answer_is_late(now)

    def _answer_is_late(self, now: float) -> None:
        """Nothing more of an answer has come for long; or it is the client who has not taken what came."""
        upstream, client = self._upstream, self._client
        assert upstream is not None
        if client.clogged and now < self._end_by and client.takes_some():
            self._set_deadline(upstream, client.limits.write_timeout)
            return
        self._drop_upstream()
        self._truncate(Fault.CLIENT_STALLED if client.clogged and now < self._end_by else Fault.TIMEOUT)
