"""The half of an exchange that faces its client: the answer as it is written, and its one end.

An answer is an upstream's, passed on piece by piece with the framing of this hop, or the router's own. What has
gathered during one read of the upstream leaves in one write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.dataplane.faults import Fault, render
from router.dataplane.state import DONE, State
from router.http1.framing import LAST_CHUNK, LENGTH
from router.http1.head import RequestHead, ResponseHead, response_lines

if TYPE_CHECKING:
    from router.dataplane.downstream import Downstream
    from router.dataplane.engine import Engine
    from router.dataplane.lanes import Lane
    from router.dataplane.mirror import Mirroring
    from router.dataplane.pool import Endpoint
    from router.dataplane.routes import Route, Version
    from router.telemetry.counters import VersionCounter


class Reply:
    """See the module. `Exchange` is the other half: it says which version answers, and when the answer is over."""

    __slots__ = (
        "_answer", "_answer_whole", "_client", "_close_delimited", "_counter", "_endpoint", "_engine",
        "_first_byte", "_keep", "_lane", "_mirroring", "_out", "_rechunk", "_request_whole", "_route", "_started",
        "_state", "_version", "head", "id",
    )  # fmt: skip

    # `Exchange` sets these, in one go with its own: a call less for every request.
    _engine: Engine
    _client: Downstream
    _state: State
    _started: float
    _first_byte: float
    _request_whole: bool
    _answer_whole: bool
    _out: list[bytes]
    _answer: ResponseHead | None
    _endpoint: Endpoint | None
    _version: Version | None
    _route: Route | None
    _mirroring: Mirroring | None
    _lane: Lane | None
    head: RequestHead
    id: bytes

    # Where the request is counted; set with `_version`.
    _counter: VersionCounter

    # These are set when the head of an answer goes to the client, and not read before.
    _rechunk: bool
    _close_delimited: bool
    _keep: bool

    # an upstream's answer

    def on_informational(self, head: ResponseHead) -> None:
        if self.head.minor:
            self._out += (response_lines(head), b"\r\n")

    def _answer_head(self, head: ResponseHead) -> None:
        """The head as it goes to the client: framing and persistence are of this hop (RFC 9112 §6, §9.3)."""
        version, request, out = self._version, self.head, self._out
        assert version is not None
        out.append(response_lines(head))
        keep = request.keep_alive and self._request_whole and not self._engine.draining
        self._rechunk = self._close_delimited = False
        if head.framing > LENGTH:
            if request.minor:
                self._rechunk = True
                out.append(b"transfer-encoding: chunked\r\n")
            else:
                self._close_delimited = True
                keep = False
        if head.status == 101:
            keep = False
            out.append(b"connection: upgrade\r\nupgrade: websocket\r\n")
        elif not keep:
            out.append(b"connection: close\r\n")
        elif not request.minor:
            out.append(b"connection: keep-alive\r\n")
        self._keep = keep
        out += (version.lines, self.id, b"\r\n\r\n")

    def on_response_body(self, data: bytes) -> None:
        if self._mirroring is not None:
            self._mirroring.answer(data)
        if self._rechunk:
            self._out += (b"%x\r\n" % len(data), data, b"\r\n")
        else:
            self._out.append(data)

    def on_response_end(self) -> None:
        self._answer_whole = True
        if self._rechunk:
            self._out.append(LAST_CHUNK)

    def _flush(self) -> None:
        """Writes what has gathered for the client in one go."""
        out = self._out
        if out:
            self._client.write(out[0] if len(out) == 1 else b"".join(out))
            self._out = []

    # when there is none, or not all of it

    def _truncate(self, fault: Fault) -> None:
        """The answer can't be completed; the client must be able to tell (promise 6)."""
        self._flush()
        self._engine.events.add("router_router_errors_total", fault.code)
        assert self._answer is not None
        self._client.break_off(hard=self._close_delimited)
        if fault.status >= 500:  # else it was the client
            self._counter.broken += 1
            self._blame(fault.status)
        self._finish(self._answer.status, fault.code, keep=False)

    def _refuse(self, fault: Fault, detail: str) -> None:
        """The router's own answer."""
        self._engine.events.add("router_router_errors_total", fault.code)
        request = self.head
        keep = self._request_whole and request.keep_alive and not self._engine.draining
        lines = self._version.lines if self._version is not None else b"x-request-id: "
        lines += self.id + b"\r\n"
        if not keep:
            lines += b"connection: close\r\n"
        elif not request.minor:
            lines += b"connection: keep-alive\r\n"
        self._out.append(render(fault, detail, lines, to_head=request.method == b"HEAD"))
        self._flush()
        self._finish(fault.status, fault.code, keep=keep)

    # the end

    def _finish(self, code: int, error: str, *, keep: bool) -> None:
        """Counts the request once, hands over its half of the pairs, and lets the client's connection go on."""
        self._state = DONE
        engine = self._engine
        counter = self._counter if self._version is not None else engine.unrouted
        counter.finish(code, engine.time - self._started, self._first_byte)
        if code >= 500:
            self._blame(code)
        if self._mirroring is not None:
            self._end_mirroring(self._mirroring, error)
        self._client.exchange_done(keep=keep)
        if self._lane is not None:
            self._leave_lane()

    def _leave_lane(self) -> None:
        """Gives up its place among the requests in flight, if it has one."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.leave()

    def _blame(self, code: int) -> None:
        """The version failed this client; tells it apart from other clients where that is asked for."""
        route = self._route
        if route is not None and route.count_causes and self._version is not None:
            self._counter.blame(route.cause(self.head, self._client.ip, code))

    def _end_mirroring(self, mirroring: Mirroring, error: str) -> None:
        """Copies go on, but not for a request of which no more comes."""
        if not self._request_whole:
            mirroring.give_up(error or "request_cut")
        self._record(error)
        mirroring.free()

    def _record(self, error: str) -> None:
        mirroring, version = self._mirroring, self._version
        if mirroring is not None and version is not None:
            endpoint = self._endpoint.url if self._endpoint is not None else ""
            latency = self._engine.time - self._started
            mirroring.record(
                self.head, version.name, endpoint, self._answer, latency, self._first_byte, error,
                whole=self._answer_whole,
            )  # fmt: skip
