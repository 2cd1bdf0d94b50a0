"""Copies to the version that answered: how often it disagrees with itself, from the worker to the comparison."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

from tests.support.routers import Load, Router, canary, deployment
from tests.support.upstreams import Upstream, model, read_request

SHADOW = "{pattern: shadow, primary: v1, shadows: [v2], noise: 100%}"


def moody() -> Upstream:
    """Every answer has another `mood`, and the same `label`."""
    moods = itertools.count()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader) is not None:
            body = b'{"label": 1, "mood": %d}' % next(moods)
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            writer.write(head % len(body) + body)
            await writer.drain()

    return Upstream(handler)


async def comparisons(router: Router, query: str = "") -> dict[tuple[str, str], dict[str, Any]]:
    found = (await router.get(f"/api/v1/deployments/m/comparison{query}"))["comparisons"]
    return {(each["primary"], each["shadow"]): each for each in found}


async def load(router: Router, pairs: int) -> None:
    async with Load(router.port, clients=2) as clients:
        await clients.more(100)

    async def enough() -> bool:
        return len(router.pairs()) >= pairs

    await router.comes_true(enough, f"{pairs} pairs")


async def test_a_field_that_differs_by_itself_is_noise_and_others_are_not(tmp_path: Path) -> None:
    async with (
        moody() as v1,
        model("v2") as v2,
        Router(tmp_path, {"m": deployment(SHADOW, v1=v1.url, v2=v2.url)}) as router,
    ):
        await load(router, 200)
        found = await comparisons(router)
        assert found.keys() == {("v1", "v1"), ("v1", "v2")}
        noise, trial = found["v1", "v1"], found["v1", "v2"]
        assert noise["noise"] is True
        assert [each[0] for each in noise["fields"]] == ["/mood"]
        assert trial["disagreement"]["noise"]["share"] == 1.0
        assert trial["disagreement"]["net"]["share"] == 0.0
        assert [each["field"] for each in trial["noisy"]] == ["/mood"]
        assert {each["field"] for each in trial["differences"]} == {"/label", "/model", "/got"}
        copied = [pair for pair in router.pairs() if pair["shadow"]["version"] == "v1"]
        assert {pair["primary"]["endpoint"] for pair in copied} == {v1.url}

        async def counted() -> bool:
            live = await comparisons(router, "?source=live")
            return {key: each["verdicts"] for key, each in live.items()} == {
                key: each["verdicts"] for key, each in (await comparisons(router)).items()
            }

        await router.comes_true(counted, "the same counts in log and recorder")


async def test_a_canary_mirrors_noise_to_the_side_that_answers(tmp_path: Path) -> None:
    rollout = canary("{share: 50%, mirror: 100%}", ", noise: 100%")
    async with (
        model("v1") as v1,
        model("v2") as v2,
        Router(tmp_path, {"m": deployment(rollout, v1=v1.url, v2=v2.url)}) as router,
    ):
        await load(router, 200)
        found = await comparisons(router)
        assert found.keys() == {("v1", "v1"), ("v1", "v2"), ("v2", "v1"), ("v2", "v2")}
        assert found["v1", "v1"]["agreement"]["share"] == 1.0
        assert found["v1", "v2"]["disagreement"]["net"]["share"] == 1.0
