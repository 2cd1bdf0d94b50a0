"""A recorder that takes nothing (stopped, or far too slow) costs pairs, which are counted, and nothing else."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.routers import Load, Router, canary, deployment
from tests.support.upstreams import model

BODY = b'{"x": "%s"}' % (b"a" * 60_000)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def slow_drops(router: Router) -> float:
    """Halves that were dropped because the recorder did not take them in time."""
    found = await router.metrics()
    return sum(
        value for name, value in found.items() if "captures_dropped" in name and "recorder_slow" in name
    )


async def slowest_rollback(router: Router, turns: int = 5) -> float:
    """Milliseconds until it was in force, the longest of some."""
    times = []
    for _ in range(turns):
        times.append(float((await router.act("rollback"))["applied_ms"]))
        await router.act("restart")
        await asyncio.sleep(0.1)
    return max(times)


def p99(load: Load, since: float, until: float) -> float:
    """Seconds, of requests begun in between."""
    times = sorted(each.seconds for each in load.sent if since < each.began < until and each.status)
    return times[int(len(times) * 0.99)]


@pytest.mark.slow
async def test_rollback_and_live_latency_do_not_notice(tmp_path: Path) -> None:
    half = canary("{share: 50%, mirror: 100%}")
    clock = asyncio.get_running_loop().time
    async with (
        model("v1") as one,
        model("v2") as two,
        Router(tmp_path, {"m": deployment(half, v1=one.url, v2=two.url)}) as router,
        Load(router.port, clients=8, body=BODY, pause=0.005) as load,
    ):
        began = clock()
        await load.more(1000)
        before = await slowest_rollback(router)
        (recorder,) = router.children("router.recorder")
        stop = clock()
        with stopped(recorder):

            async def drops() -> bool:
                return await slow_drops(router) > 100

            await router.comes_true(drops, "captures dropped and counted", within=40)
            meanwhile = await slowest_rollback(router)
            await load.more(1000)
            end = clock()
        assert meanwhile < max(4 * before, 100.0)
        assert p99(load, stop, end) < max(3 * p99(load, began, stop), 0.1)
        assert load.failures == []

        async def whole_again() -> bool:
            """Nothing is dropped any more, and new pairs are in the log."""
            dropped, since = await slow_drops(router), clock()
            await load.more(100)
            await asyncio.sleep(0.6)
            written = {pair["id"] for pair in router.pairs()}
            new = {each.id for each in load.since(since) if each.status}
            return await slow_drops(router) == dropped and len(new & written) > 10

        await router.comes_true(whole_again, "the recorder's return", within=30)
