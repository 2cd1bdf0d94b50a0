"""Copies: they leave, they are recorded, and nothing they do touches the live answer."""

import asyncio
from pathlib import Path

import pytest

from router.patterns.plan import Copies, Plan
from tests.support.upstreams import Upstream, model, read_request, scripted
from tests.support.workers import WorkerUnderTest, connect, deployment, get, post, read_answer, until


def shadowing(
    *shadows: str, sample: int = 10_000, in_flight: int = 64, max_body: int = 1 << 20, timeout: float = 5.0
) -> Plan:
    return Plan(default="v1", copies=Copies(sample, {"v1": shadows}, timeout, in_flight, max_body))


async def test_both_halves_of_a_pair_reach_the_recorder() -> None:
    async with model("a") as live, model("b") as shadow, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": live.url, "v2": shadow.url}, shadowing("v2")))
        reader, writer = await connect(worker.port)
        writer.write(
            post(
                b"hello",
                b"X-Request-ID: r1",
                b"traceparent: 00-a-b-01",
                b"expect: 100-continue",
                path=b"/m?q",
            )
        )
        answer = await read_answer(reader)
        await until(lambda: len(worker.captures) == 2, what="two halves")
        primary, copy = sorted(worker.captures, key=lambda capture: capture.role)
        assert primary.exchange == copy.exchange
        assert (primary.id, copy.id, primary.copies, copy.copies) == ("r1", "r1", ("v2",), ())
        assert primary.request is not None
        assert (primary.request.method, primary.request.target) == (b"POST", b"/m?q")
        assert primary.request.message.body == b"hello"
        assert (primary.answer.version, primary.answer.status, primary.answer.error) == ("v1", 200, "")
        assert primary.answer.message.body == answer.body == b'{"model": "a", "got": 5}'
        assert (copy.answer.version, copy.answer.endpoint) == ("v2", shadow.url)
        assert copy.answer.message.body == b'{"model": "b", "got": 5}'
        assert copy.answer.latency_ms >= copy.answer.first_byte_ms > 0
        sent = shadow.requests[0]
        assert sent.line == b"POST /m?q HTTP/1.1"
        assert sent.get(b"x-router-shadow") == b"v2"
        assert sent.get(b"x-request-id") == b"r1"
        assert sent.get(b"traceparent") == b"00-a-b-01"
        assert sent.get(b"expect") is None
        assert live.requests[0].get(b"x-router-shadow") is None
        assert b"x-router-shadow" not in answer.fields
        writer.close()


