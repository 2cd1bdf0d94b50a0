"""What clients and model servers may not do, tried on a real worker: each limit, and its other side."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from router.patterns.limits import ClientLimits
from router.patterns.plan import Plan, Timeouts, VersionSpec
from tests.support.ports import refusing_url
from tests.support.routers import Router
from tests.support.routers import deployment as in_yaml
from tests.support.upstreams import Upstream, model, read_request, scripted
from tests.support.workers import (
    Answer,
    WorkerUnderTest,
    connect,
    deployment,
    get,
    post,
    read_answer,
    talk,
    until,
)

CHUNKED = b"POST /x HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"


@asynccontextmanager
async def proxy(
    url: str, *, clients: ClientLimits | None = None, **changes: object
) -> AsyncIterator[WorkerUnderTest]:
    """A worker that proxies to one endpoint. What is left in flight when the test is done fails it."""
    async with WorkerUnderTest(clients=clients or ClientLimits()) as worker:
        await worker.publish(replace(deployment({"v1": url}), **changes))
        yield worker
        await worker.publish(replace(deployment({"v1": url}), **changes))
        await until(
            lambda: not any(row.in_flight for row in worker.series.values()), what="nothing in flight"
        )


def limited(url: str, **limits: object) -> tuple[VersionSpec, ...]:
    return (VersionSpec("v1", (url,), **limits),)  # type: ignore[arg-type]


async def ask(port: int, request: bytes = get()) -> Answer:
    reader, writer = await connect(port)
    writer.write(request)
    try:
        async with asyncio.timeout(10):
            return await read_answer(reader)
    finally:
        writer.close()


def is_overloaded(answer: Answer) -> bool:
    return (answer.status, answer.fields[b"x-router-error"], answer.fields[b"retry-after"]) == (
        503,
        b"overloaded",
        b"1",
    )


# Heads


@pytest.mark.parametrize(
    ("request_bytes", "status", "error"),
    [
        (get(b"/" + b"a" * 2000), 200, b""),
        (get(b"/" + b"a" * 2048), 414, b"target_too_long"),
        (get(b"/x", b"x: " + b"a" * 4000), 200, b""),
        (get(b"/x", b"x: " + b"a" * 8192), 431, b"headers_too_large"),
        (get(b"/x", *[b"x: 1"] * 119), 200, b""),
        (get(b"/x", *[b"x: 1"] * 120), 431, b"headers_too_large"),
    ],
    ids=["target", "long target", "head", "large head", "fields", "many fields"],
)
async def test_the_size_of_a_head_is_limited(request_bytes: bytes, status: int, error: bytes) -> None:
    limits = ClientLimits(target=2048, head=8192, fields=120)
    async with model("a") as upstream, proxy(upstream.url, clients=limits) as worker:
        reader, writer = await connect(worker.port)
        writer.write(request_bytes)
        answer = await read_answer(reader)
        assert (answer.status, answer.fields.get(b"x-router-error", b"")) == (status, error)
        if status != 200:
            assert await reader.read() == b"", "the connection is closed"
            assert upstream.requests == []
        writer.close()


async def test_a_head_has_its_time_and_an_idle_connection_another() -> None:
    limits = ClientLimits(head_timeout=0.5, keep_alive=1.5)
    async with model("a") as upstream, proxy(upstream.url, clients=limits) as worker:
        began = time.monotonic()
        slow, silent, kept = await asyncio.gather(
            talk(worker.port, b"GET /x HTTP/1.1\r\n"), talk(worker.port), talk(worker.port, get())
        )
        assert slow.startswith(b"HTTP/1.1 408 ")
        assert silent == b""
        assert kept.startswith(b"HTTP/1.1 200 ")
        assert 1.3 < time.monotonic() - began < 10
        assert upstream.connections == 1


# Bodies


async def test_a_body_that_trickles_ends_though_it_never_idles() -> None:
    limits = ClientLimits(body_rate=64, body_grace=1.0)
    async with model("a") as upstream, proxy(upstream.url, clients=limits) as worker:
        reader, writer = await connect(worker.port)
        writer.write(b"POST /x HTTP/1.1\r\nhost: t\r\ncontent-length: 1000\r\n\r\n")
        reading = asyncio.ensure_future(read_answer(reader))
        began = time.monotonic()
        while not reading.done() and time.monotonic() - began < 30:
            writer.write(b"x")
            await asyncio.sleep(0.1)
        assert (await reading).status == 408
        assert time.monotonic() - began < 10, "all of it would take a hundred seconds"
        writer.close()


async def test_a_body_that_comes_fast_enough_may_take_its_time() -> None:
    limits = ClientLimits(body_rate=32, body_grace=0.5)
    async with model("a") as upstream, proxy(upstream.url, clients=limits) as worker:
        reader, writer = await connect(worker.port)
        writer.write(b"POST /x HTTP/1.1\r\nhost: t\r\ncontent-length: 400\r\n\r\n")
        for _ in range(20):
            writer.write(b"x" * 20)
            await asyncio.sleep(0.1)
        assert json.loads((await read_answer(reader)).body)["got"] == 400
        writer.close()


async def test_a_client_is_not_blamed_for_a_model_server_that_takes_its_time() -> None:
    """It is not read from meanwhile, and sends the little that is left when all is taken."""
    size = 12 << 20

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(2.5)
        await reader.readexactly(size)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await reader.read()

    limits = ClientLimits(body_rate=1 << 20, body_grace=1.0)
    async with Upstream(slow) as upstream, proxy(upstream.url, clients=limits) as worker:
        reader, writer = await connect(worker.port)
        writer.write(b"POST /x HTTP/1.1\r\nhost: t\r\ncontent-length: %d\r\n\r\n" % size)
        writer.write(bytes(size - 10))
        await writer.drain()
        writer.write(bytes(10))
        assert (await read_answer(reader)).status == 200
        writer.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /x HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 1001\r\n\r\n",
        post(bytes(1001), b"connection: close"),
        CHUNKED + b"3e9\r\n" + bytes(1001) + b"\r\n",
    ],
    ids=["announced", "whole", "chunked"],
)
async def test_a_large_body_is_refused_before_anything_is_sent(request_bytes: bytes) -> None:
    async with model("a") as upstream, proxy(upstream.url, max_body=1000) as worker:
        answer = await talk(worker.port, request_bytes)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"x-router-error: body_too_large" in answer
        assert upstream.connections == 0
        assert (await ask(worker.port, post(bytes(1000)))).status == 200


async def test_a_chunked_body_is_refused_where_it_grows_too_large() -> None:
    async with model("a") as upstream, proxy(upstream.url, max_body=1000) as worker:
        reader, writer = await connect(worker.port)
        writer.write(CHUNKED + b"3e8\r\n" + bytes(1000) + b"\r\n")
        await until(lambda: upstream.connections == 1)
        writer.write(b"1\r\nx\r\n")
        assert (await read_answer(reader)).status == 413
        assert upstream.requests == []
        writer.close()


# Readers


@pytest.fixture(scope="module")
def endless() -> Upstream:
    """Answers without an end."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader) is not None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\n")
            while True:
                writer.write(bytes(1 << 16))
                await writer.drain()

    return Upstream(handler)


