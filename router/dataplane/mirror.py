"""The mirrored side of a live exchange: which copies leave, what is kept of both bodies, and one half of the pairs.

Copies leave right after the live request, as soon as its head is known, and get its body as it streams. They have a
budget, in number and in bytes, and leave no copy behind while the worker is late with live work: what is not sent is
counted.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, ClassVar, Final

from router.channel import Half
from router.dataplane.capture import Tap
from router.dataplane.copies import Copy
from router.dataplane.routes import Route
from router.dataplane.versions import Version
from router.http1.framing import CHUNKED, LAST_CHUNK, LENGTH, chunk
from router.http1.head import RequestHead, ResponseHead
from router.telemetry.events import COPIES_DROPPED

if TYPE_CHECKING:
    from router.dataplane.engine import Engine

LATE: Final = 0.05
"""Seconds the event loop may be late before copies are shed: live requests wait for their turn then."""


class Mirroring:
    """See the module. `launch` is called once, when the exchange has been sent on its way for the first time.

    `key`, `id`, `time` (Unix seconds), `generation` and `cohort` are what the halves of its pairs have in common.
    """

    __slots__ = ("_answer", "_asked", "_copies", "_open", "_request", "_sending", "_targets", "answered",
                 "cohort", "engine", "generation", "id", "key", "launched", "limit", "route", "time")  # fmt: skip

    copy_type: ClassVar[type[Copy]] = Copy

    def __init__(self, engine: Engine, route: Route, targets: tuple[Version, ...]) -> None:
        self.limit = route.copies.max_body  # type: ignore[union-attr]
        self.engine = engine
        self.route = route
        self._open = False
        self._targets = targets
        self._copies: tuple[str, ...] = ()
        self._sending: list[Copy] = []
        self.launched = False
        self._asked = b""
        self._request: Tap | None = None
        self._answer: Tap | None = None
        self.answered = b""

    def launch(
        self, head: RequestHead, request_id: bytes, forwarded: bytes, pieces: list[bytes], *, whole: bool
    ) -> None:
        """Sends a copy to each target the budget allows, with the pieces of the body that came (`whole`: all)."""
        self.launched = True
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if whole:
            self._asked = body
        else:
            self._request = Tap(self.limit, self.engine.tapped)
            self._request.add(body)
        chosen = self._within_budget(head, len(body))
        if not chosen:
            return
        engine = self.engine
        self._copies = tuple([version.name for version in chosen])
        self._open = True
        self.id = request_id
        # An id of our own is given once; one that a client brought may come again.
        self.key = engine.new_id() if b"x-request-id" in head.index else request_id
        self.time = time()
        self.generation = engine.routes.generation
        self.cohort = chosen[0].cohort
        if head.framing is CHUNKED:
            body = (chunk(body) if body else b"") + (LAST_CHUNK if whole else b"")
        if b"expect" in head.index:
            head = head.without_expectation()
        own = b"".join((forwarded, b"x-request-id: ", request_id, b"\r\nx-router-shadow: "))
        for version in chosen:
            copy = self.copy_type(self, version)
            if not whole:
                self._sending.append(copy)
            copy.start(head, own, body, whole=whole)

    def body(self, data: bytes, wire: bytes) -> None:
        """A further piece of the request's body: as it is, and in the request's own framing."""
        request = self._request
        if request is not None:
            request.add(data)
            if request.whole:
                for copy in self._sending:
                    copy.body(wire)
            else:
                self.give_up("body_too_large")

    def answer(self, data: bytes) -> None:
        """A piece of the live answer's body; one that came whole is put into `answered` instead."""
        if self._answer is None:
            self._answer = Tap(self.limit, self.engine.tapped)
        self._answer.add(data)

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

    def record(
        self,
        head: RequestHead,
        version: str,
        endpoint: str,
        answer: ResponseHead | None,
        latency: float,
        first_byte: float,
        error: str,
        *,
        whole: bool,
    ) -> None:
        """Hands this side's half to the recorder, once; nothing if no copy was sent.

        Without an answer's head `error` says why there is none; with one, what broke it off (`whole`: nothing).
        Seconds, the first byte's negative where none came.
        """
        if not self._open:
            return
        self._open = False
        body, size, complete = self.kept(self._answer, self.answered)
        asked, asked_size, asked_whole = self.kept(self._request, self._asked)
        half = Half(
            self.key, self.id, self.time, self.route.name, self.generation, self.cohort, version, endpoint,
            answer.status if answer is not None else 0,
            answer.text if answer is not None else b"",
            body, size, not (whole and complete), latency, first_byte, error,
            head.text, asked, asked_size, not asked_whole, self._copies,
        )  # fmt: skip
        self.engine.recorder.send(half)

    def free(self) -> None:
        """The exchange is over."""
        if self._request is not None:
            self._request.free()
        if self._answer is not None:
            self._answer.free()

    def kept(self, tap: Tap | None, whole: bytes) -> tuple[bytes, int, bool]:
        """What is kept of a body that streamed by or came whole: the bytes, the true size, whether that is all."""
        if tap is not None:
            return tap.body, tap.size, tap.whole
        size = len(whole)
        return (whole, size, True) if size <= self.limit else (whole[: self.limit], size, False)

    def _within_budget(self, head: RequestHead, size: int) -> list[Version]:
        """The targets a copy may go to now, with `size` bytes of the body here; of the others is counted why not."""
        copies, engine = self.route.copies, self.engine
        assert copies is not None
        reason = ""
        total = head.length if head.framing is LENGTH else size
        if total > self.limit:
            reason = "body_too_large"
        elif engine.wheel.late > LATE:
            reason = "live_busy"
        elif total * len(self._targets) > engine.tapped.left:
            reason = "memory"
        chosen = []
        for version in self._targets:
            if reason or version.copying.count >= copies.max_in_flight:
                why = reason or "max_in_flight"
                engine.events.add(COPIES_DROPPED, self.route.name, version.name, why)
            else:
                chosen.append(version)
        return chosen
