"""The second promise on the running program: the live answer is untouched by shadows."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.floods import flood
from tests.support.routers import Router, deployment
from tests.support.upstreams import Upstream, model, read_request, refusing, silent
from tests.support.workers import connect


def endless() -> Upstream:
    """Begins an answer that has no end."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (seen := await read_request(reader)) is not None:
            upstream.requests.append(seen)
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)

    upstream = Upstream(handler)
    return upstream


def memory(router: Router) -> int:
    """Resident bytes of the one worker."""
    (worker,) = router.children("router.worker")
    return int(Path(f"/proc/{worker}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def measure(port: int, count: int) -> list[float]:
    """Latencies of requests one after the other on one connection, in seconds; answers byte for byte the same."""
    reader, writer = await connect(port)
    clock = asyncio.get_running_loop().time
    latencies, bodies = [], set()
    for _ in range(count):
        began = clock()
        writer.write(b"POST /m/x HTTP/1.1\r\nhost: t\r\nx-request-id: same\r\ncontent-length: 2\r\n\r\n{}")
        bodies.add(await reader.readuntil(b"}"))
        latencies.append(clock() - began)
    writer.close()
    assert bodies == {
        b"HTTP/1.1 200 Said\r\ncontent-type: application/json\r\ncontent-length: 25\r\n"
        b'x-router-version: v1\r\nx-request-id: same\r\n\r\n{"model": "v1", "got": 2}'
    }
    return sorted(latencies)


@pytest.mark.parametrize(
    "shadow",
    [
        pytest.param(model("v2"), id="quick"),
        pytest.param(endless(), id="endless"),
        pytest.param(None, id="dead"),
        pytest.param(model("v2", delay=1.0), id="slow", marks=pytest.mark.slow),
        pytest.param(silent(), id="silent", marks=pytest.mark.slow),
        pytest.param(refusing(), id="refusing", marks=pytest.mark.slow),
    ],
)
async def test_the_live_answer_and_its_time_are_untouched_by_a_shadow(
    tmp_path: Path, shadow: Upstream | None, record_property: Callable[[str, object], None]
) -> None:
    async with model("v1") as primary, shadow or model("never asked") as other:
        url = other.url if shadow else "http://127.0.0.1:1"
        await compare(tmp_path, primary.url, url, record_property)
    if shadow is not None:
        assert other.requests
        assert {each.get(b"x-router-shadow") for each in other.requests} == {b"v2"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", id="endless"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 268435456\r\n\r\n", id="huge"),
        pytest.param(b"no HTTP at all\r\n\r\n", id="garbage"),
    ],
)
async def test_a_shadow_that_sends_without_end_changes_nothing(
    tmp_path: Path, head: bytes, record_property: Callable[[str, object], None]
) -> None:
    async with model("v1") as primary, flood(head) as url:
        await compare(tmp_path, primary.url, url, record_property)


async def compare(
    tmp_path: Path, primary: str, shadow: str, record_property: Callable[[str, object], None]
) -> None:
    """Latencies and memory without a shadow and with it, in one run."""
    rollout = "{pattern: shadow, primary: v1, shadows: [v2], max_in_flight: 8}"
    async with Router(tmp_path, {"m": deployment(v1=primary)}, workers=1) as router:
        await measure(router.port, 100)
        without = await measure(router.port, 500)
        router.deployments["m"] = deployment(rollout, v1=primary, v2=shadow)
        router.write()
        await router.comes_true(lambda: _pattern(router, "shadow"), "the edit")
        await measure(router.port, 100)
        before = memory(router)
        with_shadow = await measure(router.port, 500)
        grown = memory(router) - before
        await router.comes_true(lambda: _copied(router), "copies counted")
    record_property("p50 with / without shadow", round(with_shadow[250] / without[250], 2))
    record_property("p99 with / without shadow", round(with_shadow[495] / without[495], 2))
    record_property("MiB grown", round(grown / (1 << 20), 1))
    assert grown < 32 << 20, "eight copies in flight, and what is kept of each is at most 1 MiB"
    # Generous: both run on a busy machine. A shadow that is waited for costs hundreds of milliseconds, and to read
    # the megabyte that is kept of each answer costs the worker one.
    assert with_shadow[250] < 3 * without[250] + 0.005
    assert with_shadow[495] < 5 * without[495] + 0.250


async def _copied(router: Router) -> bool:
    metrics = await router.metrics()
    dropped = sum(value for name, value in metrics.items() if name.startswith("router_copies_dropped_total"))
    answered = sum(
        value
        for name, value in metrics.items()
        if name.startswith("router_requests_total") and 'role="shadow"' in name
    )
    return answered > 0 and answered + dropped > 500


async def _pattern(router: Router, pattern: str) -> bool:
    found: str = (await router.deployment())["pattern"]
    return found == pattern