async def test_a_client_that_takes_nothing_is_cut_off_and_its_version_not_blamed(endless: Upstream) -> None:
    async with endless as upstream, proxy(upstream.url, clients=ClientLimits(write_timeout=0.5)) as worker:
        reader, writer = await connect(worker.port)
        reading(writer).pause_reading()
        writer.write(get())
        await until(lambda: worker.events.get(("router_router_errors_total", "client_stalled")) == 1)
        await until(lambda: not upstream._writers, what="the upstream's connection closed")
        series = worker.series["d", "v1", "live"]
        assert (series.codes, series.broken) == ({200: 1}, 0)
        writer.close()
        del reader


async def test_a_client_that_takes_a_little_goes_on(endless: Upstream) -> None:
    async with endless as upstream, proxy(upstream.url, clients=ClientLimits(write_timeout=1.0)) as worker:
        reader, writer = await connect(worker.port)
        writer.write(get())
        taken = 0
        for _ in range(25):
            taken += len(await reader.read(200_000))
            await asyncio.sleep(0.1)
        assert taken > 20_000
        assert upstream._writers
        assert ("router_router_errors_total", "client_stalled") not in worker.events
        writer.close()


async def test_requests_of_a_client_that_takes_no_answers_wait() -> None:
    """Else what it never takes would gather without bound, one answer for each request it sends."""
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + bytes(1_000_000)
    async with scripted(answer) as upstream, proxy(upstream.url) as worker:
        reader, writer = await connect(worker.port)
        reading(writer).pause_reading()
        writer.write(get() * 60)
        await until(lambda: len(upstream.requests) > 2)
        seen = -1
        while seen != len(upstream.requests):
            seen = len(upstream.requests)
            await asyncio.sleep(0.3)
        assert seen < 20
        reading(writer).resume_reading()
        for _ in range(60):
            assert len((await read_answer(reader)).body) == 1_000_000
        writer.close()


