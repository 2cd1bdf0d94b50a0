"""The third promise on the running program: shares are met, and keys only ever move to the candidate."""

import asyncio
import math
from pathlib import Path

from tests.support.routers import Load, Router, canary, deployment, version
from tests.support.upstreams import model
from tests.support.workers import connect, read_answer


async def test_shares_are_met_and_sticky_keys_only_ever_move_to_the_candidate(tmp_path: Path) -> None:
    rollout = canary("{share: 0%, hold: 1h}, {share: 100%, hold: 1h}", ", sticky: {header: x-user}")
    async with (
        model("v1") as one,
        model("v2") as two,
        Router(tmp_path, {"m": deployment(rollout, v1=one.url, v2=two.url)}) as router,
    ):
        users = [f"user-{number}" for number in range(600)]
        before: set[str] = set()
        for share in (0.0, 0.05, "30%", 0.6, 1.0):
            answer = await router.act("share", candidate=share)
            expected = answer["shares"]["v2"]
            found = await _assigned(router.port, users)
            assert before <= found, "raising a share moves nobody back"
            assert abs(len(found) - 600 * expected) <= 4 * math.sqrt(600 * expected * (1 - expected))
            assert found == await _assigned(router.port, users), "the same each time, on every worker"
            before = found


async def _assigned(port: int, users: list[str]) -> set[str]:
    """The users the candidate answers; over several connections, so over several workers."""

    async def some(part: list[str]) -> set[str]:
        reader, writer = await connect(port)
        found = set()
        for user in part:
            writer.write(f"GET /m/x HTTP/1.1\r\nhost: t\r\nx-user: {user}\r\n\r\n".encode())
            if (await read_answer(reader)).fields[b"x-router-version"] == b"v2":
                found.add(user)
        writer.close()
        return found

    return set().union(*await asyncio.gather(*(some(users[start::8]) for start in range(8))))


async def test_without_a_key_every_request_is_drawn_anew_and_the_share_is_met(tmp_path: Path) -> None:
    rollout = canary("{share: 20%, hold: 1h}")
    async with (
        model("v1") as one,
        model("v2") as two,
        Router(tmp_path, {"m": deployment(rollout, v1=one.url, v2=two.url)}) as router,
    ):
        async with Load(router.port, clients=16) as load:
            await load.more(3000)
        total, candidate = load.answered, sum(each.version == "v2" for each in load.sent)
        # Six standard deviations: by chance once in half a billion runs.
        assert abs(candidate - 0.2 * total) <= 6 * math.sqrt(total * 0.2 * 0.8)


async def test_who_answers_may_be_forced_previewed_or_kept_by_cookie_and_address(tmp_path: Path) -> None:
    steps = "{share: 50%, hold: 1h}"
    async with model("v1") as one, model("v2") as two:
        rollouts = {
            "force": canary(steps, ", force: {header: x-router-version}"),
            "cookie": canary(steps, ", sticky: {cookie: who}"),
            "ip": canary(steps, ", sticky: client_ip"),
            "preview": "{pattern: blue_green, blue: v1, green: v2, preview: {header: X-Preview, value: green}}",
        }
        deployments = {
            name: deployment(rollout, path=f"/{name}/**", v1=one.url, v2=two.url)
            for name, rollout in rollouts.items()
        }
        async with Router(tmp_path, deployments) as router:

            async def who(name: str, *fields: str) -> set[str]:
                return {await version(router.port, f"/{name}/x", *fields) for _ in range(30)}

            for name in ("v1", "v2"):
                assert await who("force", f"X-Router-Version: {name}") == {name}
            assert await who("force", "x-router-version: v9") == {"v1", "v2"}, (
                "an unknown version forces nothing"
            )
            each = [await who("cookie", f"cookie: a=b; who=user{number}; c=d") for number in range(12)]
            assert {len(versions) for versions in each} == {1}
            assert set().union(*each) == {"v1", "v2"}
            assert await who("cookie", "cookie: a=b") == {"v1", "v2"}
            assert len(await who("ip")) == 1
            assert await who("preview") == {"v1"}
            assert await who("preview", "x-preview: green") == {"v2"}
            assert await who("preview", "x-preview: blue") == {"v1"}
            await router.act("switch", "preview", to="green")
            assert await who("preview") == {"v2"}
            assert await who("preview", "x-preview: green") == {"v1"}, "the one that is not live"
