"""kill -9 of the controller: workers serve on, the next one takes everything over, and time is counted once."""

import asyncio
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from router.rollout.state import RolloutState
from tests.support.accounts import SETTLE, live_counts, miscounted
from tests.support.routers import HALF, Load, Router, ask, canary, deployment, ids, version
from tests.support.upstreams import Upstream, model, read_request
from tests.support.workers import connect, read_answer, until


async def drained(router: Router) -> bool:
    return await router.metric('router_workers{state="draining"}') == 0


async def test_no_client_notices_and_a_rollback_right_after_the_start_reaches_old_workers_too(
    tmp_path: Path,
) -> None:
    async with (
        model("v1") as stable,
        model("v2") as candidate,
        Router(tmp_path, {"m": deployment(HALF, v1=stable.url, v2=candidate.url)}, workers=3) as router,
        # Half of the clients are busy, so that they stay on the workers they know until they are told to leave.
        Load(router.port, clients=12) as load,
        Load(router.port, clients=8, path="/m/rare", pause=0.4) as rare,
    ):
        await load.more(300)
        router.kill()
        await load.more(300)
        assert {await version(router.port) for _ in range(20)} == {"v1", "v2"}
        await router.start()
        answer = await router.act("rollback", reason="at once")
        answered = asyncio.get_running_loop().time()
        assert answer["workers"]["live"] == answer["workers"]["confirmed"] >= 3
        await load.more(300)
        after = [*load.since(answered), *rare.since(answered)]
        assert ids(candidate.requests) & {each.id for each in after} == set()
        await router.comes_true(lambda: drained(router), "the old workers' leaving")
        await rare.more(8)
        await load.stop()
        await rare.stop()
        await router.comes_true(lambda: counted(router, len(load.sent) + len(rare.sent) + 20), "every count")
    assert load.failures == []
    assert rare.failures == []


async def counted(router: Router, requests: int) -> bool:
    """Also what the old workers had counted under the first controller."""
    found = await router.metrics()
    return requests == sum(count for name, count in found.items() if name.startswith("router_requests_total"))


@pytest.mark.slow
async def test_it_resumes_at_the_same_step_with_its_time_counted_once(tmp_path: Path) -> None:
    rollout = canary("{share: 10%, hold: 100ms}, {share: 30%, hold: 9s}, {share: 60%, hold: 1h}")
    clock = asyncio.get_running_loop().time
    async with (
        model("v1") as one,
        model("v2") as two,
        Router(tmp_path, {"m": deployment(rollout, v1=one.url, v2=two.url)}) as router,
    ):

        async def step(number: int) -> bool:
            found: int = (await router.deployment())["step"]
            return found == number

        await router.comes_true(lambda: step(1), "the second step")
        # Until a checkpoint is on disk: up to so much time may be lost with the controller.
        await router.comes_true(lambda: held_on_disk(router, 3.0), "the checkpoint", within=12)
        before, at = (await router.deployment())["held"], clock()
        router.kill()
        await router.start()
        state = await router.deployment()
        assert (state["step"], state["phase"]) == (1, "progressing")
        assert state["shares"] == {"v1": 0.7, "v2": 0.3}
        assert before - 5.5 < state["held"] <= before + (clock() - at), "lost at most since the checkpoint"
        assert state["held"] > 2.0
        await router.comes_true(lambda: step(2), "the third step", within=12)
        events = (await router.get("/api/v1/deployments/m/history"))["events"]
        assert [event["what"] for event in reversed(events)] == ["start", "advance", "restored", "advance"]


async def held_on_disk(router: Router, seconds: float) -> bool:
    with closing(sqlite3.connect(f"file:{router.path}/db?mode=ro", uri=True)) as connection:
        ((text,),) = connection.execute("SELECT state FROM states WHERE deployment = 'm'").fetchall()
    return msgspec.json.decode(text, type=RolloutState).held >= seconds


