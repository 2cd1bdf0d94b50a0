"""Memory is bounded by what is connected, and not by what is sent: measured on a real worker."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from router.patterns.limits import ClientLimits
from router.patterns.plan import Timeouts
from tests.support.upstreams import Upstream, model, read_request
from tests.support.workers import WorkerUnderTest, connect, deployment, get, read_answer, until

pytestmark = pytest.mark.slow

MIB = 1 << 20
GIB = 1 << 30


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """This process is client and model server of thousands of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def memory(pid: int, field: str = "VmRSS") -> int:
    """Bytes: resident now, or at most so far (`VmHWM`)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"no {field}")


def told(what: str, used: int) -> None:
    """For the table in docs/behaviour.md: shown with `pytest -s`."""
    print(f"{what}: {used / MIB:.1f} MiB")


async def test_a_body_of_a_gibibyte_each_way() -> None:
    async def sink_and_source(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        left = GIB
        while left:
            left -= len(await reader.read(MIB))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % GIB)
        for _ in range(GIB // MIB):
            writer.write(bytes(MIB))
            await writer.drain()
        await reader.read()

    async with Upstream(sink_and_source) as upstream, WorkerUnderTest() as worker:
        await worker.publish(replace(deployment({"v1": upstream.url}), max_body=0))
        before = memory(worker.process.pid)
        reader, writer = await connect(worker.port)
        writer.write(b"POST /x HTTP/1.1\r\nhost: t\r\ncontent-length: %d\r\n\r\n" % GIB)
        for _ in range(GIB // MIB):
            writer.write(bytes(MIB))
            await writer.drain()
        await reader.readuntil(b"\r\n\r\n")
        left = GIB
        while left:
            left -= len(await reader.read(MIB))
        used = memory(worker.process.pid, "VmHWM") - before
        told("1 GiB each way", used)
        assert used < 16 * MIB
        writer.close()


async def test_readers_that_never_read() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
            await writer.drain()

    async with (
        Upstream(endless) as upstream,
        WorkerUnderTest(clients=ClientLimits(write_timeout=5.0)) as worker,
    ):
        await worker.publish(deployment({"v1": upstream.url}))
        before = memory(worker.process.pid)
        stalled = [socket.create_connection(("127.0.0.1", worker.port)) for _ in range(50)]
        for sock in stalled:
            sock.sendall(get())
        await asyncio.sleep(3)
        used = memory(worker.process.pid, "VmHWM") - before
        told("50 readers that never read", used)
        assert used < 50 * MIB
        await until(lambda: worker.code_counts("v1") == {200: 50}, timeout=20, what="all of them cut off")
        for sock in stalled:
            sock.close()


@pytest.mark.parametrize("requests", [0, 1], ids=["fresh", "used"])
async def test_ten_thousand_idle_connections(requests: int) -> None:
    crowd = 8_000 if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 10_300 else 10_000
    limits = ClientLimits(connections=11_000, head_timeout=120.0, keep_alive=120.0)
    async with model("a") as upstream, WorkerUnderTest(clients=limits) as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        for _ in range(100):
            reader, writer = await connect(worker.port)
            writer.write(get())
            await read_answer(reader)
            writer.close()
        before = memory(worker.process.pid)

        def gather() -> list[socket.socket]:
            idle = []
            for _ in range(crowd):
                sock = socket.create_connection(("127.0.0.1", worker.port))
                idle.append(sock)
                for _ in range(requests):
                    sock.sendall(get())
                    assert sock.recv(4096).startswith(b"HTTP/1.1 200")
            return idle

        idle = await asyncio.to_thread(gather)
        reader, writer = await connect(worker.port)
        writer.write(get())
        assert (await read_answer(reader)).status == 200
        used = memory(worker.process.pid) - before
        told(f"{crowd} idle connections, {requests} requests each: {used // crowd} bytes each", used)
        assert used / crowd < 8192
        assert not any(key[0] == "router_connections_refused_total" for key in worker.events)
        for sock in idle:
            sock.close()
        writer.write(get())
        assert (await read_answer(reader)).status == 200
        writer.close()


async def test_two_thousand_requests_that_a_model_server_never_answers() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    limits = ClientLimits(connections=3000)
    async with Upstream(silent) as upstream, WorkerUnderTest(clients=limits) as worker:
        plan = deployment({"v1": upstream.url})
        await worker.publish(replace(plan, timeouts=Timeouts(connect=30.0, first_byte=8.0), retries=0))
        before = memory(worker.process.pid)
        waiting = []
        for _ in range(2000):
            reader, writer = await connect(worker.port)
            writer.write(get())
            waiting.append((reader, writer))
        await until(lambda: upstream.connections == 2000, timeout=30, what="all of them sent")
        used = memory(worker.process.pid) - before
        told(f"2000 stalled upstreams: {used // 2000} bytes each", used)
        assert used < 60 * MIB
        for reader, writer in waiting:
            assert (await read_answer(reader)).status == 504
            writer.close()
        await until(lambda: worker.code_counts("v1") == {504: 2000})
        assert worker.series["d", "v1", "live"].in_flight == 0
