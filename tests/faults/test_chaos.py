"""Everything at once, at random: commands, edits, kills. What is said, what is on disk and what is served agree."""

import asyncio
import os
import random
import signal
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.routers import HALF, Load, Router, canary, deployment, ids, version
from tests.support.upstreams import model

COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("rollback", {}),
    ("rollback", {"reason": "again"}),
    ("promote", {}),
    ("pause", {}),
    ("resume", {}),
    ("restart", {}),
    ("share", {"candidate": 0.3}),
]


async def commanding(router: Router, chance: random.Random, done: asyncio.Event) -> int:
    """Sends commands until it is over; how many were carried out. A refusal is a 409, and nothing else."""
    carried_out = 0
    while not done.is_set():
        action, body = chance.choice(COMMANDS)
        path = f"/api/v1/deployments/m/{action}"
        status, answer = await asyncio.to_thread(router.call, "POST", path, body or None)
        assert status in (200, 409), answer
        assert status == 200 or action != "rollback", answer
        carried_out += status == 200
    return carried_out


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_at_once_all_agree_in_the_end(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    texts = [
        HALF,
        canary("{share: 20%, hold: 300ms}, {share: 40%, hold: 300ms}, {share: 60%, hold: 1h}", ", soak: 1s"),
    ]
    async with (
        model("v1") as one,
        model("v2") as two,
        Router(tmp_path, {"m": deployment(HALF, v1=one.url, v2=two.url)}, workers=3) as router,
        Load(router.port, clients=8, pause=0.002) as load,
    ):
        done = asyncio.Event()
        commanders = [asyncio.create_task(commanding(router, chance, done)) for _ in range(4)]
        for _ in range(12):
            await asyncio.sleep(chance.uniform(0.05, 0.4))
            if chance.random() < 0.5:
                router.deployments["m"] = deployment(chance.choice(texts), v1=one.url, v2=two.url)
                router.write()
            else:
                router.note_children()
                with suppress(ProcessLookupError, IndexError):
                    os.kill(chance.choice(router.children("router.worker")), signal.SIGKILL)
        done.set()
        carried_out = await asyncio.gather(*commanders)
        assert sum(carried_out) > 20
        answer = await router.act("rollback")
        answered = asyncio.get_running_loop().time()
        assert answer["phase"] == "rolled_back"
        await load.more(200)
        assert ids(two.requests) & {each.id for each in load.since(answered)} == set()
        events = (await router.get("/api/v1/deployments/m/history?limit=1000"))["events"]
        generations = [event["generation"] for event in events]
        assert generations == sorted(generations, reverse=True)
        for newer, older in pairwise(events):
            assert newer["phase_before"] == older["phase"], (newer, older)
        router.kill()
        await router.start()
        assert (await router.deployment())["phase"] == "rolled_back"
        assert {await version(router.port) for _ in range(30)} == {"v1"}
        assert "Traceback" not in router.log.read_text()
