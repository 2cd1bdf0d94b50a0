"""The mirrored side of a live exchange: which copies leave, what is kept of both bodies, and one half of the pairs.

Copies leave right after the live request, as soon as its head is known, and get its body as it streams. They have a
budget, in number and in bytes, and leave no copy behind while the worker is late with live work: what is not sent is
counted.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, NamedTuple

from router.channel import Capture, CapturedAnswer, CapturedRequest
from router.dataplane.capture import Outcome, Tap, message
from router.dataplane.copies import Copy
from router.dataplane.routes import Route, Version
from router.http1.framing import CHUNKED, LAST_CHUNK, LENGTH, chunk
from router.http1.head import RequestHead

if TYPE_CHECKING:
    from router.dataplane.engine import Engine

LATE = 0.05
"""Seconds the event loop may be late before copies are shed: live requests wait for their turn then."""


class Pairing(NamedTuple):
    """What the halves of one request's pairs have in common."""

    key: str
    id: str
    time: float
    deployment: str
    generation: int
    cohort: int

    def primary(self, answer: CapturedAnswer, request: CapturedRequest, copies: tuple[str, ...]) -> Capture:
        """The half of the version that answers the client."""
        return Capture(
            self.key, "primary", self.id, self.time, self.deployment, self.generation,
            answer, request, copies, self.cohort,
        )  # fmt: skip

    def shadow(self, answer: CapturedAnswer) -> Capture:
        """The half of a copy."""
        return Capture(
            self.key,
            "shadow",
            self.id,
            self.time,
            self.deployment,
            self.generation,
            answer,
            None,
            (),
            self.cohort,
        )


class Mirroring:
    """See the module. `launch` is called once, when the exchange has been sent on its way for the first time."""

    __slots__ = (
        "_copies",
        "_engine",
        "_launched",
        "_pairing",
        "_route",
        "_sending",
        "_targets",
        "answer",
        "request",
    )

    def __init__(self, engine: Engine, route: Route, targets: tuple[Version, ...]) -> None:
        copies = route.copies
        assert copies is not None
        self._engine = engine
        self._route = route
        self._targets = targets
        self._pairing: Pairing | None = None
        self._copies: tuple[str, ...] = ()
        self._sending: list[Copy] = []
        self._launched = False
        self.request = Tap(copies.max_body, engine.tapped)
        self.answer = Tap(copies.max_body, engine.tapped)

    def launch(self, head: RequestHead, request_id: bytes, forwarded: bytes, *, whole: bool) -> None:
        """Sends a copy to each target the budget allows, with what there is of the body (`whole`: all of it)."""
        if self._launched:
            return
        self._launched = True
        engine, route = self._engine, self._route
        copies = route.copies
        assert copies is not None
        chosen = self._within_budget(head, copies.max_in_flight, copies.max_body)
        if not chosen:
            return
        self._copies = tuple([version.name for version in chosen])
        self._pairing = pairing = Pairing(
            engine.new_id().decode(),
            request_id.decode("latin-1"),
            time(),
            route.name,
            engine.routes.generation,
            chosen[0].cohort,
        )
        body = self.request.body
        if head.framing is CHUNKED:
            body = (chunk(body) if body else b"") + (LAST_CHUNK if whole else b"")
        head = head.without_expectation()
        for version in chosen:
            own = b"%bx-request-id: %b\r\nx-router-shadow: %b\r\n\r\n" % (
                forwarded,
                request_id,
                version.label,
            )
            copy = Copy(engine, pairing, version, Tap(copies.max_body, engine.tapped))
            if not whole:
                self._sending.append(copy)
            copy.start(head, own + body, copies.timeout, whole=whole)

    def body(self, data: bytes, wire: bytes) -> None:
        """A piece of the request's body: as it is, and in the request's own framing."""
        self.request.add(data)
        if self._sending:
            if self.request.whole:
                for copy in self._sending:
                    copy.body(wire)
            else:
                self.give_up("body_too_large")

    def end(self, wire: bytes) -> None:
        """The request's body is whole; `wire` is what ends it in its framing."""
        for copy in self._sending:
            if wire:
                copy.body(wire)
            copy.end()
        self._sending = []

    def give_up(self, error: str) -> None:
        """The rest of the request will not come, or is too much: copies that wait for it end, and say so."""
        sending, self._sending = self._sending, []
        for copy in sending:
            copy.give_up(error)

    def record(self, head: RequestHead, version: Version, outcome: Outcome) -> None:
        """Hands this side's half to the recorder, once; nothing if no copy was sent."""
        pairing, self._pairing = self._pairing, None
        if pairing is not None:
            request = CapturedRequest(
                head.method, head.target, message(head.fields, self.request, complete=True)
            )
            answer = outcome.captured(version.name, self.answer)
            self._engine.recorder.send(pairing.primary(answer, request, self._copies))

    def free(self) -> None:
        """The exchange is over."""
        self.request.free()
        self.answer.free()

    def _within_budget(self, head: RequestHead, max_in_flight: int, max_body: int) -> list[Version]:
        reason = ""
        if not self.request.whole or (head.framing is LENGTH and head.length > max_body):
            reason = "body_too_large"
        elif self._engine.wheel.late > LATE:
            reason = "live_busy"
        elif head.framing is LENGTH and head.length - self.request.size > self._engine.tapped.left:
            reason = "memory"
        chosen = []
        for version in self._targets:
            busy = sum([counter.in_flight for counter in version.shadow_counters]) >= max_in_flight
            if reason or busy:
                self._engine.events.add(
                    "router_copies_dropped_total", self._route.name, version.name, reason or "max_in_flight"
                )
            else:
                chosen.append(version)
        return chosen
