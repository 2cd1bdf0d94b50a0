"""Websockets through a real worker, with a real library at both ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.support import workers
from tests.support.upstreams import Upstream, read_request
from tests.support.workers import WorkerUnderTest, deployment, read_answer, until


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        if message == "bye":
            await connection.close(4001, "bye yourself")
            return
        await connection.send(message)


def gate(connection: ServerConnection, request: Request) -> Response | None:
    """Only /ws is a websocket."""
    if request.path == "/ws":
        return None
    return connection.respond(HTTPStatus.FORBIDDEN, "not here\n")


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[WorkerUnderTest, str]]:
    """A worker in front of an echo server, and its websocket URL."""
    async with (
        serve(echo, "127.0.0.1", 0, process_request=gate, max_size=None) as server,
        WorkerUnderTest() as worker,
    ):
        port = next(iter(server.sockets)).getsockname()[1]
        await worker.publish(deployment({"v1": f"http://127.0.0.1:{port}"}))
        yield worker, f"ws://127.0.0.1:{worker.port}/ws"


async def test_text_binary_and_large_messages_come_back() -> None:
    async with echoing() as (worker, url), connect(url, max_size=None, compression=None) as client:
        for message in ("hello", b"\x00\x01\xff", "é" * 300_000, bytes(3 << 20), ""):
            await client.send(message)
            assert await client.recv() == message
        assert client.response is not None
        assert client.response.headers["x-router-version"] == "v1"
        await client.close()
        await until(lambda: worker.code_counts("v1") == {101: 1}, what="the tunnel counted at its end")
        assert worker.series[("d", "v1", "live")].in_flight == 0


async def test_compression_is_negotiated_end_to_end() -> None:
    async with echoing() as (_, url), connect(url) as client:
        assert client.response is not None
        assert "permessage-deflate" in client.response.headers["sec-websocket-extensions"]
        await client.send("a" * 1000)
        assert await client.recv() == "a" * 1000


@pytest.mark.parametrize("who", ["client", "server"])
async def test_either_side_may_close_and_the_other_learns_why(who: str) -> None:
    async with echoing() as (worker, url), connect(url) as client:
        if who == "client":
            await client.close(4000, "enough")
            assert (client.close_code, client.close_reason) == (4000, "enough")
        else:
            await client.send("bye")
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert (client.close_code, client.close_reason) == (4001, "bye yourself")
        await until(lambda: worker.code_counts("v1") == {101: 1}, what="the end of the tunnel")


async def test_a_client_that_drops_its_connection_frees_the_server() -> None:
    async with echoing() as (worker, url):
        client = await connect(url)
        client.transport.abort()
        await until(lambda: worker.code_counts("v1") == {101: 1}, what="the end of the tunnel")


async def test_many_at_once() -> None:
    async def talk(client: ClientConnection, number: int) -> None:
        for each in range(20):
            await client.send(f"{number}-{each}")
            assert await client.recv() == f"{number}-{each}"

    async with echoing() as (_, url):
        clients = await asyncio.gather(*(connect(url) for _ in range(10)))
        await asyncio.gather(*(talk(client, number) for number, client in enumerate(clients)))
        await asyncio.gather(*(client.close() for client in clients))


async def test_a_declined_upgrade_leaves_the_connection_for_requests() -> None:
    upgrade = workers.get(
        b"/no", b"connection: Upgrade", b"upgrade: websocket", b"sec-websocket-version: 13",
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    )  # fmt: skip

    async def declining(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (seen := await read_request(reader)) is not None:
            upstream.requests.append(seen)
            writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 4\r\n\r\nnope")

    upstream = Upstream(declining)
    async with upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await workers.connect(worker.port)
        for pieces in ([upgrade], [upgrade, workers.get()], [workers.get()]):
            writer.write(b"".join(pieces))
            for _ in pieces:
                assert (await read_answer(reader)).body == b"nope"
        assert [seen.get(b"upgrade") for seen in upstream.requests] == [
            b"websocket",
            b"websocket",
            None,
            None,
        ]
        writer.close()


async def test_a_client_that_does_not_read_holds_back_its_server() -> None:
    sent = 0

    async def flood(connection: ServerConnection) -> None:
        nonlocal sent
        while True:
            await connection.send(bytes(1 << 16))
            sent += 1 << 16

    async with serve(flood, "127.0.0.1", 0, compression=None) as server, WorkerUnderTest() as worker:
        port = next(iter(server.sockets)).getsockname()[1]
        await worker.publish(deployment({"v1": f"http://127.0.0.1:{port}"}))
        client = await connect(f"ws://127.0.0.1:{worker.port}/", compression=None)
        client.transport.pause_reading()
        before = -1
        while before != sent:  # until the flood stands still
            before = sent
            await asyncio.sleep(0.3)
        assert 0 < sent < 48 << 20
        with open(f"/proc/{worker.process.pid}/statm") as statm:
            assert int(statm.read().split()[1]) * 4096 < 100 << 20
        client.transport.abort()
        await until(lambda: worker.code_counts("v1") == {101: 1}, what="the end of the tunnel")
