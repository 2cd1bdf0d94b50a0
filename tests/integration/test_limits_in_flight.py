"""How many requests a version takes at once, and what becomes of those beyond."""

import asyncio
import json
import time

import pytest
from msgspec.structs import replace

from router.patterns.plan import Plan, Timeouts, VersionSpec
from tests.support.limited import ask, is_overloaded, limited, proxy
from tests.support.upstreams import Upstream, model, read_request
from tests.support.workers import (
    WorkerUnderTest,
    connect,
    deployment,
    get,
    until,
)


async def test_requests_beyond_the_limit_wait_their_turn() -> None:
    refused = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader) is not None:
            await refused.wait()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async with Upstream(handler) as upstream:
        versions = limited(upstream.url, in_flight=2, queue=3, queue_timeout=20.0)
        async with proxy(upstream.url, versions=versions) as worker:
            asking = [asyncio.create_task(ask(worker.port)) for _ in range(8)]
            await until(
                lambda: sum(each.done() for each in asking) == 3, what="those without a place refused"
            )
            refused.set()
            answers = await asyncio.gather(*asking)
            served = [answer for answer in answers if answer.status == 200]
            assert len(served) == 5
            assert all(is_overloaded(answer) for answer in answers if answer not in served)
            assert upstream.connections == 2
            answers = await asyncio.gather(*(ask(worker.port) for _ in range(5)))
            assert [answer.status for answer in answers] == [200] * 5


async def test_who_waits_too_long_is_told_to_come_again() -> None:
    async with (
        model("a", delay=1.5) as upstream,
        proxy(
            upstream.url, versions=limited(upstream.url, in_flight=1, queue=5, queue_timeout=0.2)
        ) as worker,
    ):
        began = time.monotonic()
        first = asyncio.create_task(ask(worker.port))
        await until(lambda: len(upstream.requests) == 1, what="the place taken")
        assert is_overloaded(await ask(worker.port))
        assert (await first).status == 200
        assert time.monotonic() - began < 10


async def test_who_leaves_while_waiting_costs_nothing() -> None:
    async with (
        model("a", delay=0.4) as upstream,
        proxy(
            upstream.url, versions=limited(upstream.url, in_flight=1, queue=5, queue_timeout=5.0)
        ) as worker,
    ):
        first = asyncio.ensure_future(ask(worker.port))
        await until(lambda: len(upstream.requests) == 1)
        _, leaving = await connect(worker.port)
        leaving.write(get())
        await asyncio.sleep(0.1)
        leaving.close()
        last = asyncio.ensure_future(ask(worker.port))
        assert (await first).status == (await last).status == 200
        assert len(upstream.requests) == 2
        await until(lambda: worker.code_counts("v1").get(499) == 1, what="the one that left in the counts")


async def test_where_there_is_a_fallback_it_answers_what_finds_no_place() -> None:
    async with (
        model("stable") as stable,
        model("candidate", delay=1.0) as candidate,
        WorkerUnderTest() as worker,
    ):
        versions = (VersionSpec("v1", (stable.url,)), VersionSpec("v2", (candidate.url,), in_flight=1))
        plan = Plan("v1", "v2", 10_000, fallback="v1")
        await worker.publish(replace(deployment({"v1": stable.url}, plan), versions=versions))
        answers = await asyncio.gather(*(ask(worker.port) for _ in range(3)))
        assert sorted(json.loads(answer.body)["model"] for answer in answers) == [
            "candidate",
            "stable",
            "stable",
        ]


@pytest.mark.parametrize("queue", [0, 5])
async def test_no_free_connection_is_overload_and_no_broken_server(queue: int) -> None:
    async with model("a", delay=1.0) as upstream:
        timeouts = Timeouts(connect=0.2)
        versions = limited(upstream.url, connections=1, queue=queue)
        async with proxy(upstream.url, versions=versions, timeouts=timeouts) as worker:
            first = asyncio.create_task(ask(worker.port))
            await until(lambda: len(upstream.requests) == 1, what="the connection taken")
            assert is_overloaded(await ask(worker.port))
            assert (await first).status == 200
            assert worker.ejected == ()
