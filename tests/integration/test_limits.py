"""The limits of heads, bodies and answers, tried on a real worker: each, and its other side."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from router.patterns.limits import ClientLimits
from tests.support.limited import ask, eventually, proxy
from tests.support.ports import refusing_url
from tests.support.routers import Router
from tests.support.routers import deployment as in_yaml
from tests.support.upstreams import Upstream, model, scripted
from tests.support.workers import (
    connect,
    get,
    post,
    read_answer,
    talk,
    until,
)

CHUNKED = b"POST /x HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"


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
