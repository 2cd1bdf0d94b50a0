"""Copies of requests to versions whose answers are only recorded.

A copy leaves after the live request was written, on connections of its own, within a budget; it is never sent twice,
never waits without bound, and nothing it does reaches the exchange it was copied from.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, NamedTuple

from router.channel import Capture, CapturedAnswer, CapturedRequest
from router.dataplane.capture import Tap, Timing, captured_answer
from router.dataplane.faults import Fault
from router.dataplane.routes import Route, Version, choose
from router.dataplane.timers import NEVER
from router.http1.framing import LAST_CHUNK, Framing, chunk
from router.http1.head import COPY_DROP, RequestHead, ResponseHead, compose_request

if TYPE_CHECKING:
    from router.dataplane.engine import Engine
    from router.dataplane.exchange import Exchange
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
    copies: tuple[str, ...]

    def capture(self, role: str, answer: CapturedAnswer, request: CapturedRequest | None = None) -> Capture:
        copies = self.copies if request is not None else ()
        return Capture(
            self.key, role, self.id, self.time, self.deployment, self.generation, answer, request, copies
        )


def launch(
    engine: Engine, route: Route, targets: tuple[Version, ...], exchange: Exchange, tap: Tap
) -> Pairing | None:
    """Sends a copy of the whole request to each target the budget allows; None if to none of them.

    What is not sent is counted with its reason.
    """
    copies = route.copies
    assert copies is not None
    chosen = []
    for version in targets:
        if not tap.whole:
            reason = "body_too_large"
        elif version.shadow_counter.in_flight >= copies.max_in_flight:
            reason = "max_in_flight"
        else:
            chosen.append(version)
            continue
        engine.events.add("router_copies_dropped_total", route.name, version.name, reason)
    if not chosen:
        return None
    pairing = Pairing(
        engine.new_id().decode(),
        exchange.id.decode("latin-1"),
        time(),
        route.name,
        engine.routes.generation,
        tuple(version.name for version in chosen),
    )
    body = tap.body
    if exchange.head.framing is Framing.CHUNKED:
        body = chunk(body) + LAST_CHUNK if body else LAST_CHUNK
    for version in chosen:
        Copy(engine, pairing, version, exchange.head, exchange.forwarded, body, copies.max_body).start(
            copies.timeout
        )
    return pairing


class Copy:
    """One copy on its way: waits for a connection, sends, keeps a bounded part of the answer, reports."""

    __slots__ = ("_answer", "_body", "_endpoint", "_engine", "_first_byte", "_forwarded", "_head", "_over", "_pairing",
                 "_started", "_tap", "_upstream", "_version", "_whole", "deadline", "slot")  # fmt: skip

    def __init__(
        self,
        engine: Engine,
        pairing: Pairing,
        version: Version,
        head: RequestHead,
        forwarded: bytes,
        body: bytes,
        max_body: int,
    ) -> None:
        self._engine = engine
        self._pairing = pairing
        self._version = version
        self._head = head
        self._forwarded = b"%bx-router-shadow: %b\r\n" % (forwarded, version.name.encode())
        self._body = body
        self._tap = Tap(max_body)
        self._answer: ResponseHead | None = None
        self._whole = False
        self._over = False
        self._endpoint: Endpoint | None = None
        self._upstream: Upstream | None = None
        self._started = engine.now()
        self._first_byte = -1.0
        self.deadline = NEVER
        self.slot = -1

    def start(self, timeout: float) -> None:
        """Sends the copy; whatever comes of it is over within `timeout` seconds."""
        engine = self._engine
        self._version.shadow_counter.start()
        engine.wheel.start(self, self._started + timeout)
        endpoint = choose(self._version.copy_endpoints, self._started)
        if endpoint is None:
            self._finish(Fault.NO_ENDPOINT.status, Fault.NO_ENDPOINT.code)
            return
        self._endpoint = endpoint
        upstream = endpoint.take(self, self._started)
        if upstream is not None:
            self._send(upstream)

    def _send(self, upstream: Upstream) -> None:
        self._upstream = upstream
        endpoint = upstream.endpoint
        upstream.lease(self, self._head.method == b"HEAD")
        pieces = compose_request(self._head, endpoint.base, endpoint.host_lines, self._forwarded, COPY_DROP)
        pieces.append(self._body)
        upstream.write(b"".join(pieces))

    def _still_wanted(self) -> bool:
        route = self._engine.routes.by_name.get(self._pairing.deployment)
        return route is None or any(
            version.name == self._version.name
            for targets in route.copy_targets.values()
            for version in targets
        )

    # Waiter

    def on_connected(self, upstream: Upstream) -> None:
        if self._still_wanted():
            self._send(upstream)
        else:
            upstream.endpoint.give_back(upstream, self._engine.now())
            self._finish(NO_ANSWER, "withdrawn")

    def on_connect_failed(self, fault: Fault, detail: str) -> None:
        self._fail(fault)

    # Carrier

    def on_informational(self, head: ResponseHead) -> None: ...

    def on_response(self, head: ResponseHead) -> None:
        self._answer = head
        self._first_byte = self._engine.now() - self._started

    def on_response_body(self, data: bytes) -> None:
        self._tap.add(data)

    def on_response_end(self) -> None:
        self._whole = True

    def on_received(self) -> None:
        if self._whole and self._answer is not None:
            self._leave(request_whole=True)
            self._finish(self._answer.status, "")

    def on_switched(self, rest: bytes) -> None:
        self._leave(request_whole=False)
        self._fail(Fault.BAD_UPSTREAM_ANSWER)

    def on_upstream_lost(self, fault: Fault, detail: str) -> None:
        self._upstream = None
        self._fail(fault)

    def pause_request(self) -> None: ...

    def resume_request(self) -> None: ...

    # Timed

    def on_deadline(self, now: float) -> None:
        self._leave(request_whole=False)
        self._fail(Fault.TIMEOUT)

    def _leave(self, *, request_whole: bool) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.release(self._engine.now(), request_whole=request_whole)
        elif self._endpoint is not None:
            self._endpoint.withdraw(self)

    def _fail(self, fault: Fault) -> None:
        if self._endpoint is not None:
            self._endpoint.ejection.failure(self._engine.now())
        self._finish(fault.status, fault.code)

    def _finish(self, code: int, error: str) -> None:
        if self._over:
            return
        self._over = True
        engine = self._engine
        engine.wheel.stop(self)
        latency = engine.now() - self._started
        self._version.shadow_counter.finish(code, latency, self._first_byte)
        answer = captured_answer(
            self._version.name,
            self._endpoint.url if self._endpoint is not None else "",
            self._answer,
            self._tap,
            Timing(latency, self._first_byte),
            complete=self._whole,
            error=error,
        )
        engine.recorder.send(self._pairing.capture("shadow", answer))
