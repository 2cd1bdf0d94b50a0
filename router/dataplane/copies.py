"""One copy of a request on its way to a version whose answer is only recorded.

It has connections of its own and a time by which it is over; it is sent once and never again, and nothing it does
reaches the exchange it was copied from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.channel import Half
from router.dataplane.capture import Tap
from router.dataplane.faults import Fault
from router.dataplane.pool import Endpoint
from router.dataplane.timers import NEVER
from router.dataplane.upstream import Upstream
from router.dataplane.versions import Version, choose
from router.http1.framing import LENGTH, Malformed
from router.http1.head import RequestHead, ResponseHead, compose_request

if TYPE_CHECKING:
    from router.dataplane.mirror import Mirroring

NO_ANSWER = 599
"""Counted as the status of a copy that was given up before it could be answered."""


class Copy:
    """See the module. The request comes as its head, then the body piece by piece as it goes over the wire."""

    __slots__ = ("_answer", "_body", "_complete", "_endpoint", "_engine", "_first_byte", "_held", "_mirroring", "_over",
                 "_pieces", "_request_whole", "_started", "_tap", "_to_head", "_upstream", "_version", "deadline",
                 "slot")  # fmt: skip

    def __init__(self, mirroring: Mirroring, version: Version) -> None:
        self._engine = engine = mirroring.engine
        self._mirroring = mirroring
        self._version = version
        self._tap: Tap | None = None
        self._body = b""
        self._pieces: list[bytes] = []
        self._held = 0
        self._to_head = False
        self._answer: ResponseHead | None = None
        self._request_whole = self._complete = self._over = False
        self._endpoint: Endpoint | None = None
        self._upstream: Upstream | None = None
        self._started = engine.time
        self._first_byte = -1.0
        self.deadline = NEVER
        self.slot = -1

    # what the mirrored exchange says

    def start(self, head: RequestHead, own: bytes, body: bytes, *, whole: bool) -> None:
        """Sends the copy: `head`, the router's `own` fields up to the version's name, and what there is of the body."""
        started, version = self._started, self._version
        self._request_whole = whole
        version.shadow_counter.start()
        version.copying.count += 1
        # A shadow may be slow to take it: what is written waits in memory.
        self._held = len(body)
        self._engine.tapped.left -= self._held
        self._endpoint = endpoint = choose(version.copy_endpoints, started)
        if endpoint is None:
            self._finish(Fault.NO_ENDPOINT.status, Fault.NO_ENDPOINT.code)
            return
        self._to_head = head.method == b"HEAD"
        self._pieces = pieces = compose_request(head, endpoint.base, endpoint.host_lines)
        pieces += (own, version.label, b"\r\n\r\n", body)
        self.deadline = started + self._mirroring.route.copies.timeout  # type: ignore[union-attr]
        upstream = endpoint.take(started)
        if upstream is not None:
            self._send(upstream)
        else:
            self._engine.wheel.watch(self)
            endpoint.wait(self)

    def body(self, data: bytes) -> None:
        """More of the request's body."""
        if self._over:
            return
        self._held += len(data)
        self._engine.tapped.left -= len(data)
        if self._upstream is not None:
            self._upstream.write(data)
        else:
            self._pieces.append(data)

    def end(self) -> None:
        """The request's body is whole."""
        self._request_whole = True

    def give_up(self, error: str) -> None:
        """The request can't be sent to its end; the pair says why."""
        if not self._over:
            self._engine.wheel.forget(self)
            self._leave()
            self._finish(NO_ANSWER, error)

    def _send(self, upstream: Upstream) -> None:
        self._upstream = upstream
        pieces, self._pieces = self._pieces, []
        upstream.lease(self, to_head=self._to_head, request=b"".join(pieces))
        upstream.deadline = self.deadline
        if self._mirroring.route.hasty:
            self._engine.wheel.hasten(upstream)

    def _still_wanted(self) -> bool:
        route = self._engine.routes.by_name.get(self._mirroring.route.name)
        return route is None or self._version.name in route.copied_to

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
        self._body = body
        self._complete = True

    def on_response(self, head: ResponseHead) -> None:
        self._answer = head
        self._first_byte = self._engine.time - self._started
        if head.status < 500 and self._endpoint is not None and self._endpoint.ejection.troubled:
            self._endpoint.ejection.success()

    def on_response_body(self, data: bytes) -> None:
        if self._tap is None:
            self._tap = Tap(self._mirroring.limit, self._engine.tapped)
        self._tap.add(data)

    def on_response_end(self) -> None:
        self._complete = True

    def on_received(self) -> None:
        answer, tap = self._answer, self._tap
        if answer is None:
            return
        if self._complete:
            self._leave()
            self._finish(answer.status, "")
        elif tap is not None and not tap.whole:
            # Nothing more of it is kept, and it may never end.
            if answer.framing is LENGTH:
                tap.size = answer.length
            self._leave()
            self._finish(answer.status, "body_too_large")

    def on_switched(self, rest: bytes) -> None: ...

    def on_upstream_lost(self, fault: Fault, detail: str) -> None:
        self._upstream = None
        self._fail(fault)

    def pause_request(self) -> None:
        """Nobody waits for it: what it does not take yet is bounded by the limit of the request's body."""

    def resume_request(self) -> None: ...

    # Timed: while it waits itself, then its connection

    def on_deadline(self, now: float) -> None:
        self._engine.time = now
        self._engine.wheel.forget(self)
        self._leave()
        self._fail(Fault.TIMEOUT)

    def _leave(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.release(request_whole=self._request_whole and self._complete)
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
        engine, version, pair = self._engine, self._version, self._mirroring
        answer, endpoint, tap = self._answer, self._endpoint, self._tap
        body, size, whole = pair.kept(tap, self._body)
        latency = engine.time - self._started
        version.copying.count -= 1
        engine.tapped.left += self._held
        version.shadow_counter.finish(code, latency, self._first_byte)
        half = Half(
            pair.key, pair.id, pair.time, pair.route.name, pair.generation, pair.cohort, version.name,
            endpoint.url if endpoint is not None else "",
            answer.status if answer is not None else 0,
            answer.text if answer is not None else b"",
            body, size, not (self._complete and whole), latency, self._first_byte, error,
        )  # fmt: skip
        engine.recorder.send(half)
        if tap is not None:
            tap.free()
