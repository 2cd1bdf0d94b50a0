"""The journal can't be written: a rollback is in force at once all the same, and everything else is refused. The pair
log can't: pairs are dropped and counted, live traffic does not notice, and it goes on by itself."""

import asyncio
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.receivers import Webhook, receiver
from tests.support.routers import HALF, Load, Router, deployment, ids, version
from tests.support.upstreams import model
from tests.support.workers import until


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
        assert answer["applied_ms"] < 1000
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


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A file system of that size, in memory. Skips where this process may not mount one."""
    path.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no file system of its own can be mounted: {made.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def fill(file: Path) -> None:
    """Takes the last byte of the disk."""
    with file.open("wb", buffering=0) as filling, suppress(OSError):
        while True:
            filling.write(bytes(512))


async def test_a_rollback_on_a_full_disk_is_known_to_the_next_controller(tmp_path: Path) -> None:
    """It was killed before there was room again; and while there is none, no controller starts that does not know."""
    with small_disk(tmp_path / "disk", "2m") as disk:
        async with model("v1") as one, model("v2") as two:
            router = Router(tmp_path, {"m": deployment(HALF, v1=one.url, v2=two.url)}, workers=1)
            router.write(router.text().replace(f"{tmp_path}/db", f"{disk}/db"))
            async with router:
                fill(disk / "rest")
                answer = await router.act("rollback", reason="now")
                assert answer["persisted"] is False
                router.kill()
                with pytest.raises(AssertionError):
                    await router.start()
                assert "disk is full" in router.log.read_text()
                assert {await version(router.port) for _ in range(20)} == {"v1"}, "the workers serve on"
                (disk / "rest").unlink()
                await router.start()
                state = await router.deployment()
                assert (state["phase"], state["changed"]["why"]) == ("rolled_back", "now")
                events = [each["what"] for each in state["events"]]
                assert "rollback" in events
                assert {await version(router.port) for _ in range(20)} == {"v1"}


async def test_pairs_that_find_no_room_are_counted_and_the_log_and_the_sinks_go_on_by_themselves(
    tmp_path: Path,
) -> None:
    shadow = "{pattern: shadow, primary: v1, shadows: [v2]}"
    async with receiver("webhook", tmp_path) as target, model("v1") as one, model("v2") as two:
        assert isinstance(target, Webhook)
        sink = f'{{webhook: {{url: "http://127.0.0.1:{target.port}/events", batch: {{age: 50ms}}}}}}'
        versions = deployment(shadow, v1=one.url, v2=two.url)
        async with (
            Router(tmp_path, {"m": versions}, sinks=sink) as router,
            Load(router.port, clients=8, pause=0.01) as load,
        ):
            await until(
                lambda: len(router.pairs()) > 20 and len(target.requests) > 1, what="pairs on both ways"
            )
            (recorder,) = router.children("router.recorder")
            before = resource.prlimit(recorder, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))

            async def counted() -> bool:
                found = await router.metrics()
                return sum(value for name, value in found.items() if "captures_dropped" in name) > 100

            await router.comes_true(counted, "dropped pairs in the counts")
            await load.more(100)
            resource.prlimit(recorder, resource.RLIMIT_FSIZE, before)
            since = asyncio.get_running_loop().time()
            await load.more(100)

            def whole_again() -> bool:
                new = {each.id for each in load.since(since)}
                logged = {pair["id"] for pair in router.pairs()}
                sent = {event["requestid"] for event in target.events()}
                return len(new & logged) > 50 and len(new & sent) > 50

            await until(whole_again, what="new pairs on both ways")
        assert load.failures == []
        assert max(each.seconds for each in load.sent) < 3.0