# Connections


async def test_one_connection_too_many_is_told_so_and_closed() -> None:
    async with model("a") as upstream, proxy(upstream.url, clients=ClientLimits(connections=3)) as worker:
        inside = [await connect(worker.port) for _ in range(3)]
        reader, writer = await connect(worker.port)
        assert is_overloaded(await read_answer(reader))
        assert await reader.read() == b""
        writer.close()
        for reader, writer in inside:
            writer.write(get())
            assert (await read_answer(reader)).status == 200
        refused = ("router_connections_refused_total", "connections")
        await until(lambda: worker.events.get(refused) == 1)
        inside.pop()[1].close()

        async def let_in() -> bool:
            return (await ask(worker.port)).status == 200

        await eventually(let_in)
        for _, writer in inside:
            writer.close()


async def test_one_address_has_its_part_of_the_connections() -> None:
    limits = ClientLimits(connections_per_client=2)
    async with model("a") as upstream, proxy(upstream.url, clients=limits) as worker:
        inside = [await connect(worker.port) for _ in range(2)]
        assert is_overloaded(await ask(worker.port))
        reader, writer = await asyncio.open_connection("127.0.0.1", worker.port, local_addr=("127.0.0.2", 0))
        writer.write(get())
        assert (await read_answer(reader)).status == 200
        writer.close()
        inside.pop()[1].close()

        async def let_in() -> bool:
            return (await ask(worker.port)).status == 200

        await eventually(let_in)
        inside.pop()[1].close()


