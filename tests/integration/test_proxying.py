"""The data plane on real sockets: what a client sends arrives, what a model answers comes back."""

import asyncio
import json

import pytest
from msgspec.structs import replace

from router.patterns.plan import DeploymentPlan, Timeouts
from tests.support.upstreams import Upstream, model, read_request, scripted
from tests.support.workers import WorkerUnderTest, connect, deployment, get, post, read_answer, talk, until


async def test_a_request_arrives_as_it_was_sent_and_the_answer_comes_back() -> None:
    async with model("a") as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        writer.write(
            b"POST /v2/models/loan%2Fx//infer:predict?q=%20a&b=1 HTTP/1.1\r\nHost: models.example:81\r\n"
            b"X-One: 1\r\nx-two: b\r\nX-One: 2\r\nTraceParent: 00-abc-def-01\r\nContent-Length: 5\r\n"
            b"Inference-Header-Content-Length: 3\r\nConnection: keep-alive, X-Secret\r\nX-Secret: s\r\n"
            b"Keep-Alive: timeout=5\r\nTE: trailers\r\nX-Router-Shadow: forged\r\n\r\nhello"
        )
        answer = await read_answer(reader)
        seen = upstream.requests[0]
        assert answer.status == 200
        assert json.loads(answer.body) == {"model": "a", "got": 5}
        assert answer.fields[b"x-router-version"] == b"v1"
        assert seen.line == b"POST /v2/models/loan%2Fx//infer:predict?q=%20a&b=1 HTTP/1.1"
        assert seen.body == b"hello"
        assert [f for f in seen.fields if f[0].lower() in (b"x-one", b"x-two")] == [
            (b"X-One", b"1"),
            (b"x-two", b"b"),
            (b"X-One", b"2"),
        ]
        assert seen.get(b"traceparent") == b"00-abc-def-01"
        assert seen.get(b"inference-header-content-length") == b"3"
        assert seen.get(b"host") == upstream.url.removeprefix("http://").encode()
        assert seen.get(b"x-forwarded-host") == b"models.example:81"
        assert seen.get(b"x-forwarded-for") == b"127.0.0.1"
        assert seen.get(b"x-forwarded-proto") == b"http"
        assert seen.get(b"x-request-id") == answer.fields[b"x-request-id"]
        for gone in (b"connection", b"keep-alive", b"te", b"x-secret", b"via", b"x-router-shadow"):
            assert seen.get(gone) is None
        writer.close()


async def test_the_clients_request_id_and_forwarded_chain_are_kept() -> None:
    async with model("a") as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        writer.write(
            get(
                b"/",
                b"X-Request-ID: mine",
                b"X-Forwarded-For: 10.0.0.8",
                b"X-Forwarded-For: 10.0.0.9",
                b"X-Forwarded-Proto: https",
            )
        )
        answer = await read_answer(reader)
        seen = upstream.requests[0]
        assert answer.fields[b"x-request-id"] == b"mine"
        assert [value for name, value in seen.fields if name.lower() == b"x-request-id"] == [b"mine"]
        assert seen.get(b"x-forwarded-for") == b"10.0.0.8, 10.0.0.9, 127.0.0.1"
        assert seen.get(b"x-forwarded-proto") == b"https"
        writer.close()


async def test_connections_are_kept_on_both_sides() -> None:
    async with model("a") as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        for number in range(20):
            writer.write(post(b"x" * number))
            assert json.loads((await read_answer(reader)).body)["got"] == number
        assert upstream.connections == 1
        writer.close()


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with model("a") as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        writer.write(b"".join(post(b"y" * size) for size in range(1, 200)))
        for size in range(1, 200):
            assert json.loads((await read_answer(reader)).body)["got"] == size
        writer.close()


async def test_every_split_of_a_request_is_understood_alike() -> None:
    head = b"POST /x HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"
    request = head + b"3;e=1\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n"
    async with model("a") as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        for split in range(1, len(request)):
            writer.write(request[:split])
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(request[split:])
            assert json.loads((await read_answer(reader)).body)["got"] == 5
        assert all(seen.body == b"abcde" for seen in upstream.requests)
        assert all(seen.get(b"t") is None for seen in upstream.requests)
        writer.close()


async def test_head_requests_and_bodyless_statuses() -> None:
    answers = (
        b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 70\r\netag: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    )
    async with scripted(*answers) as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        writer.write(b"HEAD /x HTTP/1.1\r\nhost: t\r\n\r\n")
        head = await read_answer(reader, to_head=True)
        assert (head.status, head.fields[b"content-length"]) == (200, b"500")
        for status in (204, 304):
            writer.write(get())
            assert (await read_answer(reader)).status == status
        writer.write(get())
        assert (await read_answer(reader)).body == b"ok"
        assert upstream.connections == 1
        writer.close()


