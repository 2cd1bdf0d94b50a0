"""Edits of the file under load: good ones at once, bad ones not at all, and nobody's request suffers."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.routers import HALF, Load, Router, ask, canary, deployment, version
from tests.support.upstreams import model
from tests.support.workers import until


async def says(router: Router, path: str) -> bool:
    return (await ask(router.port, path)).status == 200


async def test_a_good_edit_is_in_force_within_a_second_and_a_removed_deployment_drains(
    tmp_path: Path,
) -> None:
    clock = asyncio.get_running_loop().time
    async with (
        model("v1") as one,
        model("v2") as two,
        model("slow", delay=1.5) as slow,
        Router(
            tmp_path,
            {
                "m": deployment(HALF, v1=one.url, v2=two.url),
                "old": deployment(path="/old/**", v1=slow.url),
            },
        ) as router,
    ):
        async with Load(router.port, clients=12) as load:
            await load.more(100)
            finishing = asyncio.create_task(ask(router.port, "/old/x"))
            await until(lambda: slow.requests, what="the request at the old deployment")
            del router.deployments["old"]
            router.deployments["new"] = deployment(path="/new/**", v1=one.url)
            edited = clock()
            router.write()
            await router.comes_true(lambda: says(router, "/new/x"), "the new deployment")
            assert clock() - edited < 5.0, "a second, on a machine with nothing else to do"
            assert (await ask(router.port, "/old/x")).status == 404
            assert (await finishing).status == 200
            await load.more(100)
            state = await router.deployment()
        assert (state["phase"], state["share"]) == ("progressing", 0.5)
    assert load.failures == []


async def test_changed_holds_go_on_and_another_candidate_begins_anew(tmp_path: Path) -> None:
    first = canary("{share: 10%, hold: 100ms}, {share: 50%, hold: 1h}")
    async with (
        model("v1") as one,
        model("v2") as two,
        Router(tmp_path, {"m": deployment(first, v1=one.url, v2=two.url)}) as router,
        Load(router.port, clients=8) as load,
    ):

        async def at(step: int, candidate: str, phase: str = "progressing") -> bool:
            state = await router.deployment()
            return (state["step"], state["candidates"], state["phase"]) == (step, [candidate], phase)

        await router.comes_true(lambda: at(1, "v2"), "the second step")
        held = (await router.deployment())["held"]
        router.deployments["m"] = deployment(first.replace("1h", "2h"), v1=one.url, v2=two.url)
        router.write()

        async def longer() -> bool:
            state = await router.deployment()
            assert (state["step"], state["share"]) == (1, 0.5), "the share does not fall back"
            assert state["held"] >= held
            return bool(state["hold"] == 7200.0)

        await router.comes_true(longer, "the edited hold")
        other = first.replace("candidate: v2", "candidate: v3").replace("100ms", "1h")
        router.deployments["m"] = deployment(other, v1=one.url, v3=two.url)
        router.write()
        await router.comes_true(lambda: at(0, "v3"), "the other candidate")
        assert (await router.deployment())["share"] == 0.1
        await load.more(50)
    assert load.failures == []


BAD: dict[str, Callable[[str], str]] = {
    "unknown version": lambda text: text.replace("candidate: v2", "candidate: v9"),
    "no YAML": lambda text: text + "\n  - ]",
    "empty": lambda text: "",
    "half a character": lambda text: text.replace("/m/**", '"/m\\ud800"'),
    "a size beyond all": lambda text: text.replace("/pairs}", f"/pairs, rotate: {{size: {'9' * 400}GiB}}}}"),
    "a number beyond all": lambda text: text.replace("v2: {", f"v2: {{limits: {{connections: {'9' * 30}}}, "),
    "a variable that is not set": lambda text: text.replace("/m/**", '"/${NOT_SET_ANYWHERE}"'),
}


async def test_a_bad_edit_changes_nothing_and_shows_wherever_somebody_may_look(tmp_path: Path) -> None:
    async with (
        model("v1") as one,
        model("v2") as two,
        Router(tmp_path, {"m": deployment(HALF, v1=one.url, v2=two.url)}) as router,
        Load(router.port, clients=8, pause=0.002) as load,
    ):
        text, generation = router.text(), await router.metric("router_generation")

        async def refused() -> bool:
            return await router.metric("router_config_reload_successful") == 0

        for name, spoil in BAD.items():
            router.write(spoil(text))
            await router.comes_true(refused, name)
            assert await router.metric("router_generation") == generation, name
            error = (await router.get("/api/v1/config"))["status"]["error"]
            assert error.startswith(str(router.file)), name
            assert error.splitlines()[0] in router.log.read_text().replace("\\\\", "\\").replace(
                '\\"', '"'
            ), name
            assert (await router.deployment())["config_error"] == error
            assert {await version(router.port) for _ in range(20)} == {"v1", "v2"}, name
            router.write(text)
            await router.comes_true(well(router), f"{name}, mended")
        router.file.unlink()
        await router.comes_true(refused, "the missing file")
        status = await asyncio.to_thread(
            subprocess.run,
            [
                sys.executable,
                "-m",
                "router.cli",
                "status",
                "--admin",
                f"http://127.0.0.1:{router.admin_port}",
            ],
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert "configuration on disk is refused" in status.stdout
        assert "no such file" in status.stdout
        assert (await router.act("rollback"))["phase"] == "rolled_back", "it needs no YAML"
    assert load.failures == []


def well(router: Router) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return await router.metric("router_config_reload_successful") == 1

    return check


@pytest.mark.slow
async def test_edits_in_quick_succession_end_with_the_last_one(tmp_path: Path) -> None:
    async with (
        model("v1") as one,
        model("v2") as two,
        Router(tmp_path, {"m": deployment(HALF, v1=one.url, v2=two.url)}, workers=3) as router,
        Load(router.port, clients=12) as load,
    ):
        for turn in range(30):
            router.deployments[f"d{turn % 3}"] = deployment(path=f"/d{turn % 3}/{turn}/**", v1=one.url)
            router.write()
            if turn % 5 == 0:
                await router.act("rollback" if turn % 2 else "pause")
                await router.act("restart")
            await asyncio.sleep(0.03)
        for path in ("/d0/27/x", "/d1/28/x", "/d2/29/x"):
            await router.comes_true(partial(says, router, path), path)
        assert await router.metric("router_worker_restarts_total") == 0
    assert load.failures == []
