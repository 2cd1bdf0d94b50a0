"""`access_log` and `tracing`: what may be asked for, and what a worker is told."""

from importlib.util import find_spec
from typing import Any

import pytest
from pydantic import ValidationError

from router.config import observing
from router.config.observing import AccessLogSpec, TracingSpec, compile_observing
from router.patterns.observing import AccessLog, Observing, Tracing

ENDPOINT = "http://127.0.0.1:4318/v1/traces"


def test_nothing_is_told_by_default() -> None:
    assert compile_observing(None, None) == Observing()


def test_the_defaults_are_all_lines_and_one_trace_in_a_hundred() -> None:
    log, tracing = AccessLogSpec(path="var/access.jsonl"), TracingSpec(endpoint=ENDPOINT)
    assert compile_observing(log, tracing) == Observing(
        AccessLog("var/access.jsonl", 10_000, True, False), Tracing(ENDPOINT, 100, {}, "router")
    )


def test_what_is_asked_for_is_told() -> None:
    log = AccessLogSpec.model_validate({"path": "stderr", "sample": "1%", "failures": False, "copies": True})
    tracing = TracingSpec.model_validate(
        {"endpoint": ENDPOINT, "sample": "50%", "headers": {"x-key": "k"}, "service": "models"}
    )
    assert compile_observing(log, tracing) == Observing(
        AccessLog("stderr", 100, False, True), Tracing(ENDPOINT, 5000, {"x-key": "k"}, "models")
    )


@pytest.mark.parametrize(
    ("model", "values", "field"),
    [
        (AccessLogSpec, {"path": ""}, "path"),
        (AccessLogSpec, {}, "path"),
        (AccessLogSpec, {"path": "x", "sample": "101%"}, "sample"),
        (AccessLogSpec, {"path": "x", "samples": "1%"}, "samples"),
        (TracingSpec, {"endpoint": "localhost:4318"}, "endpoint"),
        (TracingSpec, {"endpoint": ENDPOINT, "service": ""}, "service"),
    ],
)
def test_what_is_wrong_is_named(model: Any, values: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    assert caught.value.errors()[0]["loc"] == (field,)


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.proto"])
def test_tracing_says_what_it_needs(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "find_spec", lambda name: None if name == missing else find_spec(name))
    with pytest.raises(ValidationError, match=r"pip install 'router\[otel\]'"):
        TracingSpec(endpoint=ENDPOINT)
