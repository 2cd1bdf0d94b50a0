"""kill -9 of the recorder, of workers, and of both, under load: clients see nothing of the first, and every exchange
is accounted for."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from router.pairs import reading
from tests.support.receivers import Webhook, receiver
from tests.support.routers import Load, Router, deployment
from tests.support.upstreams import model
from tests.support.workers import until

SHADOW = "{pattern: shadow, primary: v1, shadows: [v2], max_in_flight: 1000}"

ON_ITS_WAY = 1.0
"""Seconds before the death of a worker within which it may have answered without handing the pair over."""


@asynccontextmanager
async def running(path: Path, sinks: str = "") -> AsyncIterator[Router]:
    """A router with a shadow, whose halves all come."""
    async with (
        model("v1") as one,
        model("v2") as two,
        Router(path, {"m": deployment(SHADOW, v1=one.url, v2=two.url)}, sinks=sinks) as router,
    ):
        yield router


async def kill_the_recorder(router: Router) -> None:
    """While it is writing, and until the next one is there."""
    before = written_bytes(router)
    await until(lambda: written_bytes(router) > before, what="a new pair")
    await asyncio.sleep(random.uniform(0, 0.1))
    router.note_children()
    (recorder,) = router.children("router.recorder")
    os.kill(recorder, signal.SIGKILL)
    await until(lambda: router.children("router.recorder") not in ([], [recorder]), what="the next recorder")


async def kill_a_worker(router: Router) -> float:
    """Until another has its place; when it was, by the clock of the loop."""
    router.note_children()
    workers = router.children("router.worker")
    died = asyncio.get_running_loop().time()
    os.kill(random.choice(workers), signal.SIGKILL)

    async def all_there() -> bool:
        serving = await router.metric('router_workers{state="serving"}')
        return router.children("router.worker") != workers and serving == len(workers)

    await router.comes_true(all_there, "the next worker")
    return died


async def recorded_again(router: Router, load: Load) -> None:
    """What is sent from now on is in the log: nothing waits in a worker any more."""
    since = asyncio.get_running_loop().time()

    def found() -> bool:
        newest = {pair["id"] for pair in reading.newest(router.path / "pairs" / "m", 500)}
        return any(each.id in newest for each in load.since(since))

    await until(found, 30.0, "pairs of new requests")


def written_bytes(router: Router) -> int:
    return sum(file.stat().st_size for file in (router.path / "pairs" / "m").glob("*.jsonl"))


async def dropped(router: Router) -> int:
    """Halves that were counted as dropped, once that count has come to rest."""

    async def count() -> int:
        found = await router.metrics()
        return int(sum(value for name, value in found.items() if "captures_dropped_total" in name))

    before = -1
    while before != (before := await count()):
        await asyncio.sleep(0.6)  # longer than it takes a count to arrive
    return before


async def not_copied(router: Router) -> int:
    """Requests without a copy, for which there is no pair: a worker that is late with live answers leaves it out, and
    says so."""
    found = await router.metrics()
    return int(sum(value for name, value in found.items() if "copies_dropped_total" in name))


def written_once(router: Router) -> set[str]:
    """The ids of all pairs; none stands there twice."""
    times = Counter(pair["id"] for pair in router.pairs())
    assert max(times.values()) == 1, "no pair twice"
    return set(times)


def halves(router: Router) -> int:
    """That are in the log."""
    pairs = router.pairs()
    return sum(pair[side]["error"] != "missing" for pair in pairs for side in ("primary", "shadow"))


async def test_a_recorder_that_is_killed_costs_no_pair(tmp_path: Path) -> None:
    async with running(tmp_path) as router:
        async with Load(router.port, clients=8, pause=0.01) as load:
            for _ in range(3):
                await kill_the_recorder(router)
            await load.more(50)
        assert load.failures == []
        assert max(each.seconds for each in load.sent) < 3.0
        assert await dropped(router) == 0, "the next recorder gets what the dead one had not taken"
        copied = len(load.sent) - await not_copied(router)
        assert await router.stop() == 0
        pairs = written_once(router)
        assert pairs <= {each.id for each in load.sent}
        assert len(pairs) == copied
        assert halves(router) == 2 * copied


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_every_half_is_written_or_counted_when_it_is_killed_in_a_loop(tmp_path: Path) -> None:
    async with running(tmp_path) as router:
        async with Load(router.port, clients=8, pause=0.002) as load:
            for _ in range(12):  # one that keeps dying is started ever later, and too much waits for it
                await kill_the_recorder(router)
            await recorded_again(router, load)
        assert load.failures == []
        lost, copied = await dropped(router), len(load.sent) - await not_copied(router)
        assert await router.stop() == 0
        assert written_once(router) <= {each.id for each in load.sent}
        assert halves(router) + lost == 2 * copied


async def account(path: Path, turns: int, recorder_too: bool) -> None:
    """Kills workers, and the recorder in between if so asked. Whatever was not on its way through a worker in the
    moment of its death is written, once."""
    async with running(path) as router:
        deaths: list[float] = []
        async with Load(router.port, clients=8, pause=0.005) as load:
            for turn in range(turns):
                await load.more(100)
                await recorded_again(router, load)
                deaths.append(await kill_a_worker(router))
                if recorder_too and turn % 2:
                    await kill_the_recorder(router)
                    await recorded_again(router, load)  # else what waited for it dies with the next worker
            await load.more(100)
        uncopied = await not_copied(router)
        assert await router.stop() == 0
        pairs = written_once(router)
    assert pairs <= {each.id for each in load.sent}
    touched = [
        each
        for each in load.sent
        if any(each.began - 0.1 < died < each.began + each.seconds + ON_ITS_WAY for died in deaths)
    ]
    away = {each.id for each in load.sent} - pairs
    assert len(away - {each.id for each in touched}) <= uncopied
    assert len(away) < len(touched) or not touched


async def test_a_worker_that_is_killed_costs_what_was_on_its_way(tmp_path: Path) -> None:
    await account(tmp_path, turns=2, recorder_too=False)


@pytest.mark.slow
async def test_workers_and_recorders_killed_in_turn(tmp_path: Path) -> None:
    await account(tmp_path, turns=8, recorder_too=True)


async def test_a_sink_gets_every_pair_all_the_same(tmp_path: Path) -> None:
    async with receiver("webhook", tmp_path) as target:
        assert isinstance(target, Webhook)
        sink = f'{{webhook: {{url: "http://127.0.0.1:{target.port}/events", batch: {{age: 50ms}}}}}}'
        async with running(tmp_path, sink) as router:
            async with Load(router.port, clients=8, pause=0.01) as load:
                await kill_the_recorder(router)
                target.status = 503  # what waits is killed with the recorder, and its own spool has it
                await kill_the_recorder(router)
                target.status = 204
                await load.more(50)
            sent = {each.id for each in load.sent}

            def arrived() -> set[str]:
                return {event["requestid"] for event in target.events()}

            await until(lambda: arrived() == sent, what="every pair at the sink")
            name = 'router_sink_records_total{outcome="delivered",sink="webhook"}'

            async def counted() -> bool:
                found = await router.metrics()
                healthy, waiting = (
                    found.get(f'router_sink_{key}{{sink="webhook"}}') for key in ("healthy", "waiting")
                )
                return (healthy, waiting) == (1, 0) and found.get(name, 0) > 0

            await router.comes_true(counted, "the counts")
