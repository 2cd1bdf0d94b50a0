"""An exchange and its copies as they are when somebody is told of them.

Only requests that are chosen (`observer`) are made of these classes: what is not asked for costs nothing. They do what
`Exchange`, `Mirroring` and `Copy` do, and remember why, when and how much. A traced request goes upstream with the span
of its attempt as parent, each copy with one of its own; what is not traced keeps the `traceparent` it came with.
"""

from __future__ import annotations

from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING

from router.dataplane.copies import Copy
from router.dataplane.downstream import Downstream
from router.dataplane.exchange import CLIENT_GONE, Exchange
from router.dataplane.faults import Fault
from router.dataplane.mirror import Mirroring
from router.dataplane.routes import Route
from router.dataplane.upstream import Upstream
from router.dataplane.versions import Version
from router.http1.head import RequestHead, ResponseHead
from router.shares import SHARE_PARTS
from router.telemetry.accesslog import Line
from router.telemetry.spans import Span, Value, answered, asked, name_of, place
from router.telemetry.tracecontext import new_span, traceparent

if TYPE_CHECKING:
    from router.dataplane.engine import Engine
    from router.dataplane.observer import Observer, Trace

COPY = "copy"
"""Why a copy went to its version."""


class ObservedCopy(Copy):
    """See the module."""

    __slots__ = ("_bytes_in", "_head", "_span")

    def __init__(self, mirroring: Mirroring, version: Version) -> None:
        super().__init__(mirroring, version)
        self._bytes_in = 0
        self._span = new_span()

    def start(self, head: RequestHead, own: bytes, body: bytes, *, whole: bool) -> None:
        self._head = head
        self._bytes_in = len(body)
        trace = self._pair.trace
        line = traceparent(trace.trace, self._span) if trace is not None else b""
        super().start(head, line + own, body, whole=whole)

    def body(self, data: bytes) -> None:
        self._bytes_in += len(data)
        super().body(data)

    @property
    def _pair(self) -> ObservedMirroring:
        assert isinstance(self._mirroring, ObservedMirroring)
        return self._mirroring

    def _finish(self, code: int, error: str) -> None:
        if not self._over:
            self._tell(code, error)
        super()._finish(code, error)

    def _tell(self, code: int, error: str) -> None:
        pair, head, engine = self._pair, self._head, self._engine
        observer, trace, route = pair.observer, pair.trace, pair.route
        endpoint, answer = self._endpoint, self._answer
        url = endpoint.url if endpoint is not None else ""
        status = answer.status if answer is not None else 0
        if trace is not None and url:
            failed = status >= 400 or bool(error)
            attributes = {
                **asked(head.method), "url.full": url + path_of(head), **observer.place(url),
                **answered(status, error, failed), **belongs(route, self._version, pair.id), "router.why": COPY,
                "router.shadow": True,
            }  # fmt: skip
            observer.record(
                Span(False, name_of(head.method), trace.trace, self._span, trace.span, False, self._started,
                     engine.time, attributes, failed)
            )  # fmt: skip
        if pair.logged and observer.copies:
            duration = engine.time - self._started
            observer.write(
                Line(
                    time=began(duration), id=pair.id.decode("latin-1"), deployment=route.name,
                    version=self._version.name, role="shadow", why=COPY, method=head.method.decode("latin-1"),
                    path=path_of(head), status=code, bytes_in=self._bytes_in,
                    bytes_out=self._tap.size if self._tap is not None else len(self._body),
                    duration_ms=milliseconds(duration), client="", attempts=1,
                    first_byte_ms=milliseconds(self._first_byte) if answer is not None else None,
                    endpoint=url, error=error, trace=f"{trace.trace:032x}" if trace is not None else "",
                )
            )  # fmt: skip


class ObservedMirroring(Mirroring):
    """See the module. `plain` are the router's own field lines for an upstream, without a parent."""

    __slots__ = ("logged", "observer", "plain", "trace")

    copy_type = ObservedCopy

    observer: Observer
    trace: Trace | None
    logged: bool
    plain: bytes

    def launch(
        self, head: RequestHead, request_id: bytes, forwarded: bytes, pieces: list[bytes], *, whole: bool
    ) -> None:
        super().launch(head, request_id, self.plain, pieces, whole=whole)


