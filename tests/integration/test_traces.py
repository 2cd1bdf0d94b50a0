"""Traces of a real worker, read by a stand-in for a collector: who is whose parent, what is said, what it costs."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from router.patterns.observing import Observing, Tracing
from router.patterns.plan import Copies, DeploymentPlan, Force, Key, Plan
from router.shares import SHARE_PARTS
from tests.support.collectors import Collector, Told
from tests.support.upstreams import Upstream, model, scripted
from tests.support.workers import WorkerUnderTest, connect, deployment, get, post, read_answer, until

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"traceparent: 00-{TRACE}-{PARENT}-01".encode()


def tracing(collector: Collector, sample: int = 0) -> Observing:
    return Observing(tracing=Tracing(collector.endpoint, sample, {"x-key": "k"}, "models"))


@asynccontextmanager
async def traced(*plans: DeploymentPlan, sample: int = 0) -> AsyncIterator[tuple[WorkerUnderTest, Collector]]:
    async with Collector() as collector, WorkerUnderTest(observing=tracing(collector, sample)) as worker:
        await worker.publish(*plans)
        yield worker, collector


async def ask(worker: WorkerUnderTest, request: bytes) -> int:
    reader, writer = await connect(worker.port)
    writer.write(request)
    answer = await read_answer(reader)
    writer.close()
    return answer.status


def sent_parent(upstream: Upstream) -> str:
    found = re.fullmatch(
        rb"00-([0-9a-f]{32})-([0-9a-f]{16})-01", upstream.requests[-1].get(b"traceparent") or b""
    )
    assert found is not None
    assert found[1].decode() == TRACE
    return found[2].decode()


async def test_a_request_is_a_server_span_with_a_client_span_below_that_the_upstream_sees() -> None:
    plan = Plan(default="v1", candidate="v2", share=2500, key=Key("header", "x-user"), salt=b"s")
    async with model("a") as one, model("b", delay=0.05) as other:
        urls: dict[str, str | tuple[str, ...]] = {"v1": one.url, "v2": other.url}
        async with traced(deployment(urls, plan, path="/m/**")) as (worker, collector):
            request = post(
                b"hello", SAMPLED, b"tracestate: a=1", b"x-user: u", b"x-request-id: r1", path=b"/m/x?q=1"
            )
            assert await ask(worker, request) == 200
            await until(lambda: len(collector.spans) == 2, what="two spans")
            server, client = collector.of(TRACE)["server"], collector.of(TRACE)["client"]
            upstream = one if one.requests else other
            assert (server.parent, client.parent) == (PARENT, server.span)
            assert sent_parent(upstream) == client.span
            assert upstream.requests[0].get(b"tracestate") == b"a=1"
            assert (server.name, client.name) == ("POST /m/**", "POST")
            ours = {
                "router.deployment": "d", "router.version": "v1" if upstream is one else "v2",
                "router.share": 0.25, "router.why": "sticky", "router.request_id": "r1",
            }  # fmt: skip
            assert server.attributes == ours | {
                "http.request.method": "POST", "http.response.status_code": 200, "http.route": "/m/**",
                "url.path": "/m/x", "url.scheme": "http", "server.address": "t", "client.address": "127.0.0.1",
                "network.protocol.version": "1.1",
            }  # fmt: skip
            assert client.attributes == ours | {
                "http.request.method": "POST", "http.response.status_code": 200, "url.full": f"{upstream.url}/m/x",
                "server.address": "127.0.0.1", "server.port": upstream.port, "router.shadow": False,
            }  # fmt: skip
            assert server.start <= client.start < client.end <= server.end
            assert (server.remote, client.remote) == (True, False)
            assert server.resource["service.name"] == "models"
            assert collector.headers[0]["x-key"] == "k"


async def test_a_copy_is_in_the_trace_with_a_parent_of_its_own() -> None:
    plan = Plan(default="v1", copies=Copies(SHARE_PARTS, {"v1": ("v2",)}, 5.0, 64, 1 << 20))
    async with (
        model("a") as live,
        model("b", status=503) as shadow,
        traced(deployment({"v1": live.url, "v2": shadow.url}, plan)) as (worker, collector),
    ):
        assert await ask(worker, post(b"x", SAMPLED)) == 200
        await until(lambda: len(collector.spans) == 3, what="three spans")
        spans = collector.of(TRACE)
        assert spans["copy"].parent == spans["client"].parent == spans["server"].span
        assert sent_parent(shadow) == spans["copy"].span
        assert sent_parent(live) == spans["client"].span
        said = spans["copy"].attributes
        assert (said["router.version"], said["router.why"], said["router.shadow"]) == ("v2", "copy", True)
        assert (said["http.response.status_code"], spans["copy"].failed) == (503, True)
        assert not spans["server"].failed, "what becomes of a copy is not the client's"
        await until(lambda: len(worker.captures) == 2, what="the pair")
        primary = next(each for each in worker.captures if each.role == "primary")
        assert primary.request is not None
        assert dict(primary.request.message.headers)[b"traceparent"] == SAMPLED.split(b": ")[1], "as it came"


async def test_a_fallback_is_an_attempt_that_failed_and_one_that_did_not() -> None:
    force = Force("x-v", {"v2": "v2"})
    plan = Plan(default="v1", candidate="v2", force=force, fallback="v1")
    async with (
        model("a") as one,
        model("b", status=500) as other,
        traced(deployment({"v1": one.url, "v2": other.url}, plan)) as (worker, collector),
    ):
        assert await ask(worker, get(b"/x", SAMPLED, b"x-v: v2")) == 200
        await until(lambda: len(collector.spans) == 3, what="three spans")
        first, second, server = collector.spans
        assert [each.attributes["router.why"] for each in (first, second, server)] == [
            "forced", "fallback", "fallback",
        ]  # fmt: skip
        assert (first.attributes["error.type"], first.failed, second.failed) == (
            "status_500",
            True,
            False,
        )
        assert second.attributes["http.request.resend_count"] == 1
        assert sent_parent(one) == second.span != sent_parent(other) == first.span


async def failing(worker: WorkerUnderTest, collector: Collector, status: int) -> list[Told]:
    assert await ask(worker, get(b"/x", SAMPLED)) == status
    await until(lambda: "server" in collector.of(TRACE), what="the server span")
    return collector.spans


async def test_a_failure_has_a_type() -> None:
    async with scripted(None) as closing, traced(deployment({"v1": closing.url})) as (worker, collector):
        spans = await failing(worker, collector, 502)
        assert [each.attributes["error.type"] for each in spans] == ["upstream_reset"] * len(spans)
        assert all(each.failed for each in spans)
        assert "http.response.status_code" not in spans[0].attributes


async def test_a_request_that_belongs_nowhere_has_a_span_of_its_own() -> None:
    async with traced(deployment({"v1": "http://127.0.0.1:9"}, path="/other")) as (worker, collector):
        (span,) = await failing(worker, collector, 404)
        assert (span.name, span.attributes["error.type"], span.failed) == ("GET", "no_route", False)


UNSAMPLED = SAMPLED[:-1] + b"0"
INVALID = b"traceparent: 00-a-b-01"


@pytest.mark.parametrize("line", [UNSAMPLED, INVALID])
async def test_what_is_not_sampled_passes_untouched(line: bytes) -> None:
    async with model("a") as one, traced(deployment({"v1": one.url})) as (worker, collector):
        await ask(worker, get(b"/1", line, b"tracestate: a=1"))
        await ask(worker, get(b"/2", SAMPLED))
        await until(lambda: len(collector.spans) == 2, what="the spans of the other one")
        assert {each.attributes.get("url.path", "/2") for each in collector.spans} == {"/2"}
        assert one.requests[0].get(b"traceparent") == line.split(b": ")[1]
        assert one.requests[0].get(b"tracestate") == b"a=1"


async def test_an_invalid_parent_ends_here_where_a_new_trace_begins() -> None:
    async with (
        model("a") as one,
        traced(deployment({"v1": one.url}), sample=SHARE_PARTS) as (worker, collector),
    ):
        await ask(worker, get(b"/x", INVALID, b"tracestate: a=1"))
        await until(lambda: len(collector.spans) == 2, what="two spans")
        server = next(each for each in collector.spans if each.kind == "server")
        assert server.parent == ""
        parents = [value for name, value in one.requests[0].fields if name == b"traceparent"]
        assert len(parents) == 1
        assert parents[0].split(b"-")[1].decode() == server.trace
        assert one.requests[0].get(b"tracestate") is None


async def test_off_is_off_and_on_again_without_a_restart() -> None:
    async with model("a") as one, Collector() as collector, WorkerUnderTest() as worker:
        plan = deployment({"v1": one.url})
        await worker.publish(plan)
        await ask(worker, get(b"/x", SAMPLED))
        assert one.requests[-1].get(b"traceparent") == SAMPLED.split(b": ")[1]
        worker.observing = tracing(collector)
        await worker.publish(plan)
        await ask(worker, get(b"/x", SAMPLED))
        worker.observing = Observing()
        await worker.publish(plan)
        await ask(worker, get(b"/x", SAMPLED))
        await until(lambda: len(collector.spans) == 2, what="the spans of the one in the middle")
        assert sent_parent_of(one, 1) != PARENT == sent_parent_of(one, 2)


def sent_parent_of(upstream: Upstream, number: int) -> Any:
    return (upstream.requests[number].get(b"traceparent") or b"").decode().split("-")[2]


async def test_a_collector_that_is_down_costs_spans_and_no_request() -> None:
    async with (
        model("a") as one,
        Collector(status=400) as collector,
        WorkerUnderTest(observing=tracing(collector, SHARE_PARTS)) as worker,
    ):
        await worker.publish(deployment({"v1": one.url}))
        for _ in range(20):
            assert await asyncio.wait_for(ask(worker, get(b"/x")), 5) == 200
        key = ("router_spans_dropped_total", "failed")
        await until(lambda: worker.events.get(key) == 40, what="40 spans counted as dropped")


async def test_what_waits_is_delivered_when_the_worker_leaves() -> None:
    async with model("a") as one, traced(deployment({"v1": one.url})) as (worker, collector):
        await ask(worker, get(b"/x", SAMPLED))
        await worker.drain()
        assert len(collector.spans) == 2
