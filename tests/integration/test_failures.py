"""What the data plane does when one of the two sides misbehaves: its faults, retries, fallbacks and ejections."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from router.patterns.plan import DeploymentPlan, Match, Plan, Timeouts, VersionSpec
from tests.support.ports import refusing_url
from tests.support.upstreams import Upstream, model, read_request, scripted
from tests.support.workers import (
    WorkerUnderTest,
    connect,
    deployment,
    get,
    post,
    read_answer,
    talk,
    until,
)

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict() -> AsyncIterator[tuple[WorkerUnderTest, Upstream]]:
    """One worker with its model for requests that never get there; that they do not is asked of each."""
    async with model("a") as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        yield worker, upstream


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("name", "request_bytes"),
    [
        ("no host", b"GET / HTTP/1.1\r\n\r\n"),
        ("two hosts", b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"),
        ("length and chunked",
         b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n"),
        ("two lengths", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd"),
        ("signed length", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n\r\nabc"),
        ("list of lengths", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3, 3\r\n\r\nabc"),
        ("odd coding", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ("coding twice",
         b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("obscured coding", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ("coding from 1.0", b"POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("bare line feeds", b"GET / HTTP/1.1\nhost: a\n\n"),
        ("space before colon", b"GET / HTTP/1.1\r\nhost : a\r\n\r\n"),
        ("folded field", b"GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n  2\r\n\r\n"),
        ("NUL in a value", b"GET / HTTP/1.1\r\nhost: a\r\nx: 1\x002\r\n\r\n"),
        ("bad name", b"GET / HTTP/1.1\r\nhost: a\r\nx(y): 1\r\n\r\n"),
        ("bad method", b"GE T / HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("HTTP/0.9", b"GET /\r\n\r\n"),
        ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("connect", b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n"),
        ("chunk size overflow",
         b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
        ("chunk garbage", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"),
        ("chunk without CR", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\nabc\n0\n\n"),
        ("nominated length", b"POST / HTTP/1.1\r\nhost: a\r\nconnection: content-length\r\ncontent-length: 1\r\n\r\na"),
        ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_an_ambiguous_request_is_refused_and_the_connection_closed(
    name: str, request_bytes: bytes, strict: tuple[WorkerUnderTest, Upstream]
) -> None:
    worker, upstream = strict
    answer = await talk(worker.port, request_bytes)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"x-router-error: bad_request\r\n" in answer
    assert b"connection: close\r\n" in answer
    problem = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert problem["status"] == 400
    assert problem["error"] == problem["detail"]
    # Chunked bodies may have begun when they turn out wrong; nothing of them is a request at the model.
    assert upstream.requests == []


async def test_heads_over_the_limit_are_refused() -> None:
    async with model("a") as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        big = await talk(worker.port, get(b"/x", b"x: " + b"y" * 70_000))
        many = await talk(worker.port, get(b"/x", *(b"x%d: 1" % n for n in range(300))))
        endless = await talk(worker.port, b"GET /x HTTP/1.1\r\nhost: t\r\nx: " + b"y" * 200_000)
        for answer in (big, many, endless):
            assert answer.startswith(b"HTTP/1.1 431 ")
            assert b"x-router-error: headers_too_large\r\n" in answer
        assert upstream.requests == []


async def test_an_error_waits_for_the_answers_before_it() -> None:
    async with model("a", delay=0.1) as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        answer = await talk(worker.port, get() + get() + b"nonsense\r\n\r\n")
        assert answer.count(b"HTTP/1.1 200 ") == 2
        assert answer.rindex(b"HTTP/1.1 200 ") < answer.index(b"HTTP/1.1 400 ")


async def test_no_route_says_so_and_keeps_the_connection() -> None:
    async with model("a") as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}, path="/only"))
        reader, writer = await connect(worker.port)
        for _ in range(2):
            writer.write(post(b"some body", path=b"/other"))
            answer = await read_answer(reader)
            assert (answer.status, answer.fields[b"x-router-error"]) == (404, b"no_route")
            assert answer.fields[b"content-type"] == b"application/problem+json"
        writer.write(get(b"/only"))
        assert (await read_answer(reader)).status == 200
        writer.close()
        await until(lambda: worker.code_counts("", name="") == {404: 2}, what="both counted")


async def test_a_refused_connection_is_a_502_with_its_reason() -> None:
    async with WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": refusing_url()}))
        reader, writer = await connect(worker.port)
        writer.write(get())
        answer = await read_answer(reader)
        assert (answer.status, answer.fields[b"x-router-error"]) == (502, b"connect_failed")
        assert b"can't connect to http://127.0.0.1" in answer.body
        await until(lambda: worker.events.get(("router_retries_total", "d", "v1")) == 1, what="one retry")
        writer.close()


async def test_a_dead_endpoint_is_skipped_by_the_retry_and_then_ejected() -> None:
    async with model("a") as upstream, WorkerUnderTest() as worker:
        dead = refusing_url()
        await worker.publish(deployment({"v1": (dead, upstream.url)}))
        reader, writer = await connect(worker.port)
        statuses = []
        for _ in range(60):
            writer.write(get())
            statuses.append((await read_answer(reader)).status)
        assert statuses.count(200) >= 50
        assert set(statuses[-20:]) == {200}
        await until(lambda: worker.ejected == (dead,), what="the ejection")
        writer.close()


async def test_an_unhealthy_endpoint_gets_nothing() -> None:
    async with model("a") as one, model("b") as other, WorkerUnderTest() as worker:
        both = deployment({"v1": (one.url, other.url)})
        await worker.publish(both)
        worker.down(one.url)
        await worker.publish(both)  # frames come in order: once this is in force, the word before it is
        reader, writer = await connect(worker.port)
        for _ in range(10):
            writer.write(get())
            assert (await read_answer(reader)).status == 200
        assert len(other.requests) == 10
        worker.down(one.url, other.url)
        await worker.publish(both)
        writer.write(get())
        answer = await read_answer(reader)
        assert (answer.status, answer.fields[b"x-router-error"]) == (503, b"no_endpoint")
        assert b"retry-after" in answer.fields
        worker.down()
        await worker.publish(both)
        writer.write(get())
        assert (await read_answer(reader)).status == 200
        writer.close()


async def test_a_reused_connection_that_dies_before_a_byte_is_retried() -> None:
    async with scripted(OK, None, OK) as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        for _ in range(2):
            writer.write(post(b"once"))
            assert (await read_answer(reader)).status == 200
        assert [seen.body for seen in upstream.requests] == [b"once"] * 3
        writer.close()


async def test_a_fresh_connection_that_dies_is_not_retried() -> None:
    async with scripted(None) as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        writer.write(post(b"once"))
        answer = await read_answer(reader)
        assert (answer.status, answer.fields[b"x-router-error"]) == (502, b"upstream_reset")
        assert len(upstream.requests) == 1
        writer.close()


async def test_a_server_that_closes_after_each_answer_costs_no_request() -> None:
    async with scripted(OK, then_close=True) as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        for _ in range(60):
            writer.write(get())
            assert (await read_answer(reader)).status == 200
        writer.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\ncontent-length: 2\r\n\r\nok",
    ],
)
async def test_a_bad_answer_is_a_502_and_its_connection_is_never_used_again(answer: bytes) -> None:
    async with scripted(answer, OK) as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        writer.write(get())
        bad = await read_answer(reader)
        assert (bad.status, bad.fields[b"x-router-error"]) == (502, b"bad_upstream_answer")
        writer.write(get())
        assert (await read_answer(reader)).body == b"ok"
        assert upstream.connections == 2
        writer.close()


async def test_bytes_after_an_answer_never_reach_the_next_client() -> None:
    async with (
        scripted(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", OK) as upstream,
        WorkerUnderTest() as worker,
    ):
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        for _ in range(2):
            writer.write(get())
            assert (await read_answer(reader)).body == b"ok"
        assert upstream.connections == 2
        writer.close()


@pytest.mark.parametrize(
    "broken",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nonly\r\n",
    ],
)
async def test_a_truncated_answer_is_recognisably_truncated(broken: bytes) -> None:
    async with scripted(broken, then_close=True) as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        writer.write(get())
        with pytest.raises(asyncio.IncompleteReadError):
            await read_answer(reader)
        writer.close()
        old_reader, old_writer = await connect(worker.port)
        old_writer.write(b"GET /x HTTP/1.0\r\n\r\n")
        if b"chunked" in broken:
            # Nothing in the bytes can say it to a client that reads to the end: only a reset does.
            with pytest.raises(ConnectionResetError):
                await old_reader.read(-1)
        old_writer.close()


async def test_an_answer_that_stalls_is_broken_off() -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun")
        await reader.read()
        gone.set()

    gone = asyncio.Event()
    async with Upstream(stall) as upstream, WorkerUnderTest() as worker:
        plain = deployment({"v1": upstream.url})
        await worker.publish(DeploymentPlan("d", plain.match, plain.versions, plain.plan, Timeouts(idle=0.2)))
        reader, writer = await connect(worker.port)
        writer.write(get())
        with pytest.raises(asyncio.IncompleteReadError):
            await read_answer(reader)
        async with asyncio.timeout(10):
            await gone.wait()
        writer.close()


async def test_an_upload_that_stalls_ends_with_408() -> None:
    async with model("a") as upstream, WorkerUnderTest() as worker:
        plain = deployment({"v1": upstream.url})
        await worker.publish(DeploymentPlan("d", plain.match, plain.versions, plain.plan, Timeouts(idle=0.2)))
        answer = await talk(worker.port, b"POST /x HTTP/1.1\r\nhost: t\r\ncontent-length: 10\r\n\r\nhalf")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"x-router-error: timeout" in answer


async def test_a_client_that_hangs_up_frees_its_model_at_once() -> None:
    freed = asyncio.Event()

    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        begun.set()
        await reader.read()
        freed.set()

    begun = asyncio.Event()
    async with Upstream(busy) as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        _, writer = await connect(worker.port)
        writer.write(get())
        await begun.wait()
        writer.close()
        async with asyncio.timeout(5):  # else the 30 seconds until the first byte
            await freed.wait()
        await until(lambda: worker.code_counts("v1") == {499: 1}, what="the hang-up counted")


async def test_an_early_answer_reaches_a_client_that_is_still_sending() -> None:
    async def impatient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await reader.read()

    async with Upstream(impatient) as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        writer.write(b"POST /x HTTP/1.1\r\nhost: t\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 1000)
        answer = await read_answer(reader)
        assert (answer.status, answer.body) == (413, b"big")
        assert answer.fields[b"connection"] == b"close"
        writer.write(b"x" * 1000)
        assert await reader.read() == b""
        writer.close()


async def one_request(worker: WorkerUnderTest) -> int:
    """The status of a request over a connection of its own."""
    reader, writer = await connect(worker.port)
    writer.write(get())
    answer = await read_answer(reader)
    writer.close()
    return answer.status


async def test_requests_over_the_limit_of_a_version_are_shed() -> None:
    async with model("a", delay=1.0) as upstream, WorkerUnderTest() as worker:
        limited = VersionSpec("v1", (upstream.url,), 0, 2)
        await worker.publish(DeploymentPlan("d", Match(path="/**"), (limited,), Plan(default="v1")))
        statuses = await asyncio.gather(*(one_request(worker) for _ in range(6)))
        assert sorted(statuses) == [200, 200, 503, 503, 503, 503]


async def test_a_limit_of_connections_makes_requests_wait_their_turn() -> None:
    async with model("a", delay=0.02) as upstream, WorkerUnderTest() as worker:
        limited = VersionSpec("v1", (upstream.url,), 2, 0, 64)
        await worker.publish(DeploymentPlan("d", Match(path="/**"), (limited,), Plan(default="v1")))
        assert set(await asyncio.gather(*(one_request(worker) for _ in range(12)))) == {200}
        assert upstream.connections == 2


FALLBACK = Plan(default="v1", candidate="v2", share=10_000, fallback="v1")


@pytest.mark.parametrize("failure", ["refused", "reset", "status", "timeout"])
async def test_stable_answers_where_the_candidate_could_not(failure: str) -> None:
    error = b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops"
    candidates: dict[str, Upstream] = {
        "refused": model("never"),
        "reset": scripted(None),
        "status": scripted(error),
        "timeout": model("late", delay=30),
    }
    async with model("stable") as stable, candidates[failure] as candidate, WorkerUnderTest() as worker:
        url = refusing_url() if failure == "refused" else candidate.url
        plain = deployment({"v1": stable.url, "v2": url}, FALLBACK)
        await worker.publish(
            DeploymentPlan("d", plain.match, plain.versions, plain.plan, Timeouts(first_byte=1.0))
        )
        reader, writer = await connect(worker.port)
        for number in range(3):
            writer.write(post(b"z" * number))
            answer = await read_answer(reader)
            assert answer.status == 200
            assert answer.fields[b"x-router-version"] == b"v1"
            assert json.loads(answer.body) == {"model": "stable", "got": number}
        await until(
            lambda: worker.events.get(("router_fallbacks_total", "d", "v2")) == 3, what="three fallbacks"
        )
        assert worker.code_counts("v1") == {200: 3}
        assert worker.code_counts("v2") == {}
        if failure == "status":
            assert candidate.connections == 1
        writer.close()


async def test_without_fallback_the_candidates_error_is_the_answer() -> None:
    async with model("a") as stable, model("b", status=500) as candidate, WorkerUnderTest() as worker:
        plan = Plan(default="v1", candidate="v2", share=10_000)
        await worker.publish(deployment({"v1": stable.url, "v2": candidate.url}, plan))
        reader, writer = await connect(worker.port)
        writer.write(get())
        answer = await read_answer(reader)
        assert (answer.status, answer.fields[b"x-router-version"]) == (500, b"v2")
        writer.close()
