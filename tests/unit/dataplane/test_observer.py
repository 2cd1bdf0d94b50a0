"""Which requests are told of, what of a trace passes on, and that what is dropped is counted."""

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import pytest

from router.dataplane.exchange import Exchange
from router.dataplane.observed import Observed
from router.dataplane.observer import Observer, Trace, drawn
from router.http1.head import RequestHead, field_of
from router.patterns.observing import AccessLog, Observing, Tracing
from router.shares import SHARE_PARTS
from router.telemetry.events import EventCounter
from tests.support.wires import DataPlane, settle
from tests.support.workers import deployment

VALID = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NOBODY = "http://127.0.0.1:9/v1/traces"


def head(*values: bytes) -> RequestHead:
    """A request with a `traceparent` for each value, and a `tracestate`."""
    fields = [field_of(b"traceparent", b"traceparent", value) for value in values]
    fields.append(field_of(b"tracestate", b"tracestate", b"a=1"))
    return RequestHead(b"GET", b"/x", True, fields, {field[0]: field[2] for field in fields})


def passed_on(request: RequestHead) -> bytes:
    return b"".join(field[3] for field in request.fields)


class Watched:
    """An observer, and what it makes of a request."""

    def __init__(self, observing: Observing) -> None:
        self.plane = DataPlane(deployment({"v1": "http://192.0.2.1:1"}))
        self.events = EventCounter()
        self.observer = Observer(observing, asyncio.get_running_loop(), self.events)

    def make(self, request: RequestHead) -> Exchange:
        client, _ = self.plane.client()
        return self.observer.exchange(self.plane.engine, client, request)

    def trace(self, request: RequestHead) -> Trace | None:
        made = self.make(request)
        return made._trace if isinstance(made, Observed) else None


def tracing(sample: int) -> Watched:
    return Watched(Observing(tracing=Tracing(NOBODY, sample, {}, "router")))


def log(path: Path, sample: int, *, failures: bool) -> Watched:
    return Watched(Observing(AccessLog(str(path / "log"), sample, failures, False)))


async def test_the_parent_decides_where_there_is_one() -> None:
    never, always = tracing(0), tracing(SHARE_PARTS)
    request = head(VALID)
    trace = never.trace(request)
    assert trace is not None
    assert (f"{trace.trace:032x}", f"{trace.parent:016x}") == tuple(VALID.decode().split("-")[1:3])
    assert trace.span not in (0, trace.parent)
    assert passed_on(request) == b"tracestate: a=1\r\n", "the exchange says who is the parent from here on"
    assert request.fields[0][2] == VALID, "the pair log has it as it came"
    assert always.trace(head(VALID[:-1] + b"0")) is None


async def test_chance_decides_where_there_is_none() -> None:
    assert tracing(0).trace(head()) is None
    trace = tracing(SHARE_PARTS).trace(head())
    assert trace is not None
    assert trace.parent == 0


@pytest.mark.parametrize("values", [(b"00-a-b-01",), (VALID, VALID)], ids=["invalid", "twice"])
async def test_a_parent_that_is_not_valid_ends_with_all_that_came_with_it(values: tuple[bytes, ...]) -> None:
    request = head(*values)
    assert tracing(0).trace(request) is None
    assert b"tracestate" in passed_on(request), "what is not traced passes untouched"
    trace = tracing(SHARE_PARTS).trace(request)
    assert trace is not None
    assert trace.parent == 0
    assert passed_on(request) == b""


async def test_who_is_not_chosen_is_an_ordinary_exchange(tmp_path: Path) -> None:
    assert type(tracing(0).make(head())) is Exchange
    assert type(log(tmp_path, 0, failures=False).make(head())) is Exchange
    assert type(log(tmp_path, 0, failures=True).make(head())) is Observed, "it may fail yet"
    assert type(log(tmp_path, SHARE_PARTS, failures=False).make(head())) is Observed


async def test_chance_is_what_was_asked_for() -> None:
    assert not any(drawn(0) for _ in range(1000))
    assert all(drawn(SHARE_PARTS) for _ in range(1000))
    assert 400 < sum(drawn(SHARE_PARTS // 2) for _ in range(1000)) < 600


async def test_one_that_retires_counts_what_still_comes(tmp_path: Path) -> None:
    observing = log(tmp_path, SHARE_PARTS, failures=False)
    observing.observer.retire()
    observing.observer.write(cast(Any, None))
    await settle()
    assert observing.events.counts == {("router_access_lines_dropped_total", "closed"): 1}


async def test_a_snapshot_turns_it_on_and_off(tmp_path: Path) -> None:
    plane = DataPlane(deployment({"v1": "http://192.0.2.1:1"}))
    engine = plane.engine
    assert engine.exchange is Exchange
    asked = Observing(AccessLog(str(tmp_path / "log"), SHARE_PARTS, True, False))
    plane.publish(deployment({"v1": "http://192.0.2.1:1"}), observing=asked)
    client, _ = plane.client()
    client.data_received(b"GET /x HTTP/1.1\r\nhost: h\r\nx-request-id: r1\r\n\r\n")
    await settle()
    plane.wires[-1].protocol.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    observer = engine._observer
    assert observer is not None
    plane.publish(deployment({"v1": "http://192.0.2.1:1"}), observing=asked)
    assert engine._observer is observer, "nothing changed for it"
    plane.publish(deployment({"v1": "http://192.0.2.1:1"}))
    assert engine.exchange is Exchange
    await observer.close()
    assert json.loads((tmp_path / "log").read_text())["id"] == "r1"
