"""The running router asks gates elsewhere, tells people, and warns: real processes, real servers."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.hooks import Hook, serving
from tests.support.routers import Load, Router, canary, deployment
from tests.support.upstreams import model
from tests.support.workers import until


def gated(hook: Hook, more: str = "") -> str:
    """A canary at 10 % that goes on when the webhook says so."""
    webhook = f'{{webhook: {{url: "{hook.url}?key=hush", every: 1s, retries: 0}}}}'
    return canary("{share: 10%, hold: 1s}, {share: 50%, hold: 1h}", f", gates: [{webhook}]{more}")


def told(hook: Hook) -> list[str]:
    return [seen.json()["text"] for seen in hook.seen]


async def run(router: Router, *arguments: str) -> tuple[int, str, str]:
    """A command as people give it: exit code, output, errors."""
    admin = f"http://127.0.0.1:{router.admin_port}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "router.cli", *arguments, "--admin", admin),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def cli(router: Router, *arguments: str) -> Any:
    """What a command prints as JSON."""
    code, out, err = await run(router, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


async def test_a_webhook_holds_a_step_then_leads_on_and_people_are_told_through_a_target_that_fails_first(
    tmp_path: Path,
) -> None:
    async with serving() as gate, serving() as target, model("v1") as v1, model("v2") as v2:
        gate.status, gate.text = 409, "not enough tickets"
        target.answer(web.Response(status=503), web.Response(status=500))
        deployments = {"m": deployment(gated(gate), v1=v1.url, v2=v2.url)}
        notify = f'notify: [{{url: "{target.url}", events: [advance, rollback]}}]\n'
        async with Router(tmp_path, deployments, extra=notify) as router:

            async def held() -> bool:
                return "not enough tickets" in (await router.deployment())["waits_for"]

            await router.comes_true(held)
            shown = await router.deployment()
            assert [each["verdict"] for each in shown["gates"] if each["gate"] == "webhook"] == [
                "inconclusive"
            ]
            assert (gate.seen[0].json()["candidate"], gate.seen[0].json()["share"]) == ("v2", 0.1)
            gate.status = 200

            async def at_half() -> bool:
                return bool((await router.deployment())["share"] == 0.5)

            await router.comes_true(at_half)
            first, *_ = await target.calls(3)
            assert told(target) == [told(target)[0]] * 3
            assert told(target)[0].startswith("m: advance by router: step 1 of 2")
            gate.status, gate.text = 400, "tickets are wrong"
            texts = [seen.json()["text"] for seen in await target.calls(4)]
            assert texts[3].startswith("m: rollback by router: webhook: answered 400: tickets are wrong")
            sent = 'router_notices_total{outcome="sent"}'
            await router.comes_true(lambda: _is(router, sent, 2.0))
            shown = await router.get("/api/v1/config")
            assert "hush" not in json.dumps(shown) + json.dumps(await router.deployment())
            assert shown["config"]["notify"][0]["url"].endswith("/***")
        assert "hush" not in router.log.read_text()
        assert first.json().keys() == {"text"}


async def _is(router: Router, metric: str, value: float) -> bool:
    return await router.metric(metric) == value


async def test_a_refused_configuration_is_told_and_an_edit_changes_who_is_told(tmp_path: Path) -> None:
    async with serving() as first, serving() as second, model("v1") as v1:
        deployments = {"m": deployment(v1=v1.url)}
        notify = 'notify: [{{url: "{}", template: {{say: "{{event}}: {{why}}"}}}}]\n'
        async with Router(tmp_path, deployments, extra=notify.format(first.url)) as router:
            router.write("nonsense: true\n")
            (seen,) = await first.calls(1)
            assert seen.json()["say"].startswith("config_error: ")
            assert "nonsense" in seen.json()["say"]
            router.extra = notify.format(second.url)
            router.write()

            async def in_force() -> bool:
                return not (await router.get("/api/v1/config"))["status"]["error"]

            await router.comes_true(in_force)
            router.write("nonsense: true\n")
            await second.calls(1)
            assert len(first.seen) == 1


async def test_a_rollback_to_a_dead_version_works_and_warns_everywhere(tmp_path: Path) -> None:
    health = "health: {path: /ready, every: 100ms, timeout: 100ms}"
    async with serving() as target, model("v2") as v2:
        body = (
            "    match: {path: /m/**}\n"
            f'    versions: {{v1: {{url: "http://127.0.0.1:1", {health}}}, v2: {{url: "{v2.url}"}}}}\n'
            f"    rollout: {canary('{share: 50%, hold: 1h}')}\n"
        )
        notify = f'notify: [{{url: "{target.url}", events: [warning]}}]\n'
        async with Router(tmp_path, {"m": body}, extra=notify) as router:
            healthy = 'router_endpoint_healthy{deployment="m",endpoint="http://127.0.0.1:1",version="v1"}'

            async def down() -> bool:
                return healthy in (found := await router.metrics()) and not found[healthy]

            await router.comes_true(down)
            answer = await router.act("rollback")
            assert (answer["phase"], answer["shares"]) == ("rolled_back", {"v1": 1.0, "v2": 0.0})
            (warning,) = answer["warnings"]
            assert warning.startswith("no endpoint of v1 is healthy")
            (seen,) = await target.calls(1)
            assert seen.json()["text"] == f"m: warning: {warning}"
            assert "rolled back, but no endpoint of v1 is healthy" in router.log.read_text()


@pytest.mark.slow
async def test_a_rollback_under_more_than_stable_takes_says_how_much(tmp_path: Path) -> None:
    async with model("v1", delay=0.3) as v1, model("v2", delay=0.3) as v2:
        body = (
            "    match: {path: /m/**}\n"
            f'    versions: {{v1: {{url: "{v1.url}", limits: {{in_flight: 4}}}}, v2: {{url: "{v2.url}"}}}}\n'
            f"    rollout: {canary('{share: 90%, hold: 1h}')}\n"
        )
        async with Router(tmp_path, {"m": body}) as router, Load(router.port, clients=24) as load:
            await until(lambda: load.answered > 48, 20, "answers")
            (warning,) = (await router.act("rollback"))["warnings"]
            assert "requests are in flight, and v1 takes 4 at once" in warning


async def test_of_two_operators_at_once_the_late_one_is_told(tmp_path: Path) -> None:
    async with model("v1") as v1, model("v2") as v2:
        steps = canary("{share: 10%, hold: 1h}, {share: 50%, hold: 1h}")
        async with Router(tmp_path, {"m": deployment(steps, v1=v1.url, v2=v2.url)}) as router:
            seen = str((await router.deployment())["generation"])
            commands = (["promote", "m"], ["pause", "m"], ["share", "m", "20%"])
            results = await asyncio.gather(*(run(router, *command, "--seen", seen) for command in commands))
            assert sorted(code for code, _, _ in results) == [0, 1, 1]
            late = [err for code, _, err in results if code]
            assert all("412" in each and "look at it again" in each for each in late)
            assert len((await router.get("/api/v1/deployments/m/history"))["events"]) == 2


@pytest.mark.slow
async def test_other_gates_over_what_the_running_router_has_counted(tmp_path: Path) -> None:
    async with model("v1") as v1, model("v2", status=500) as v2:
        more = ", gates: [{error_rate: {max_ratio: 100, pass_ratio: 1000, max: 99%}}], fallback: false"
        steps = canary("{share: 50%, hold: 1h}", more)
        async with Router(tmp_path, {"m": deployment(steps, v1=v1.url, v2=v2.url)}) as router:
            async with Load(router.port, clients=4, pause=0.01) as load:
                await load.more(200)
            await router.act("pause")
            stricter = tmp_path / "stricter.yaml"
            stricter.write_text("gates: [{error_rate: {max: 10%}}]\n")

            async def counted() -> bool:
                return bool((await cli(router, "whatif", "m", "--gates", str(stricter)))["rollouts"])

            await router.comes_true(counted)
            (found,) = (await cli(router, "whatif", "m", "--gates", str(stricter)))["rollouts"]
            assert found["stays"][-1]["event"] == "rollback"
            assert "error_rate: error rate 100%" in found["stays"][-1]["why"]
            assert found["really"]["phase"] == "paused"
