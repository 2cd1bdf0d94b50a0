"""Spans as a collector reads them, and what happens when it does not."""

import asyncio
import time
from typing import Any

import pytest

from router.telemetry.otlp import Exporter
from router.telemetry.spans import Span
from tests.support.collectors import Collector
from tests.support.ports import free_ports


def span(**more: Any) -> Span:
    now = time.monotonic()
    values: dict[str, Any] = {
        "server": True, "name": "POST /m", "trace": 0xAB, "span": 0xCD, "parent": 0xEF, "remote": True,
        "began": now - 0.25, "ended": now, "attributes": {}, "failed": False,
    }  # fmt: skip
    return Span(**(values | more))


async def export(collector: Collector, *spans: Span, **more: Any) -> None:
    exporter = Exporter(collector.endpoint, {"x-key": "secret"}, {"service.name": "router"}, **more)
    await asyncio.to_thread(exporter.export, list(spans))


async def test_a_collector_reads_what_was_meant() -> None:
    attributes = {"text": "é", "whole": 200, "part": 0.25, "yes": True}
    async with Collector() as collector:
        await export(
            collector,
            span(attributes=attributes),
            span(server=False, parent=0, remote=False, failed=True),
        )
        one, other = collector.spans
    assert (one.name, one.kind, one.trace, one.span, one.parent) == (
        "POST /m",
        "server",
        f"{0xAB:032x}",
        f"{0xCD:016x}",
        f"{0xEF:016x}",
    )
    assert (one.attributes, one.resource) == (attributes, {"service.name": "router"})
    assert (one.remote, one.failed) == (True, False)
    assert (other.kind, other.parent, other.remote, other.failed) == ("client", "", False, True)
    assert one.end - one.start == pytest.approx(250e6, abs=1e6)
    assert one.end == pytest.approx(time.time_ns(), abs=5e9)
    assert collector.headers[0]["x-key"] == "secret"


async def test_one_that_is_busy_is_asked_again() -> None:
    async with Collector(status=503) as collector:
        task = asyncio.create_task(export(collector, span(), pauses=(0.05, 0.05)))
        while not collector.headers:
            await asyncio.sleep(0.01)
        collector.status = 200
        await task
        assert len(collector.spans) == 1


@pytest.mark.parametrize(("status", "attempts"), [(400, 1), (503, 3)])
async def test_one_that_refuses_is_given_up(status: int, attempts: int) -> None:
    async with Collector(status=status) as collector:
        with pytest.raises(OSError, match=f"answers {status}"):
            await export(collector, span(), pauses=(0.01, 0.01))
        assert len(collector.headers) == attempts


async def test_one_that_is_not_there_is_named_without_its_secrets() -> None:
    (port,) = free_ports(1)
    exporter = Exporter(f"http://127.0.0.1:{port}/v1/traces?key=secret", {}, {}, pauses=())
    with pytest.raises(OSError, match=f"no collector at http://127.0.0.1:{port}: ") as caught:
        await asyncio.to_thread(exporter.export, [span()])
    assert "secret" not in str(caught.value)
