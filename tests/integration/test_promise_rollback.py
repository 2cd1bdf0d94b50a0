"""The first promise on the running program: a rollback is instant, total and legal in every phase."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.routers import HALF, Load, Router, canary, deployment, ids, version
from tests.support.upstreams import Upstream, model, refusing, silent
from tests.support.workers import until

ANSWER_KEYS = {
    "deployment", "phase", "shares", "generation", "applied_ms", "workers", "persisted", "warnings"
}  # fmt: skip


def check_answer(answer: dict[str, Any], workers: int) -> None:
    """The contract, to the key."""
    assert set(answer) == ANSWER_KEYS
    assert answer["workers"] == {"live": workers, "confirmed": workers}
    assert answer["persisted"] is True
    assert 0 < answer["applied_ms"] < 1000
    assert isinstance(answer["generation"], int)


async def roll_back_under_load(router: Router, candidate: Upstream, load: Load) -> dict[str, Any]:
    """While clients are at it: nothing sent after the answer reaches the candidate, and no client notices."""
    await until(lambda: len(candidate.requests) >= 20, what="requests at the candidate")
    answer = await router.act("rollback", reason="test")
    answered = asyncio.get_running_loop().time()
    await load.more(300)
    after = load.since(answered)
    assert len(after) >= 200
    assert ids(candidate.requests) & {each.id for each in after} == set()
    assert {each.version for each in after if each.status} == {"v1"}
    return answer


@pytest.mark.parametrize("rounds", [3, pytest.param(12, marks=pytest.mark.slow)])
async def test_no_request_sent_after_the_answer_to_rollback_reaches_the_candidate(
    tmp_path: Path, rounds: int
) -> None:
    async with (
        model("v1") as stable,
        model("v2") as candidate,
        Router(tmp_path, {"m": deployment(HALF, v1=stable.url, v2=candidate.url)}, workers=3) as router,
        Load(router.port, clients=24) as load,
    ):
        for _ in range(rounds):
            answer = await roll_back_under_load(router, candidate, load)
            check_answer(answer, workers=3)
            assert answer["phase"] == "rolled_back"
            assert answer["shares"] == {"v1": 1.0, "v2": 0.0}
            candidate.requests.clear()
            await router.act("restart")
    assert load.failures == []
    assert load.connections <= 24, "connections were kept"


@pytest.mark.parametrize(
    "candidate",
    [
        pytest.param(silent(), id="silent"),
        pytest.param(refusing(), id="refusing"),
        pytest.param(model("v2", delay=0.3), id="slow", marks=pytest.mark.slow),
        pytest.param(model("v2", status=503), id="failing", marks=pytest.mark.slow),
    ],
)
async def test_a_rollback_from_a_sick_candidate_is_as_quick_and_nobody_notices(
    tmp_path: Path, candidate: Upstream
) -> None:
    timeouts = "timeouts: {first_byte: 1s}"
    async with (
        model("v1") as stable,
        candidate,
        Router(tmp_path, {"m": deployment(HALF, more=timeouts, v1=stable.url, v2=candidate.url)}) as router,
        Load(router.port, clients=24) as load,
    ):
        check_answer(await roll_back_under_load(router, candidate, load), workers=2)
    assert load.failures == []


async def test_a_rollback_needs_no_candidate_that_is_there(tmp_path: Path) -> None:
    async with (
        model("v1") as stable,
        Router(tmp_path, {"m": deployment(HALF, v1=stable.url, v2="http://127.0.0.1:1")}) as router,
        Load(router.port, clients=16) as load,
    ):
        await load.more(100)
        check_answer(await router.act("rollback"), workers=2)
        await load.more(100)
    assert load.failures == []


PHASES: dict[str, tuple[str, list[tuple[str, dict[str, Any]]], str]] = {
    # rollout, the way there, where it is then
    "canary-progressing": (HALF, [], "progressing"),
    "canary-paused": (HALF, [("pause", {})], "paused"),
    "canary-by-hand": (HALF, [("share", {"candidate": 1.0})], "paused"),
    "canary-soaking": (canary("{share: 50%, hold: 1h}", ", soak: 1h"), [("promote", {})], "soaking"),
    "canary-promoted": (HALF, [("promote", {})], "promoted"),
    "canary-rolled-back": (HALF, [("rollback", {})], "rolled_back"),
    "shadow-progressing": ("{pattern: shadow, primary: v1, shadows: [v2]}", [], "progressing"),
    "shadow-paused": ("{pattern: shadow, primary: v1, shadows: [v2]}", [("pause", {})], "paused"),
    "colours-progressing": (
        "{pattern: blue_green, blue: v1, green: v2, preview: {header: x-see, value: yes}, "
        "switch: {steps: [{share: 10%, hold: 1h}]}}",
        [("switch", {"to": "green"})],
        "progressing",
    ),
    "colours-paused": (
        "{pattern: blue_green, blue: v1, green: v2, switch: {steps: [{share: 10%, hold: 1h}]}}",
        [("switch", {"to": "green"}), ("pause", {})],
        "paused",
    ),
    "colours-promoted": (
        "{pattern: blue_green, blue: v1, green: v2, preview: {header: x-see, value: yes}}",
        [("switch", {"to": "green"})],
        "promoted",
    ),
}


async def test_a_rollback_is_legal_total_and_idempotent_in_every_phase_of_every_pattern(
    tmp_path: Path,
) -> None:
    async with model("v1") as one, model("v2") as two:
        deployments = {
            name: deployment(rollout, path=f"/{name}/**", v1=one.url, v2=two.url)
            for name, (rollout, _, _) in PHASES.items()
        }
        idle = "{pattern: blue_green, blue: v1, green: v2}"
        deployments["colours-steady"] = deployment(idle, path="/colours-steady/**", v1=one.url, v2=two.url)
        deployments["plain"] = deployment(path="/plain/**", v1=one.url)
        async with Router(tmp_path, deployments) as router:
            for name, (_, way, phase) in PHASES.items():
                for action, body in way:
                    await router.act(action, name, **body)
                assert (await router.deployment(name))["phase"] == phase, name
                two.requests.clear()
                first = await router.act("rollback", name, reason="why not")
                second = await router.act("rollback", name)
                for answer in (first, second):
                    check_answer(answer, workers=2)
                    assert (answer["deployment"], answer["phase"]) == (name, "rolled_back")
                    assert answer["shares"] == {"v1": 1.0, "v2": 0.0}
                answers = [await version(router.port, f"/{name}/x", "x-see: yes") for _ in range(5)]
                assert (set(answers), two.requests) == ({"v1"}, []), name
                events = (await router.get(f"/api/v1/deployments/{name}/history"))["events"]
                assert [event["what"] for event in events].count("rollback") == 1, name
            for name in ("colours-steady", "plain"):
                answer = await router.act("rollback", name)
                check_answer(answer, workers=2)
                assert (answer["phase"], answer["shares"]["v1"]) == ("steady", 1.0)


async def test_a_worker_that_hangs_is_killed_by_a_rollback_and_the_answer_says_so(tmp_path: Path) -> None:
    async with (
        model("v1") as one,
        model("v2") as two,
        Router(tmp_path, {"m": deployment(HALF, v1=one.url, v2=two.url)}, workers=3) as router,
    ):
        stuck = router.children("router.worker")[0]
        router.pids.add(stuck)
        os.kill(stuck, signal.SIGSTOP)
        answer = await router.act("rollback")
        assert answer["workers"] == {"live": 3, "confirmed": 2}
        assert 900 < answer["applied_ms"] < 5000
        assert stuck not in router.living()
        await router.comes_true(lambda: _serving(router, 3), "the replacement")
        assert {await version(router.port) for _ in range(30)} == {"v1"}


async def _serving(router: Router, workers: int) -> bool:
    return await router.metric('router_workers{state="serving"}') == workers
