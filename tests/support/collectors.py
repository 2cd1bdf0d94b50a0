"""A stand-in for an OpenTelemetry collector: takes OTLP over HTTP, and decodes it as its authors define it."""

from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KINDS = {2: "server", 3: "client"}


@dataclass
class Told:
    """One span as it arrived; ids in hexadecimal, times in ns."""

    name: str
    kind: str
    trace: str
    span: str
    parent: str
    start: int
    end: int
    failed: bool
    remote: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]

    @property
    def role(self) -> str:
        """`server`, `client`, or `copy`."""
        return "copy" if self.attributes.get("router.shadow") else self.kind


@dataclass
class Collector:
    """`async with Collector() as collector`; answers `status` to every batch."""

    status: int = 200
    spans: list[Told] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/traces"

    def of(self, trace: str) -> dict[str, Told]:
        """The spans of one trace by their role; of several with one role the last."""
        return {span.role: span for span in self.spans if span.trace == trace}

    async def _take(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/x-protobuf"
        self.headers.append(dict(request.headers))
        if self.status == 200:
            self.spans += decoded(await request.read())
        return web.Response(status=self.status)


def decoded(body: bytes) -> list[Told]:
    """The spans of one request."""
    message = ExportTraceServiceRequest.FromString(body)
    return [
        Told(
            name=span.name,
            kind=KINDS[span.kind],
            trace=span.trace_id.hex(),
            span=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            start=span.start_time_unix_nano,
            end=span.end_time_unix_nano,
            failed=span.status.code == 2,
            remote=bool(span.flags & 0x200),
            attributes=_plain(span.attributes),
            resource=_plain(told.resource.attributes),
        )
        for told in message.resource_spans
        for scope in told.scope_spans
        for span in scope.spans
    ]


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
