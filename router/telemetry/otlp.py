"""Spans on their way to a collector: OTLP 1.x over HTTP, in protobuf. Blocks, so it is called from a thread.

Floor 1. Needs the extra `otel`, so this module is imported only where tracing is asked for.
"""

import time
from collections.abc import Iterable, Mapping

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as trace

from router.telemetry.spans import Span, Value

TIMEOUT = 10.0
"""Seconds that a collector has to answer."""

PAUSES = (0.5, 2.0)
"""Seconds before each further attempt to deliver a batch."""

_NOT_NOW = (429, 502, 503, 504)
"""What a collector answers when it may take the same batch later (OTLP specification, "Retryable Response Codes")."""

_FLAGS = trace.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK | 1
"""Sampled, and whether the parent is somebody else's is known."""


class Exporter:
    """Sends batches of spans to `endpoint`, the full URL of the signal (`http://…:4318/v1/traces`)."""

    def __init__(
        self,
        endpoint: str,
        headers: Mapping[str, str],
        resource: Mapping[str, Value],
        pauses: tuple[float, ...] = PAUSES,
    ) -> None:
        self._endpoint = endpoint
        self._host = "/".join(endpoint.split("/", 3)[:3])  # the rest of it may hold secrets
        self._resource = resource
        self._pauses = pauses
        self._client = httpx.Client(
            headers={**headers, "content-type": "application/x-protobuf"}, timeout=TIMEOUT, trust_env=False
        )

    def export(self, spans: list[Span]) -> None:
        """Raises OSError when the collector did not take them, in any of its attempts."""
        body = encoded(spans, self._resource, time.time_ns() - time.monotonic_ns())
        trouble, again = self._post(body)
        for pause in self._pauses:
            if not again:
                break
            time.sleep(pause)
            trouble, again = self._post(body)
        if trouble:
            raise OSError(trouble)

    def _post(self, body: bytes) -> tuple[str, bool]:
        """What went wrong, if anything, and whether it may go well later."""
        try:
            status = self._client.post(self._endpoint, content=body).status_code
        except httpx.HTTPError as error:
            return f"no collector at {self._host}: {str(error) or type(error).__name__}", True
        if status < 300:
            return "", False
        return f"the collector at {self._host} answers {status}", status in _NOT_NOW


def encoded(spans: Iterable[Span], resource: Mapping[str, Value], since: int) -> bytes:
    """The body of one request. `since` is the Unix time, in ns, at which the monotonic clock stood at 0."""
    scope = trace.ScopeSpans(
        scope=InstrumentationScope(name="router"), spans=[_told(span, since) for span in spans]
    )
    told = trace.ResourceSpans(resource=Resource(attributes=_attributes(resource)), scope_spans=[scope])
    body: bytes = ExportTraceServiceRequest(resource_spans=[told]).SerializeToString()
    return body


def _told(span: Span, since: int) -> trace.Span:
    return trace.Span(
        trace_id=span.trace.to_bytes(16, "big"),
        span_id=span.span.to_bytes(8, "big"),
        parent_span_id=span.parent.to_bytes(8, "big") if span.parent else b"",
        name=span.name,
        kind=trace.Span.SPAN_KIND_SERVER if span.server else trace.Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=since + int(span.began * 1e9),
        end_time_unix_nano=since + int(span.ended * 1e9),
        attributes=_attributes(span.attributes),
        flags=_FLAGS | trace.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK if span.remote else _FLAGS,
        status=trace.Status(code=trace.Status.STATUS_CODE_ERROR) if span.failed else None,
    )


def _attributes(values: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in values.items()]


def _value(value: Value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=value)