async def test_a_chunked_answer_stays_chunked_and_an_event_leaves_as_it_arrives() -> None:
    more = asyncio.Event()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        writer.write(b"9\r\ndata: 1\n\n\r\n")
        await more.wait()
        writer.write(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")
        await reader.read()

    async with Upstream(stream) as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        writer.write(get())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        assert await reader.readexactly(14) == b"9\r\ndata: 1\n\n\r\n"
        more.set()
        assert await reader.readexactly(19) == b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"
        writer.close()


async def test_an_answer_that_ends_with_its_connection_is_chunked_for_a_new_client() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nto the end"
    async with scripted(answer, then_close=True) as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        for _ in range(2):
            writer.write(get())
            got = await read_answer(reader)
            assert (got.fields[b"transfer-encoding"], got.body) == (b"chunked", b"to the end")
        writer.close()


async def test_an_old_client_gets_a_body_that_ends_with_the_connection() -> None:
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
    async with scripted(answer) as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        got = await talk(worker.port, b"GET /x HTTP/1.0\r\n\r\n")
        head, _, body = got.partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head
        assert body == b"abcde"
        kept = await talk(worker.port, b"GET /x HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        assert kept.endswith(b"abcde")


async def test_an_old_client_may_keep_its_connection() -> None:
    async with model("a") as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        for _ in range(3):
            writer.write(b"GET /x HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
            got = await read_answer(reader)
            assert got.fields[b"connection"] == b"keep-alive"
        writer.close()


async def test_connection_close_is_honoured() -> None:
    async with model("a") as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        got = await talk(worker.port, get(b"/x", b"connection: close"))
        assert got.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in got


async def test_expect_100_continue_is_asked_of_the_model() -> None:
    async def patient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"expect: 100-continue" in head.lower()
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(4)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n" + body)
        await reader.read()

    async with Upstream(patient) as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        writer.write(b"POST /x HTTP/1.1\r\nhost: t\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body")
        assert (await read_answer(reader)).body == b"body"
        writer.close()


async def test_large_bodies_stream_both_ways_in_bounded_memory() -> None:
    size = 96 << 20

    async def echo_size(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        left = size
        while left:
            left -= len(await reader.read(1 << 18))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size >> 20):
            writer.write(bytes(1 << 20))
            await writer.drain()
        await reader.read()

    async with Upstream(echo_size) as upstream, WorkerUnderTest() as worker:
        await worker.publish(replace(deployment({"v1": upstream.url}), max_body=0))
        reader, writer = await connect(worker.port)
        before = _rss(worker.process.pid)
        writer.write(b"POST /x HTTP/1.1\r\nhost: t\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size >> 20):
            writer.write(bytes(1 << 20))
            await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.2)  # a slow reader: what it does not take must stay with the model
        left = size
        while left:
            left -= len(await reader.read(1 << 20))
        assert _rss(worker.process.pid) - before < 24 << 20
        writer.close()


def _rss(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * 4096


async def test_base_paths_and_ipv6_endpoints() -> None:
    upstream = model("a")
    upstream.host = "::1"
    async with upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": f"http://[::1]:{upstream.port}/base/"}))
        reader, writer = await connect(worker.port)
        writer.write(get(b"/x?y"))
        assert (await read_answer(reader)).status == 200
        assert upstream.requests[0].line == b"GET /base/x?y HTTP/1.1"
        writer.close()


async def test_names_are_resolved() -> None:
    async with model("a") as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": f"http://localhost:{upstream.port}"}))
        reader, writer = await connect(worker.port)
        writer.write(get())
        assert (await read_answer(reader)).status == 200
        writer.close()


async def test_absolute_targets_name_the_host() -> None:
    async with model("a") as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        writer.write(b"GET http://real.example/p?q HTTP/1.1\r\nhost: other\r\n\r\n")
        assert (await read_answer(reader)).status == 200
        assert upstream.requests[0].line == b"GET /p?q HTTP/1.1"
        assert upstream.requests[0].get(b"x-forwarded-host") == b"real.example"
        writer.close()


async def test_endpoints_share_the_load_and_the_busier_one_gets_less() -> None:
    async with model("slow", delay=0.05) as slow, model("fast") as fast, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": (slow.url, fast.url)}))

        async def client() -> None:
            reader, writer = await connect(worker.port)
            for _ in range(25):
                writer.write(get())
                assert (await read_answer(reader)).status == 200
            writer.close()

        await asyncio.gather(*(client() for _ in range(8)))
        assert len(slow.requests) + len(fast.requests) == 200
        assert len(fast.requests) > 2 * len(slow.requests) > 0


async def test_counts_agree_with_what_the_client_saw() -> None:
    async with (
        scripted(b"HTTP/1.1 418 T\r\ncontent-length: 0\r\n\r\n") as upstream,
        WorkerUnderTest() as worker,
    ):
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        for _ in range(7):
            writer.write(get())
            assert (await read_answer(reader)).status == 418
        await until(lambda: worker.code_counts("v1") == {418: 7}, what="seven counted")
        series = worker.series[("d", "v1", "live")]
        assert sum(series.duration.counts.values()) == sum(series.first_byte.counts.values()) == 7
        assert series.in_flight == 0
        writer.close()


@pytest.mark.parametrize("close_idle", [True, False])
async def test_draining_finishes_what_is_in_flight(close_idle: bool) -> None:
    async with model("a", delay=0.3) as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        writer.write(get())
        await until(lambda: upstream.requests, what="the request at the model")
        drained = asyncio.create_task(worker.drain(close_idle=close_idle))
        answer = await read_answer(reader)
        assert (answer.status, answer.fields[b"connection"]) == (200, b"close")
        await drained
        assert worker.process.returncode == 0
        assert await reader.read() == b""


async def test_timeouts_of_a_deployment_are_its_own() -> None:
    async with model("a", delay=30) as upstream, WorkerUnderTest() as worker:
        slow = deployment({"v1": upstream.url})
        quick = DeploymentPlan(slow.name, slow.match, slow.versions, slow.plan, Timeouts(first_byte=0.2))
        await worker.publish(quick)
        reader, writer = await connect(worker.port)
        started = asyncio.get_running_loop().time()
        writer.write(get())
        answer = await read_answer(reader)
        assert answer.status == 504
        assert answer.fields[b"x-router-error"] == b"timeout"
        assert 0.15 < asyncio.get_running_loop().time() - started < 10.0
        writer.close()
