"""Copies of requests to versions whose answers are only recorded.

A copy leaves after the live request was written, on connections of its own, within a budget; it is never sent twice,
never waits without bound, and nothing it does reaches the exchange it was copied from.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, NamedTuple

from router.channel import Capture, CapturedAnswer, CapturedRequest
from router.dataplane.capture import Outcome, Tap, message
from router.dataplane.faults import Fault
from router.dataplane.routes import Route, Version, choose
from router.dataplane.timers import NEVER
from router.http1.framing import CHUNKED, LAST_CHUNK, Malformed, chunk
from router.http1.head import RequestHead, ResponseHead, compose_request

if TYPE_CHECKING:
    from router.dataplane.engine import Engine
    from router.dataplane.pool import Endpoint
    from router.dataplane.upstream import Upstream

NO_ANSWER = 599
"""Counted as the status of a copy that was withdrawn before it could be answered."""


class Pairing(NamedTuple):
    """What the halves of one request's pairs have in common."""

    key: str
    id: str
    time: float
    deployment: str
    generation: int

    def primary(self, answer: CapturedAnswer, request: CapturedRequest, copies: tuple[str, ...]) -> Capture:
        """The half of the version that answers the client."""
        return Capture(
            self.key, "primary", self.id, self.time, self.deployment, self.generation, answer, request, copies
        )

    def shadow(self, answer: CapturedAnswer) -> Capture:
        """The half of a copy."""
        return Capture(self.key, "shadow", self.id, self.time, self.deployment, self.generation, answer)


class Mirroring:
    """The mirrored side of one live exchange: taps on both bodies, the copies, and this side's half of the pairs."""

    __slots__ = ("_copies", "_engine", "_pairing", "_route", "_targets", "answer", "request")

    def __init__(self, engine: Engine, route: Route, targets: tuple[Version, ...]) -> None:
        assert route.copies is not None
        self._engine = engine
        self._route = route
        self._targets = targets
        self._pairing: Pairing | None = None
        self._copies: tuple[str, ...] = ()
        self.request = Tap(route.copies.max_body)
        self.answer = Tap(route.copies.max_body)

    def launch(self, head: RequestHead, request_id: bytes, forwarded: bytes) -> None:
        """Sends a copy of the whole request to each target the budget allows; what is not sent is counted."""
        engine, route = self._engine, self._route
        copies = route.copies
        assert copies is not None
        chosen = [version for version in self._targets if self._within_budget(version, copies.max_in_flight)]
        if not chosen:
            return
        self._copies = tuple(version.name for version in chosen)
        self._pairing = pairing = Pairing(
            engine.new_id().decode(),
            request_id.decode("latin-1"),
            time(),
            route.name,
            engine.routes.generation,
        )
        body = self.request.body
        if head.framing is CHUNKED:
            body = chunk(body) + LAST_CHUNK if body else LAST_CHUNK
        head = head.without_expectation()
        for version in chosen:
            own = b"%bx-request-id: %b\r\nx-router-shadow: %b\r\n\r\n" % (
                forwarded,
                request_id,
                version.name.encode(),
            )
            Copy(engine, pairing, version, Tap(copies.max_body)).start(head, own + body, copies.timeout)

    def _within_budget(self, version: Version, max_in_flight: int) -> bool:
        if not self.request.whole:
            reason = "body_too_large"
        elif version.shadow_counter.in_flight >= max_in_flight:
            reason = "max_in_flight"
        else:
            return True
        self._engine.events.add("router_copies_dropped_total", self._route.name, version.name, reason)
        return False

    def record(self, head: RequestHead, version: Version, outcome: Outcome) -> None:
        """Hands this side's half to the recorder, once; nothing if no copy was sent."""
        pairing, self._pairing = self._pairing, None
        if pairing is None:
            return
        request = CapturedRequest(head.method, head.target, message(head.fields, self.request, complete=True))
        answer = outcome.captured(version.name, self.answer)
        self._engine.recorder.send(pairing.primary(answer, request, self._copies))


