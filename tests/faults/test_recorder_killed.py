"""kill -9 of the recorder under load: clients see nothing of it, and no exchange is on disk half or twice."""

import asyncio
import os
import signal
import time
from collections import Counter
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.routers import Load, Router, deployment
from tests.support.upstreams import model
from tests.support.workers import until

BEING_TAKEN = 800
"""Halves that may be both kept and counted: of each of three kills, one read from each of two workers."""

SHADOW = "{pattern: shadow, primary: v1, shadows: [v2], max_in_flight: 1000}"


async def kill_the_recorder(router: Router) -> None:
    """While it is writing, and until the next one is there."""
    since = time.time()
    await until(lambda: any(began(pair) > since for pair in router.pairs()), what="a new pair")
    router.note_children()
    (recorder,) = router.children("router.recorder")
    os.kill(recorder, signal.SIGKILL)
    await until(lambda: router.children("router.recorder") not in ([], [recorder]), what="the next recorder")


def began(pair: dict[str, Any]) -> float:
    """Unix time of its request."""
    return datetime.fromisoformat(pair["time"]).timestamp()


async def drops(router: Router) -> dict[str, float]:
    return {name: value for name, value in (await router.metrics()).items() if "_dropped_total" in name}


async def none_dropped(router: Router) -> bool:
    """For longer than it takes a count to arrive."""
    before = await drops(router)
    await asyncio.sleep(0.6)
    return await drops(router) == before


async def run(tmp_path: Path) -> tuple[int, int, int]:
    """Kills the recorder three times. Returns how many halves were made, kept and counted as dropped."""
    async with (
        model("v1") as one,
        model("v2") as two,
        Router(tmp_path, {"m": deployment(SHADOW, v1=one.url, v2=two.url)}) as router,
    ):
        async with Load(router.port, clients=8, pause=0.01) as load:
            for _ in range(3):
                await kill_the_recorder(router)
            await router.comes_true(partial(none_dropped, router), "the last recorder's work")
            whole_since = asyncio.get_running_loop().time()
            await load.more(100)
        assert load.failures == []
        assert max(each.seconds for each in load.sent) < 1.0
        await router.comes_true(partial(none_dropped, router), "all counts")
        dropped = sum((await drops(router)).values())
        # Told to stop, the recorder writes all it has, halves without their other half too.
        assert await router.stop() == 0
    pairs = router.pairs()
    times = Counter(pair["id"] for pair in pairs)
    assert times.keys() <= {each.id for each in load.sent}
    assert max(times.values()) == 1, "no pair twice"
    assert {each.id for each in load.since(whole_since)} <= times.keys(), "it is whole afterwards"
    kept = sum((pair["primary"] is not None) + (pair["shadow"] is not None) for pair in pairs)
    return 2 * len(load.sent), kept, int(dropped)


async def test_live_traffic_is_untouched_and_pairs_are_whole_again_afterwards(tmp_path: Path) -> None:
    made, kept, dropped = await run(tmp_path)
    assert made <= kept + dropped <= made + BEING_TAKEN, "nothing is lost silently"


@pytest.mark.slow
async def test_what_was_kept_and_what_was_dropped_add_up_to_what_was_made(tmp_path: Path) -> None:
    for turn in range(4):
        (tmp_path / str(turn)).mkdir()
        made, kept, dropped = await run(tmp_path / str(turn))
        assert made <= kept + dropped <= made + BEING_TAKEN, "counted twice is what was just being taken"