async def test_a_connection_stays_one_when_it_becomes_a_tunnel() -> None:
    upgraded = b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    limits = ClientLimits(connections=1, connections_per_client=1)
    async with scripted(upgraded) as upstream, WorkerUnderTest(clients=limits) as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        writer.write(get(b"/x", b"connection: upgrade", b"upgrade: websocket"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        assert is_overloaded(await ask(worker.port))
        writer.close()

        async def let_in() -> bool:
            return (await ask(worker.port)).status != 503

        await eventually(let_in)


async def test_a_worker_never_runs_out_of_descriptors() -> None:
    async with (
        model("a") as upstream,
        WorkerUnderTest(descriptors=150, clients=ClientLimits(connections=1000)) as worker,
    ):
        await worker.publish(deployment({"v1": upstream.url}))
        assert (await ask(worker.port)).status == 200
        crowd = [await connect(worker.port) for _ in range(200)]
        refused = ("router_connections_refused_total", "descriptors")
        await until(lambda: worker.events.get(refused, 0) > 50)
        reader, writer = crowd[0]
        writer.write(get())
        assert (await read_answer(reader)).status == 200, (
            "the ones inside are served, with upstreams of their own"
        )
        for _, writer in crowd:
            writer.close()

        async def let_in() -> bool:
            try:
                return (await ask(worker.port)).status == 200
            except (OSError, asyncio.IncompleteReadError):
                return False

        await eventually(let_in)
        assert worker.process.returncode is None


async def test_without_a_limit_of_its_own_a_worker_leaves_descriptors_for_upstreams() -> None:
    async with model("a") as upstream, WorkerUnderTest(descriptors=264) as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        crowd = [await connect(worker.port) for _ in range(100)]
        await until(lambda: worker.events.get(("router_connections_refused_total", "connections"), 0) == 20)
        for _, writer in crowd:
            writer.close()


async def test_a_worker_short_of_memory_turns_requests_away_and_keeps_its_connections() -> None:
    async with model("a") as upstream, proxy(upstream.url, clients=ClientLimits(memory=1)) as worker:
        reader, writer = await connect(worker.port)

        async def turned_away() -> bool:
            writer.write(get())
            answer = await read_answer(reader)
            return answer.status == 503 and is_overloaded(answer)

        await eventually(turned_away)
        worker.clients = ClientLimits(memory=1 << 40)
        await worker.publish(deployment({"v1": upstream.url}))

        async def served() -> bool:
            return not await turned_away()

        await eventually(served)
        assert worker.events["router_router_errors_total", "overloaded"] >= 1
        writer.close()


async def test_requests_beyond_the_pipelining_depth_are_refused_in_their_turn() -> None:
    async with model("a") as upstream, proxy(upstream.url, clients=ClientLimits(pipelined=4)) as worker:
        answer = await talk(worker.port, get() * 10)
        assert answer.count(b"HTTP/1.1 200 ") == 5
        assert answer.count(b"HTTP/1.1 503 ") == 1
        assert answer.rindex(b"503") > answer.rindex(b"HTTP/1.1 200 ")
        assert len(upstream.requests) == 5


async def test_a_client_that_hangs_up_is_noticed_though_nothing_is_read_from_it() -> None:
    async with model("a", delay=30) as upstream, proxy(upstream.url) as worker:
        reader, writer = await connect(worker.port)
        writer.write(get() * 3)
        await until(lambda: len(upstream.requests) == 1)
        writer.close()
        await until(lambda: worker.code_counts("v1") == {499: 1}, timeout=15)
        del reader


# Requests in flight


async def test_requests_beyond_the_limit_wait_their_turn() -> None:
    async with (
        model("a", delay=0.3) as upstream,
        proxy(
            upstream.url, versions=limited(upstream.url, in_flight=2, queue=3, queue_timeout=10.0)
        ) as worker,
    ):
        answers = await asyncio.gather(*(ask(worker.port) for _ in range(8)))
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
        first, second = await asyncio.gather(ask(worker.port), timed(lambda: ask(worker.port), 0.05))
        assert first.status == 200
        assert is_overloaded(second)
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
            first, second = await asyncio.gather(ask(worker.port), timed(lambda: ask(worker.port), 0.1))
            assert first.status == 200
            assert is_overloaded(second)
            assert worker.ejected == ()


# What model servers may not do


async def test_the_head_of_an_answer_is_limited() -> None:
    def answer(size: int) -> bytes:
        return b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: %b\r\n\r\n" % (b"a" * size)

    async with (
        scripted(answer(4000), answer(9000)) as upstream,
        proxy(upstream.url, answer_head=8192) as worker,
    ):
        assert (await ask(worker.port)).status == 200
        refused = await ask(worker.port)
        assert (refused.status, refused.fields[b"x-router-error"]) == (502, b"bad_upstream_answer")


async def test_retries_have_a_budget() -> None:
    async with proxy(refusing_url(), retry_budget=1000) as worker:
        for _ in range(100):
            assert (await ask(worker.port)).status == 502
        await until(lambda: worker.code_counts("v1") == {502: 100})
        assert 10 <= worker.events["router_retries_total", "d", "v1"] <= 20


def reading(writer: asyncio.StreamWriter) -> asyncio.Transport:
    """The reading side of a connection."""
    return cast(asyncio.Transport, writer.transport)


async def timed(action: Callable[[], Awaitable[Answer]], later: float) -> Answer:
    await asyncio.sleep(later)
    return await action()


async def eventually(condition: Callable[[], Awaitable[bool]], timeout: float = 10.0) -> None:
    """Until it holds."""
    async with asyncio.timeout(timeout):
        while not await condition():
            await asyncio.sleep(0.05)


# As the YAML says it


async def test_limits_of_the_yaml_hold_and_an_edit_changes_them(tmp_path: Path) -> None:
    async with model("a") as upstream:
        router = Router(
            tmp_path, {"m": in_yaml(v1=upstream.url, path="/**", more="limits: {body: 1KiB}")}, workers=1
        )
        router.extra = "limits: {target: 1KiB, connections: 50}\n"
        router.write()
        async with router:
            assert (await ask(router.port, get(b"/" + b"a" * 1024))).status == 414
            assert (await ask(router.port, post(bytes(1025)))).status == 413
            assert (await ask(router.port, post(bytes(1024)))).status == 200
            router.extra = "limits: {target: 2KiB, connections: 50}\n"
            router.deployments["m"] = in_yaml(v1=upstream.url, path="/**", more="limits: {body: 2KiB}")
            router.write()

            async def edited() -> bool:
                statuses = [
                    (await ask(router.port, request)).status
                    for request in (get(b"/" + b"a" * 1024), post(bytes(1025)))
                ]
                return statuses == [200, 200]

            await eventually(edited)