class Copy:
    """One copy on its way: waits for a connection, sends, keeps a bounded part of the answer, reports."""

    __slots__ = ("_answer", "_body", "_endpoint", "_engine", "_first_byte", "_head", "_over", "_pairing",
                 "_started", "_tap", "_upstream", "_version", "_whole", "deadline", "slot")  # fmt: skip

    def __init__(self, engine: Engine, pairing: Pairing, version: Version, tap: Tap) -> None:
        self._engine = engine
        self._pairing = pairing
        self._version = version
        self._tap = tap
        self._body = b""
        self._head: RequestHead | None = None
        self._answer: ResponseHead | None = None
        self._whole = False
        self._over = False
        self._endpoint: Endpoint | None = None
        self._upstream: Upstream | None = None
        self._started = engine.time
        self._first_byte = -1.0
        self.deadline = NEVER
        self.slot = -1

    def start(self, head: RequestHead, rest: bytes, timeout: float) -> None:
        """Sends the copy: `head`, then the router's own fields and the body; over within `timeout` seconds."""
        engine = self._engine
        self._head = head
        self._body = rest
        self.deadline = self._started + timeout
        self._version.shadow_counter.start()
        self._endpoint = endpoint = choose(self._version.copy_endpoints, self._started)
        if endpoint is None:
            self._finish(Fault.NO_ENDPOINT.status, Fault.NO_ENDPOINT.code)
            return
        upstream = endpoint.take(self._started)
        if upstream is not None:
            self._send(upstream)
        else:
            engine.wheel.watch(self)
            endpoint.wait(self)

    def _send(self, upstream: Upstream) -> None:
        self._upstream = upstream
        head, endpoint = self._head, upstream.endpoint
        assert head is not None
        pieces = compose_request(head, endpoint.base, endpoint.host_lines)
        pieces.append(self._body)
        upstream.lease(self, to_head=head.method == b"HEAD", request=b"".join(pieces))
        upstream.deadline = self.deadline
        self._engine.wheel.hasten(upstream)

    def _still_wanted(self) -> bool:
        route = self._engine.routes.by_name.get(self._pairing.deployment)
        return route is None or any(
            version.name == self._version.name
            for targets in route.copy_targets.values()
            for version in targets
        )

    # Waiter

    def on_connected(self, upstream: Upstream) -> None:
        self._engine.wheel.forget(self)
        if self._still_wanted():
            self._send(upstream)
        else:
            upstream.endpoint.give_back(upstream)
            self._finish(NO_ANSWER, "withdrawn")

    def on_connect_failed(self, fault: Fault, detail: str) -> None:
        self._engine.wheel.forget(self)
        self._fail(fault)

    # Carrier

    def on_informational(self, head: ResponseHead) -> None: ...

    def on_switching(self, head: ResponseHead) -> None:
        raise Malformed("a copy does not ask for another protocol")

    def on_response_whole(self, head: ResponseHead, body: bytes) -> None:
        self.on_response(head)
        self._tap.add(body)
        self._whole = True

    def on_response(self, head: ResponseHead) -> None:
        self._answer = head
        self._first_byte = self._engine.time - self._started
        if head.status < 500 and self._endpoint is not None and self._endpoint.ejection.troubled:
            self._endpoint.ejection.success()

    def on_response_body(self, data: bytes) -> None:
        self._tap.add(data)

    def on_response_end(self) -> None:
        self._whole = True

    def on_received(self) -> None:
        if self._whole and self._answer is not None:
            self._leave(request_whole=True)
            self._finish(self._answer.status, "")

    def on_switched(self, rest: bytes) -> None: ...

    def on_upstream_lost(self, fault: Fault, detail: str) -> None:
        self._upstream = None
        self._fail(fault)

    def pause_request(self) -> None: ...

    def resume_request(self) -> None: ...

    # Timed: while it waits itself, then its connection

    def on_deadline(self, now: float) -> None:
        self._engine.time = now
        self._engine.wheel.forget(self)
        self._leave(request_whole=False)
        self._fail(Fault.TIMEOUT)

    def _leave(self, *, request_whole: bool) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.release(request_whole=request_whole)
        elif self._endpoint is not None:
            self._endpoint.withdraw(self)

    def _fail(self, fault: Fault) -> None:
        if self._endpoint is not None:
            self._endpoint.ejection.failure(self._engine.time)
        self._finish(fault.status, fault.code)

    def _finish(self, code: int, error: str) -> None:
        if self._over:
            return
        self._over = True
        latency = self._engine.time - self._started
        self._version.shadow_counter.finish(code, latency, self._first_byte)
        url = self._endpoint.url if self._endpoint is not None else ""
        outcome = Outcome(url, self._answer, latency, self._first_byte, self._whole, error)
        self._engine.recorder.send(self._pairing.shadow(outcome.captured(self._version.name, self._tap)))
