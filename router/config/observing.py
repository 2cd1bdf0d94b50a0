"""`access_log` and `tracing` in the YAML: what is told of single requests. Floor 3."""

from importlib.util import find_spec
from typing import Self

from pydantic import Field, model_validator

from router.patterns.observing import AccessLog, Observing, Tracing
from router.shares import share_parts
from router.spec import CallHeaders, CallUrl, Share, Spec


class AccessLogSpec(Spec):
    """`access_log`: a JSON line for a sample of all requests, and for all that failed."""

    path: str = Field(min_length=1)
    sample: Share = 1.0
    failures: bool = True
    copies: bool = False

    def compile(self) -> AccessLog:
        return AccessLog(self.path, share_parts(self.sample), self.failures, self.copies)


class TracingSpec(Spec):
    """`tracing`: spans in OTLP over HTTP. `headers` are never shown."""

    endpoint: CallUrl
    sample: Share = 0.01
    headers: CallHeaders = {}
    service: str = Field("router", min_length=1)

    @model_validator(mode="after")
    def _installed(self) -> Self:
        # Asking for the module itself would raise where its parent is not installed.
        if find_spec("opentelemetry") is None or find_spec("opentelemetry.proto") is None:
            raise ValueError("needs the package opentelemetry-proto: pip install 'router[otel]'")
        return self

    def compile(self) -> Tracing:
        return Tracing(self.endpoint, share_parts(self.sample), self.headers, self.service)


def compile_observing(access_log: AccessLogSpec | None, tracing: TracingSpec | None) -> Observing:
    """What each worker does."""
    return Observing(
        access_log.compile() if access_log is not None else None,
        tracing.compile() if tracing is not None else None,
    )
