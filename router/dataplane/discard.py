"""Reading an unwanted answer to its end, so that its connection can carry another exchange."""

from router.dataplane.faults import Fault
from router.dataplane.upstream import Upstream
from router.http1.framing import LENGTH
from router.http1.head import ResponseHead

LIMIT = 64 << 10
"""Bytes of a body that are worth reading for that; a larger or open-ended one ends the connection instead."""

PATIENCE = 5.0
"""Seconds for it to arrive."""


def discard(upstream: Upstream, head: ResponseHead | None, *, request_whole: bool) -> None:
    """The carrier lets go of a connection whose answer (`head`, if it has come) it does not want."""
    if head is not None and request_whole and head.framing <= LENGTH and head.length <= LIMIT:
        upstream.hand_to(_Reader(upstream))
        upstream.deadline = upstream.engine.time + PATIENCE
    else:
        upstream.release(request_whole=False)


class _Reader:
    """The carrier that only waits for the end."""

    __slots__ = ("_upstream", "_whole")

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._whole = False

    def on_informational(self, head: ResponseHead) -> None: ...
    def on_switching(self, head: ResponseHead) -> None: ...
    def on_response_whole(self, head: ResponseHead, body: bytes) -> None: ...
    def on_response(self, head: ResponseHead) -> None: ...
    def on_response_body(self, data: bytes) -> None: ...
    def on_upstream_lost(self, fault: Fault, detail: str) -> None: ...
    def pause_request(self) -> None: ...
    def resume_request(self) -> None: ...

    def on_response_end(self) -> None:
        self._whole = True

    def on_received(self) -> None:
        if self._whole:
            self._upstream.release(request_whole=True)

    def on_switched(self, rest: bytes) -> None:
        self._upstream.release(request_whole=False)

    def on_deadline(self, now: float) -> None:
        self._upstream.release(request_whole=False)
