"""Gates on real processes: a bad candidate is rolled back by itself, a good one climbs, and counts survive."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.routers import Load, Router, canary, deployment
from tests.support.upstreams import Upstream, read_request

GATES = ", gates: [{error_rate: {}}]"
RATE = {"clients": 10, "pause": 0.2}
"""About 50 requests a second."""


def failing(every: int) -> Upstream:
    """Every so manieth answer is a 500; 0: none is."""
    return _answering(lambda number: 500 if every and number % every == 0 else 200)


def _answering(status: Callable[[int], int]) -> Upstream:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (seen := await read_request(reader)) is not None:
            upstream.requests.append(seen)
            code = status(len(upstream.requests))
            writer.write(b"HTTP/1.1 %d Said\r\ncontent-length: 0\r\n\r\n" % code)
            await writer.drain()

    upstream = Upstream(handler)
    return upstream


async def phase(router: Router) -> str:
    found: str = (await router.deployment())["phase"]
    return found


async def first_request(upstream: Upstream) -> float:
    while not upstream.requests:
        await asyncio.sleep(0.01)
    return asyncio.get_running_loop().time()


@pytest.mark.slow
@pytest.mark.parametrize(("every", "seconds"), [(1, 5.0), (2, 10.0)], ids=["all fail", "half fail"])
async def test_a_failing_candidate_is_rolled_back_within_seconds_of_its_first_request(
    tmp_path: Path, every: int, seconds: float
) -> None:
    rollout = canary("{share: 5%, hold: 1h}", GATES)
    async with (
        failing(0) as stable,
        failing(every) as candidate,
        Router(tmp_path, {"m": deployment(rollout, v1=stable.url, v2=candidate.url)}) as router,
        Load(router.port, **RATE) as load,  # type: ignore[arg-type]
    ):
        began = await first_request(candidate)

        async def rolled_back() -> bool:
            return await phase(router) == "rolled_back"

        await router.comes_true(rolled_back, "the rollback", within=seconds)
        took = asyncio.get_running_loop().time() - began
        reached = len(candidate.requests)
        await load.more(100)
        assert len(candidate.requests) == reached, "no request reaches it any more"
        assert took <= seconds
        newest = (await router.get("/api/v1/deployments/m/history"))["events"][0]
        assert (newest["what"], newest["who"]) == ("rollback", "router")
        assert newest["why"].startswith("error_rate: ")
        (gate,) = (each for each in newest["gates"] if each["gate"] == "error_rate")
        assert (gate["verdict"], gate["numbers"]["requests"] > 0) == ("fail", True)
        assert newest["evidence"]["v2"]["errors"] >= 3
        assert await router.metric('router_rollbacks_total{cause="error_rate",deployment="m"}') == 1
    # The stable version answered in its place: no client saw it.
    assert load.failures == []


@pytest.mark.slow
async def test_a_healthy_candidate_climbs_on_evidence_and_raises_no_alarm(tmp_path: Path) -> None:
    rollout = canary("{share: 20%}, {share: 50%}", GATES + ", min_requests: 40, soak: 1s")
    async with (
        failing(50) as stable,
        failing(50) as candidate,
        Router(tmp_path, {"m": deployment(rollout, v1=stable.url, v2=candidate.url)}) as router,
        Load(router.port, clients=16),
    ):

        async def promoted() -> bool:
            return await phase(router) in ("promoted", "rolled_back")

        await router.comes_true(promoted, "the end", within=90)
        events = (await router.get("/api/v1/deployments/m/history"))["events"]
        assert [event["what"] for event in events] == ["soaked", "complete", "advance", "start"]
        assert "its gates pass: error_rate" in events[1]["why"]


async def test_what_a_gate_waits_for_is_said_with_its_numbers(tmp_path: Path) -> None:
    rollout = canary("{share: 50%, hold: 100ms}, {share: 60%, hold: 1h}", GATES)
    async with (
        failing(0) as stable,
        failing(0) as candidate,
        Router(tmp_path, {"m": deployment(rollout, v1=stable.url, v2=candidate.url)}) as router,
        Load(router.port, clients=2, pause=0.05) as load,
    ):
        await load.more(20)

        async def counted() -> bool:
            return any(gate["numbers"]["requests"] for gate in (await router.deployment())["gates"])

        await router.comes_true(counted, "a look")
        shown = await router.deployment()
        (gate,) = (each for each in shown["gates"] if each["gate"] == "error_rate")
        assert (shown["phase"], shown["step"], gate["verdict"]) == ("progressing", 0, "inconclusive")
        assert shown["waits_for"].startswith("evidence, holding at 50%: ")
        assert gate["why"].split(" (")[0] in shown["waits_for"]
        metric = 'router_gate_verdict{deployment="m",gate="error_rate",verdict="%s"}'
        metrics = await router.metrics()
        assert (metrics[metric % "inconclusive"], metrics[metric % "pass"]) == (1.0, 0.0)


@pytest.mark.slow
async def test_evidence_survives_the_controller_and_counts_nothing_twice(tmp_path: Path) -> None:
    rollout = canary("{share: 50%, hold: 1h}, {share: 60%, hold: 1h}", GATES)
    async with (
        failing(0) as stable,
        failing(0) as candidate,
        Router(tmp_path, {"m": deployment(rollout, v1=stable.url, v2=candidate.url)}) as router,
    ):
        async with Load(router.port, clients=8, pause=0.01) as load:
            await load.more(400)
            await asyncio.sleep(6)  # a checkpoint
            router.kill()
            await load.more(200)  # workers serve on
            await router.start()
            await load.more(200)
        reached = len(candidate.requests)

        async def requests() -> Any:
            gates = (await router.deployment())["gates"]
            return next((each["numbers"]["requests"] for each in gates if each["gate"] == "error_rate"), 0)

        async def all_counted() -> bool:
            return bool(await requests() >= reached)

        await router.comes_true(all_counted, f"all {reached} counted", within=10)
        await asyncio.sleep(2)
        assert await requests() == reached, json.dumps((await router.deployment())["gates"])
