"""The journal can't be written: a rollback is in force at once all the same, and everything else is refused."""

import asyncio
import resource
from pathlib import Path

from tests.integration.test_promises import HALF
from tests.support.routers import Load, Router, deployment, ids, version
from tests.support.upstreams import model


async def test_a_rollback_is_in_force_and_says_that_it_is_not_on_disk_and_an_edit_is_refused(
    tmp_path: Path,
) -> None:
    async with (
        model("v1") as one,
        model("v2") as two,
        Router(tmp_path, {"m": deployment(HALF, v1=one.url, v2=two.url)}) as router,
        Load(router.port, clients=12) as load,
    ):
        await load.more(100)
        before = resource.prlimit(router.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        path = "/api/v1/deployments/m/pause"
        status, problem = await asyncio.to_thread(router.call, "POST", path)
        assert (status, problem["detail"].startswith("nothing was changed")) == (503, True)
        answer = await router.act("rollback", reason="now")
        answered = asyncio.get_running_loop().time()
        assert answer["persisted"] is False
        assert answer["applied_ms"] < 500
        assert answer["workers"]["live"] == answer["workers"]["confirmed"] == 2
        assert await router.metric("router_journal_persisted") == 0
        await load.more(200)
        assert ids(two.requests) & {each.id for each in load.since(answered)} == set()
        router.deployments["new"] = deployment(path="/new/**", v1=one.url)
        router.write()

        async def refused() -> bool:
            return await router.metric("router_config_reload_successful") == 0

        await router.comes_true(refused, "the refusal of the edit")
        assert "journal" in (await router.get("/api/v1/config"))["status"]["error"]
        resource.prlimit(router.process.pid, resource.RLIMIT_FSIZE, before)

        async def on_disk() -> bool:
            return await router.metric("router_journal_persisted") == 1

        await router.comes_true(on_disk, "the record of the rollback, once there is room")
        router.kill()
        await router.start()
        state = await router.deployment()
        assert (state["phase"], state["changed"]["why"]) == ("rolled_back", "now")
        assert {await version(router.port) for _ in range(20)} == {"v1"}
    assert load.failures == []