class Observed(Exchange):
    """See the module. `logged`: chosen for the access log by chance; one that fails may be as well."""

    __slots__ = (
        "_attempts", "_began", "_bytes_in", "_bytes_out", "_falling", "_logged", "_observer", "_plain", "_span",
        "_trace", "_upstream_time", "_why",
    )  # fmt: skip

    mirroring_type = ObservedMirroring

    def __init__(
        self,
        engine: Engine,
        client: Downstream,
        head: RequestHead,
        observer: Observer,
        trace: Trace | None,
        *,
        logged: bool,
    ) -> None:
        super().__init__(engine, client, head)
        self._observer = observer
        self._trace = trace
        self._logged = logged
        self._why = ""
        self._falling = False
        self._plain: bytes | None = None
        self._bytes_in = self._bytes_out = self._attempts = self._span = 0
        self._began = self._upstream_time = -1.0

    # what goes by

    def start_whole(self, body: bytes) -> None:
        self._bytes_in = len(body)
        super().start_whole(body)

    def request_body(self, data: bytes) -> None:
        self._bytes_in += len(data)
        super().request_body(data)

    def on_response_body(self, data: bytes) -> None:
        self._bytes_out += len(data)
        super().on_response_body(data)

    def on_response_whole(self, head: ResponseHead, body: bytes) -> None:
        super().on_response_whole(head, body)
        if self._answer_whole:
            self._bytes_out = len(body)

    # attempts

    def _enter(self, version: Version) -> None:
        falling, self._falling = self._falling, False
        assert self._route is not None
        self._why = "fallback" if falling else self._route.why(self.head, self._client.ip)
        super()._enter(version)

    def _attempt(self, version: Version) -> None:
        self._began = self._engine.time
        self._span = new_span() if self._trace is not None else 0
        super()._attempt(version)

    def _send(self, upstream: Upstream) -> None:
        trace, plain = self._trace, self._without_parent()
        if trace is not None:
            self._forwarded = plain + traceparent(trace.trace, self._span)
        super()._send(upstream)

    def _launch(self, mirroring: Mirroring, pieces: list[bytes]) -> None:
        assert isinstance(mirroring, ObservedMirroring)
        mirroring.observer, mirroring.trace = self._observer, self._trace
        mirroring.logged, mirroring.plain = self._logged, self._without_parent()
        super()._launch(mirroring, pieces)

    def _without_parent(self) -> bytes:
        if self._plain is None:
            self._plain = self._forwarded
        return self._plain

    def _lost(self, fault: Fault, detail: str, *, resend: bool) -> None:
        self._end_attempt(fault.code)
        super()._lost(fault, detail, resend=resend)

    def _fall_back(self, code: int, reason: str) -> None:
        self._end_attempt(reason)
        self._falling = True
        super()._fall_back(code, reason)

    def _finish(self, code: int, error: str, *, keep: bool) -> None:
        self._end_attempt(error)
        if self._logged or (self._observer.failures and (error or code >= 500)):
            self._observer.write(self._line(code, error))
        if self._trace is not None:
            self._observer.record(self._server_span(self._trace, code, error))
        super()._finish(code, error, keep=keep)

    # what is said of it

    def _end_attempt(self, error: str) -> None:
        """The attempt is over, unless it was already."""
        began, self._began = self._began, -1.0
        endpoint, now = self._endpoint, self._engine.time
        if began < 0.0 or endpoint is None:
            return
        self._attempts += 1
        self._upstream_time = now - began
        trace, version, route = self._trace, self._version, self._route
        if trace is None or version is None or route is None:
            return
        status = self._answer.status if self._answer is not None else 0
        failed = status >= 400 or bool(error)
        attributes = {
            **asked(self.head.method), "url.full": endpoint.url + path_of(self.head),
            **self._observer.place(endpoint.url), **answered(status, error, failed),
            **belongs(route, version, self.id), "router.why": self._why, "router.shadow": False,
        }  # fmt: skip
        if self._attempts > 1:
            attributes["http.request.resend_count"] = self._attempts - 1
        self._observer.record(
            Span(False, name_of(self.head.method), trace.trace, self._span, trace.span, False, began, now, attributes,
                 failed)
        )  # fmt: skip

    def _server_span(self, trace: Trace, code: int, error: str) -> Span:
        head, route, version, client = self.head, self._route, self._version, self._client
        host, _, port = head.host.decode("latin-1").rpartition(":")
        # Nobody was sent a 499, and nobody here is to blame for it; an answer that breaks off is an error all the same.
        status = code if code != CLIENT_GONE else 0
        failed = code >= 500 or (bool(error) and code < 400)
        attributes = {
            **asked(head.method), "url.path": path_of(head), "url.scheme": client.scheme.decode(),
            "client.address": client.ip.decode("latin-1"), "network.protocol.version": f"1.{int(head.minor)}",
            **(place(host, int(port)) if port.isdigit() else place(head.host.decode("latin-1"), 0)),
            **answered(status, error, failed),
        }  # fmt: skip
        name = name_of(head.method)
        if (agent := head.index.get(b"user-agent")) is not None:
            attributes["user_agent.original"] = agent.decode("latin-1")
        if route is not None and version is not None:
            attributes |= {**belongs(route, version, self.id), "router.why": self._why}
            if match := route.plan.match.path:
                attributes["http.route"] = match
                name = name_of(head.method, match)
        return Span(
            True, name, trace.trace, trace.span, trace.parent, bool(trace.parent), self._started, self._engine.time,
            attributes, failed,
        )  # fmt: skip

    def _line(self, code: int, error: str) -> Line:
        head, endpoint, trace = self.head, self._endpoint, self._trace
        duration = self._engine.time - self._started
        return Line(
            time=began(duration), id=self.id.decode("latin-1"),
            deployment=self._route.name if self._route is not None else "",
            version=self._version.name if self._version is not None else "",
            role="live", why=self._why, method=head.method.decode("latin-1"), path=path_of(head), status=code,
            bytes_in=self._bytes_in, bytes_out=self._bytes_out, duration_ms=milliseconds(duration),
            client=self._client.ip.decode("latin-1"), attempts=self._attempts,
            first_byte_ms=milliseconds(self._first_byte) if self._first_byte >= 0.0 else None,
            upstream_ms=milliseconds(self._upstream_time) if self._attempts else None,
            endpoint=endpoint.url if endpoint is not None else "", error=error,
            trace=f"{trace.trace:032x}" if trace is not None else "",
        )  # fmt: skip


def belongs(route: Route, version: Version, request_id: bytes) -> dict[str, Value]:
    """The attributes of our own that every span of a request has. `router.share` is the candidate's, 0 to 1."""
    return {
        "router.deployment": route.name,
        "router.version": version.name,
        "router.share": route.plan.plan.share / SHARE_PARTS,
        "router.request_id": request_id.decode("latin-1"),
    }


def path_of(head: RequestHead) -> str:
    """The target without its query, which may hold secrets."""
    return head.target.partition(b"?")[0].decode("latin-1")


def began(duration: float) -> datetime:
    """When something began that has just ended; `duration` in seconds."""
    return datetime.fromtimestamp(time() - duration, UTC)


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
