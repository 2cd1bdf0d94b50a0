"""How many clients may be connected, how deep they may pipeline and how little they may take."""

import asyncio

import pytest

from router.patterns.limits import ClientLimits
from tests.support.limited import ask, eventually, is_overloaded, proxy, reading
from tests.support.upstreams import Upstream, model, read_request, scripted
from tests.support.workers import (
    WorkerUnderTest,
    connect,
    deployment,
    get,
    read_answer,
    talk,
    until,
)

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
