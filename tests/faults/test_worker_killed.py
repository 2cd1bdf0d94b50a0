"""kill -9 of a worker under load: replaced at once, and only what was in flight on it is lost."""

import asyncio
import os
import signal
from pathlib import Path

from tests.support.routers import HALF, Load, Router, deployment, ids, version
from tests.support.upstreams import model


async def test_it_is_replaced_within_a_second_and_only_its_clients_notice(tmp_path: Path) -> None:
    clock = asyncio.get_running_loop().time
    async with (
        model("v1") as one,
        model("v2") as two,
        Router(tmp_path, {"m": deployment(HALF, v1=one.url, v2=two.url)}, workers=3) as router,
    ):
        async with Load(router.port, clients=24) as load:
            await load.more(300)
            before = router.children("router.worker")
            router.note_children()
            died = clock()
            os.kill(before[0], signal.SIGKILL)
            await router.comes_true(lambda: replaced(router, 1), "the replacement")
            took = clock() - died
            await load.more(600)
        # A client has one request in flight; it may fail once.
        assert 0 < len(load.failures) <= 24
        assert all(each.broken and died - 1 < each.began < died + took for each in load.failures)
        assert took < 5.0, "a second, on a machine with nothing else to do"
        assert len({each.id.split("-")[1] for each in load.failures}) == len(load.failures), "nobody twice"
        after = router.children("router.worker")
        assert (len(after), before[0] in after) == (3, False)


async def replaced(router: Router, restarts: int) -> bool:
    found = await router.metrics()
    serving = found.get('router_workers{state="serving"}')
    return (found["router_worker_restarts_total"], serving) == (restarts, 3)


async def test_a_rollback_while_a_worker_is_being_replaced_is_in_force_on_all_of_them(tmp_path: Path) -> None:
    async with (
        model("v1") as one,
        model("v2") as two,
        Router(tmp_path, {"m": deployment(HALF, v1=one.url, v2=two.url)}, workers=3) as router,
        Load(router.port, clients=12) as load,
    ):
        for turn in range(3):
            await load.more(100)
            router.note_children()
            os.kill(router.children("router.worker")[turn], signal.SIGKILL)
            answer = await router.act("rollback")
            answered = asyncio.get_running_loop().time()
            assert answer["phase"] == "rolled_back"
            await load.more(200)
            after = {each.id for each in load.since(answered)}
            assert ids(two.requests) & after == set()
            assert {await version(router.port) for _ in range(20)} == {"v1"}
            await router.act("restart")


async def test_counts_of_the_dead_worker_stay(tmp_path: Path) -> None:
    name = 'router_requests_total{code="200",deployment="m",role="live",version="v1"}'
    async with model("v1") as one, Router(tmp_path, {"m": deployment(v1=one.url)}, workers=3) as router:
        async with Load(router.port, clients=9) as load:
            await load.more(300)

        async def told() -> bool:
            return await router.metric(name) == len(load.sent)

        await router.comes_true(told, "all counts")
        router.note_children()
        os.kill(router.children("router.worker")[0], signal.SIGKILL)
        await router.comes_true(lambda: replaced(router, 1), "the replacement")
        assert await told(), "no count goes backwards"