async def test_chunked_requests_are_copied_whole() -> None:
    async with model("a") as live, model("b") as shadow, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": live.url, "v2": shadow.url}, shadowing("v2")))
        reader, writer = await connect(worker.port)
        writer.write(b"POST /x HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await until(lambda: live.connections, what="the live request under way")
        writer.write(b"2\r\nde\r\n0\r\n\r\n")
        assert (await read_answer(reader)).status == 200
        await until(lambda: len(worker.captures) == 2, what="two halves")
        assert shadow.requests[0].body == live.requests[0].body == b"abcde"
        primary = next(capture for capture in worker.captures if capture.role == "primary")
        assert primary.request is not None
        assert primary.request.message.body == b"abcde"
        writer.close()


async def test_a_sample_is_copied_to_several_shadows_alike() -> None:
    async with model("a") as live, model("b") as two, model("c") as three, WorkerUnderTest() as worker:
        plan = shadowing("v2", "v3", sample=3000)
        await worker.publish(deployment({"v1": live.url, "v2": two.url, "v3": three.url}, plan))
        reader, writer = await connect(worker.port)
        for _ in range(400):
            writer.write(get())
            await read_answer(reader)
        await until(lambda: len(two.requests) == len(three.requests) > 0, what="the same sample for both")
        assert 60 < len(two.requests) < 190  # 120, seven standard deviations either way
        writer.close()


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"\x00\x01\x02 not HTTP at all\r\n\r\n")
    await reader.read()


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize(
    ("hostile", "error"),
    [
        (model("slow", delay=30), "timeout"),
        (scripted(None), "upstream_reset"),
        (Upstream(garbage), "bad_upstream_answer"),
        (Upstream(endless), "body_too_large"),
        (scripted(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", then_close=True), "upstream_reset"),
    ],
    ids=["slow", "reset", "garbage", "endless", "truncated"],
)
async def test_a_hostile_shadow_changes_nothing_and_is_recorded(hostile: Upstream, error: str) -> None:
    async with model("a") as live, hostile as shadow, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": live.url, "v2": shadow.url}, shadowing("v2", timeout=2.0)))
        reader, writer = await connect(worker.port)
        began = asyncio.get_running_loop().time()
        for _ in range(5):
            writer.write(post(b"hello"))
            answer = await read_answer(reader)
            assert answer.body == b'{"model": "a", "got": 5}'
        assert asyncio.get_running_loop().time() - began < 5.0, "ten, if each were waited for"
        await until(lambda: len(worker.captures) == 10, 40, "ten halves")
        assert {capture.answer.error for capture in worker.captures if capture.role == "shadow"} == {error}
        await until(lambda: sum(worker.code_counts("v2", "shadow").values()) == 5, what="five copies counted")
        assert worker.series[("d", "v2", "shadow")].in_flight == 0
        rss = int(Path(f"/proc/{worker.process.pid}/statm").read_text().split()[1]) * 4096
        assert rss < 150 << 20
        writer.close()


async def test_copies_beyond_the_budget_are_dropped_and_counted() -> None:
    async with model("a") as live, model("slow", delay=30) as shadow, WorkerUnderTest() as worker:
        await worker.publish(
            deployment({"v1": live.url, "v2": shadow.url}, shadowing("v2", in_flight=3, max_body=10))
        )
        reader, writer = await connect(worker.port)
        writer.write(post(b"more than ten bytes"))
        await read_answer(reader)
        for _ in range(8):
            writer.write(post(b"short"))
            await read_answer(reader)
        dropped = ("router_copies_dropped_total", "d", "v2")
        await until(lambda: worker.events.get((*dropped, "max_in_flight")) == 5, what="five dropped")
        assert worker.events[(*dropped, "body_too_large")] == 1
        writer.close()


async def test_what_is_kept_of_an_answer_is_bounded() -> None:
    big = b"HTTP/1.1 200 OK\r\ncontent-length: 50000\r\n\r\n" + b"x" * 50_000
    async with scripted(big) as live, scripted(big) as shadow, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": live.url, "v2": shadow.url}, shadowing("v2", max_body=1000)))
        reader, writer = await connect(worker.port)
        writer.write(get())
        assert len((await read_answer(reader)).body) == 50_000
        await until(lambda: len(worker.captures) == 2, what="two halves")
        for capture in worker.captures:
            message = capture.answer.message
            assert (len(message.body), message.size, message.truncated) == (1000, 50_000, True)
        writer.close()


async def test_the_copy_goes_on_when_the_client_hangs_up() -> None:
    async with model("a", delay=0.3) as live, model("b", delay=0.3) as shadow, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": live.url, "v2": shadow.url}, shadowing("v2")))
        _, writer = await connect(worker.port)
        writer.write(get())
        await until(lambda: shadow.requests, what="the copy at the shadow")
        writer.close()
        await until(lambda: len(worker.captures) == 2, what="two halves")
        primary, copy = sorted(worker.captures, key=lambda capture: capture.role)
        assert (primary.answer.status, primary.answer.error) == (0, "client_gone")
        assert (copy.answer.status, copy.answer.error) == (200, "")


async def test_a_candidate_that_fails_is_the_pairs_outcome_though_stable_answers() -> None:
    plan = Plan(
        default="v1",
        candidate="v2",
        share=10_000,
        fallback="v1",
        copies=Copies(10_000, {"v1": ("v2",), "v2": ("v1",)}, 5.0, 64, 1 << 20),
    )
    async with model("a") as stable, model("b", status=500) as candidate, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": stable.url, "v2": candidate.url}, plan))
        reader, writer = await connect(worker.port)
        writer.write(get())
        assert (await read_answer(reader)).fields[b"x-router-version"] == b"v1"
        await until(lambda: len(worker.captures) == 2, what="two halves")
        primary, copy = sorted(worker.captures, key=lambda capture: capture.role)
        assert (primary.answer.version, primary.answer.status, primary.answer.error) == (
            "v2",
            500,
            "status_500",
        )
        assert (copy.answer.version, copy.answer.status) == ("v1", 200)
        writer.close()
