"""Pairs on a stream of a real Redis."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from router.pairs.sinks.outlets import Outlets
from router.pairs.sinks.redis import RedisSink, fields
from tests.support.receivers import RedisServer, line, receiver

BATCH = {"age": "10ms", "records": 100}


def test_an_entry_has_the_pair_and_what_readers_look_for() -> None:
    entry = fields(line("a"))
    assert {key: entry[key] for key in ("deployment", "id", "verdict")} == {
        "deployment": "loan",
        "id": "id-a",
        "verdict": "mismatch",
    }
    assert json.loads(entry["pair"])["exchange"] == "a"
    assert b"\n" not in entry["pair"]


async def test_the_stream_keeps_its_length(tmp_path: Path) -> None:
    async with receiver("redis", tmp_path) as target:
        assert isinstance(target, RedisServer)
        outlets = Outlets(tmp_path, 60.0)
        await outlets.configure([target.spec(length=200, batch=BATCH)], tmp_path, 60.0)
        for number in range(2000):
            outlets.offer(line(str(number)))
        async with asyncio.timeout(10):
            while outlets.tallies()[0].delivered < 2000:
                await asyncio.sleep(0.01)
        await outlets.close(1.0)
        kept = [json.loads(entry[b"pair"])["exchange"] for entry in await target.entries()]
    # `~` lets Redis drop whole nodes only, of a hundred entries as it comes.
    assert 200 <= len(kept) <= 400
    assert kept == [str(number) for number in range(2000 - len(kept), 2000)]


async def test_a_key_of_another_kind_is_a_trouble_that_is_told(tmp_path: Path) -> None:
    async with receiver("redis", tmp_path) as target:
        assert isinstance(target, RedisServer)
        from redis.asyncio import Redis

        async with Redis.from_url(target.url) as client:
            await client.set("pairs", "1")
            outlets = Outlets(tmp_path, 60.0)
            await outlets.configure([target.spec(batch=BATCH)], tmp_path, 60.0)
            outlets.offer(line("a"))
            async with asyncio.timeout(10):
                while "WRONGTYPE" not in outlets.tallies()[0].error:
                    await asyncio.sleep(0.01)
                await client.delete("pairs")
                while outlets.tallies()[0].delivered < 1:
                    await asyncio.sleep(0.01)
            await outlets.close(1.0)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"url": "http://c.test"}, "such as redis://"),
        ({"url": "redis://:pw@c.test"}, "set the keys username and password"),
        ({"url": "redis://c.test", "stream": ""}, "at least 1 character"),
    ],
)
def test_what_cannot_work_is_refused(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        RedisSink.model_validate(settings)


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.pairs.sinks.redis.find_spec", lambda name: None)
    with pytest.raises(ValidationError, match=r"pip install 'router\[redis\]'"):
        RedisSink.model_validate({"url": "redis://c.test"})