async def test_rolled_back_stays_so_through_kills_edits_and_restarts(tmp_path: Path) -> None:
    async with (
        model("v1") as one,
        model("v2") as two,
        model("v3") as three,
        Router(tmp_path, {"m": deployment(HALF, v1=one.url, v2=two.url)}) as router,
    ):
        await router.act("rollback", reason="bad on small loans")
        router.kill()
        await router.start()
        assert (await router.deployment())["phase"] == "rolled_back"
        steps = canary("{share: 90%, hold: 1s}, {share: 95%, hold: 1h}")
        router.deployments["m"] = deployment(steps, v1=one.url, v2=two.url)
        router.write()
        generation = await router.metric("router_generation")
        await router.comes_true(lambda: beyond(router, generation), "the edit")
        assert {await version(router.port) for _ in range(20)} == {"v1"}
        assert await router.stop() == 0
        await router.start()
        state = await router.deployment()
        assert (state["phase"], state["shares"]) == ("rolled_back", {"v1": 1.0, "v2": 0.0})
        assert {await version(router.port) for _ in range(20)} == {"v1"}
        events = (await router.get("/api/v1/deployments/m/history"))["events"]
        assert ("rollback", "bad on small loans") in [(event["what"], event["why"]) for event in events]
        router.deployments["m"] = deployment(
            steps.replace("candidate: v2", "candidate: v3"), v1=one.url, v3=three.url
        )
        router.write()
        await router.comes_true(lambda: phase(router, "progressing"), "the new candidate")
        assert "v3" in {await version(router.port) for _ in range(20)}


async def beyond(router: Router, generation: float) -> bool:
    return await router.metric("router_generation") > generation


async def phase(router: Router, wanted: str) -> bool:
    found: str = (await router.deployment())["phase"]
    return found == wanted


async def test_a_worker_that_is_finishing_survives_two_dead_controllers_with_its_request(
    tmp_path: Path,
) -> None:
    """Its sockets went to the workers of the second controller; the third one must not take that for death."""
    finish = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        slow.requests += [seen for seen in [await read_request(reader)] if seen is not None]
        await finish.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async with Upstream(handler) as slow, Router(tmp_path, {"m": deployment(v1=slow.url)}) as router:
        first = set(router.children("router.worker"))
        reader, writer = await connect(router.port)
        writer.write(b"GET /m/x HTTP/1.1\r\nhost: t\r\n\r\n")
        await until(lambda: slow.requests, what="the request at the model")
        router.kill()
        await router.start()
        await router.comes_true(lambda: leaving(router, 1), "the old worker's draining")
        router.kill()
        await router.start()
        finish.set()
        answer = await asyncio.wait_for(read_answer(reader), 10)
        assert (answer.status, answer.fields[b"x-router-version"]) == (200, b"v1")
        writer.close()
        await until(lambda: not first & router.living(), what="the end of the first workers")
        assert await router.stop() == 0


async def leaving(router: Router, workers: int) -> bool:
    """Of the old ones only those with something in flight are left."""
    return await router.metric('router_workers{state="draining"}') == workers


@pytest.mark.slow
async def test_killed_again_and_again_under_load_no_client_notices(tmp_path: Path) -> None:
    async with (
        model("v1") as one,
        model("v2") as two,
        Router(tmp_path, {"m": deployment(HALF, v1=one.url, v2=two.url)}, workers=3) as router,
        Load(router.port, clients=16, pause=0.002) as load,
    ):
        for turn in range(8):
            await load.more(100)
            router.kill()
            await router.start()
            answer: dict[str, Any] = await router.act("rollback" if turn % 2 else "pause")
            assert answer["workers"]["live"] == answer["workers"]["confirmed"]
            await router.act("restart")
        await router.comes_true(lambda: drained(router), "the old workers' leaving")
        await load.stop()
        await asyncio.sleep(2 * SETTLE)
        counted = live_counts(await router.metrics(), "m")
    assert load.failures == []
    assert miscounted(counted, load.sent) == []


async def test_an_orphan_that_died_meanwhile_is_replaced(tmp_path: Path) -> None:
    async with model("v1") as one, Router(tmp_path, {"m": deployment(v1=one.url)}, workers=2) as router:
        dead = router.children("router.worker")[0]
        router.kill()
        os.kill(dead, signal.SIGKILL)
        await router.start()
        assert len(router.children("router.worker")) == 2
        assert [(await ask(router.port)).status for _ in range(20)] == [200] * 20
