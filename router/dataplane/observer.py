"""Who is told of single requests: decides which ones, and hands over what is said of them.

There is one of it in a worker while a snapshot asks for an access log or traces. It is met in one place: the engine
makes exchanges through it instead of making them itself. A request that is not chosen is an ordinary `Exchange`.
"""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from router.dataplane.downstream import Downstream
from router.dataplane.exchange import Exchange
from router.dataplane.observed import Observed
from router.http1.head import Field, RequestHead
from router.patterns.observing import AccessLog, Observing, Tracing
from router.shares import SHARE_PARTS
from router.telemetry.accesslog import Line, LogFile
from router.telemetry.events import LINES_DROPPED, SPANS_DROPPED, Event, EventCounter
from router.telemetry.handoff import Handoff
from router.telemetry.spans import Span, Value, place
from router.telemetry.tracecontext import new_span, new_trace, parse

if TYPE_CHECKING:
    from router.dataplane.engine import Engine
    from router.telemetry.otlp import Exporter

MAX_LINES = 20_000
"""Lines that may wait to be written; what comes beyond is dropped and counted."""

MAX_SPANS = 8192
"""Spans that may wait for the collector; what comes beyond is dropped and counted."""

LINES_AT_ONCE, SPANS_AT_ONCE = 1000, 256

PATIENCE = 2.0
"""Seconds in which what waits is delivered when the worker leaves."""


class Trace(NamedTuple):
    """Where a request stands in its trace: the span of its own, and that of its client (0: none)."""

    trace: int
    span: int
    parent: int


class Export:
    """Sends spans where the settings say. What it takes for that is loaded by the thread that calls it first: that
    needs a tenth of a second, for which no request should wait."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._exporter: Exporter | None = None

    def __call__(self, spans: list[Span]) -> None:
        if self._exporter is None:
            from router.telemetry.otlp import Exporter  # noqa: PLC0415  the extra `otel`

            instance = f"{os.uname().nodename}-{os.getpid()}"
            resource = {"service.name": self._tracing.service, "service.instance.id": instance}
            self._exporter = Exporter(self._tracing.endpoint, self._tracing.headers, resource)
        self._exporter.export(spans)


class Observer:
    """See the module. What is dropped is counted in `events`, on the loop's thread."""

    def __init__(self, settings: Observing, loop: asyncio.AbstractEventLoop, events: EventCounter) -> None:
        self._loop = loop
        self._events = events
        self._log: Handoff[Line] | None = None
        self._spans: Handoff[Span] | None = None
        self._log_sample = self._trace_sample = 0
        self.failures = self.copies = False
        self._places: dict[str, dict[str, Value]] = {}
        if settings.access_log is not None:
            self._open_log(settings.access_log)
        if settings.tracing is not None:
            self._open_spans(settings.tracing)

    def _open_log(self, log: AccessLog) -> None:
        self._log_sample, self.failures, self.copies = log.sample, log.failures, log.copies
        lost = partial(self._lost, LINES_DROPPED)
        self._log = Handoff("access log", LogFile(log.path).write, lost, limit=MAX_LINES, batch=LINES_AT_ONCE)

    def _open_spans(self, tracing: Tracing) -> None:
        self._trace_sample = tracing.sample
        lost = partial(self._lost, SPANS_DROPPED)
        self._spans = Handoff("traces", Export(tracing), lost, limit=MAX_SPANS, batch=SPANS_AT_ONCE)

    def exchange(self, engine: Engine, client: Downstream, head: RequestHead) -> Exchange:
        """A new exchange: one that is told of, if this request is chosen."""
        trace = self._begin(head) if self._spans is not None else None
        logged = self._log is not None and drawn(self._log_sample)
        if trace is None and not logged and not self.failures:
            return Exchange(engine, client, head)
        return Observed(engine, client, head, self, trace, logged=logged)

    def _begin(self, head: RequestHead) -> Trace | None:
        """The trace of this request, if it is sampled: by its parent, or by chance where it has none.

        A parent that is not valid is none, and what came with it ends here (W3C Trace Context §4.3).
        """
        given = head.index.get(b"traceparent")
        parent = parse(given) if given is not None and _once(head.fields) else None
        if not (parent.sampled if parent is not None else drawn(self._trace_sample)):
            return None
        if given is not None or b"tracestate" in head.index:
            ends = (b"traceparent",) if parent is not None else (b"traceparent", b"tracestate")
            head.fields = [(*field[:3], b"") if field[0] in ends else field for field in head.fields]
        if parent is None:
            return Trace(new_trace(), new_span(), 0)
        return Trace(parent.trace, new_span(), parent.span)

    def write(self, line: Line) -> None:
        """To the access log, where there is one."""
        if self._log is not None:
            self._log.add(line)

    def record(self, span: Span) -> None:
        """To the collector."""
        if self._spans is not None:
            self._spans.add(span)

    def place(self, url: str) -> dict[str, Value]:
        """The attributes for an endpoint's address."""
        found = self._places.get(url)
        if found is None:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            found = self._places[url] = place(parts.hostname or "", port)
        return found

    def retire(self) -> None:
        """Another one takes over: what waits is delivered, what exchanges under way still say is not."""
        for handoff in (self._log, self._spans):
            if handoff is not None:
                handoff.close()

    async def close(self) -> None:
        """Delivers what waits, for PATIENCE seconds."""
        self.retire()
        open_ones = [handoff for handoff in (self._log, self._spans) if handoff is not None]
        await asyncio.gather(*(asyncio.to_thread(each.join, PATIENCE) for each in open_ones))

    def _lost(self, event: Event, reason: str, count: int) -> None:
        with suppress(RuntimeError):  # the loop has ended, and nobody counts any more
            self._loop.call_soon_threadsafe(partial(self._events.add, event, reason, by=count))


def drawn(share: int) -> bool:
    """Whether chance chooses this one; `share` of SHARE_PARTS."""
    return share == SHARE_PARTS or (share > 0 and random.random() * SHARE_PARTS < share)


def _once(fields: list[Field]) -> bool:
    return sum(1 for field in fields if field[0] == b"traceparent") == 1
