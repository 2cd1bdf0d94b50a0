"""The last answer on a connection reaches a client that is still sending: nothing resets it on the way."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
from msgspec.structs import replace

from router.patterns.limits import ClientLimits
from tests.support.upstreams import Upstream, model
from tests.support.workers import WorkerUnderTest, connect, deployment, get

TLS = Path(__file__).parents[1] / "support" / "tls"
CERT, KEY = str(TLS / "cert.pem"), str(TLS / "key.pem")

MORE = b"x" * (8 << 20)
"""More than all buffers on the way hold."""


def asking(port: int, request: bytes, *, tls: bool = False) -> socket.socket:
    """A simple client that has sent its request; its answer is on the way."""
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    if tls:
        client = ssl.create_default_context(cafile=CERT).wrap_socket(client, server_hostname="localhost")
    client.sendall(request)
    assert client.recv(1) == b"H"
    return client


def stubborn(port: int, request: bytes, more: bytes, *, tls: bool = False) -> bytes:
    """What it gets when it says all it has to say before it reads."""
    with asking(port, request, tls=tls) as client:
        for at in range(0, len(more), 1 << 16):
            client.sendall(more[at : at + (1 << 16)])
        got = b"H"
        while data := client.recv(1 << 16):
            got += data
        return got


CASES = {
    "close, and more requests": (get(b"/x", b"connection: close"), get() * 10_000, b"200"),
    "close, and nonsense": (get(b"/x", b"connection: close"), MORE, b"200"),
    "HTTP/1.0": (b"GET /x HTTP/1.0\r\n\r\n", MORE, b"200"),
    "malformed": (b"GET /x HTTP/1.1\r\n\r\n", MORE, b"400"),
    "too large": (b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 9000000\r\n\r\n", MORE, b"413"),
    "a head too large": (get(b"/x", b"x: " + b"y" * 70_000), MORE, b"431"),
}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("case", CASES)
async def test_it_arrives_whole(case: str, tls: bool) -> None:
    request, more, status = CASES[case]
    cert, key = (CERT, KEY) if tls else ("", "")
    async with model("a") as upstream, WorkerUnderTest(cert=cert, key=key) as worker:
        await worker.publish(replace(deployment({"v1": upstream.url}), max_body=1 << 20))
        got = await asyncio.to_thread(stubborn, worker.port, request, more, tls=tls)
        head, _, body = got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 " + status)
        assert b"content-length: %d\r\n" % len(body) in head
        assert len(upstream.requests) == (status == b"200")


async def test_who_is_turned_away_hears_why() -> None:
    async with model("a") as upstream, WorkerUnderTest(clients=ClientLimits(connections=1)) as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        _, writer = await connect(worker.port)
        got = await asyncio.to_thread(stubborn, worker.port, get() * 100, MORE[: 1 << 20])
        assert got.startswith(b"HTTP/1.1 503 ")
        writer.close()


async def test_an_answer_to_a_body_that_is_not_wanted_arrives_too() -> None:
    """From a model server that answers at the head, closes, and so resets what it has not read."""

    async def unwilling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbig")
        writer.close()

    request = b"POST /x HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(MORE)
    async with Upstream(unwilling) as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        for _ in range(12):
            got = await asyncio.to_thread(stubborn, worker.port, request + MORE, b"")
            assert got.startswith(b"HTTP/1.1 413 "), got


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_client_that_reacts_to_nothing_is_not_waited_for(tls: bool) -> None:
    """Neither behind its last answer nor idle, when the worker drains: each for a moment only."""
    requests = (get(), get(b"/x", b"connection: close"), b"nonsense\r\n\r\n")
    cert, key = (CERT, KEY) if tls else ("", "")
    async with model("a") as upstream, WorkerUnderTest(cert=cert, key=key) as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        clients = [await asyncio.to_thread(asking, worker.port, request, tls=tls) for request in requests]
        began = asyncio.get_running_loop().time()
        await worker.drain(25.0)
        assert asyncio.get_running_loop().time() - began < 15
        for client in clients:
            client.close()
