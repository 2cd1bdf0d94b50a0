"""The client against servers on real sockets that answer well, badly, or not at all."""

import asyncio
import time
from collections.abc import Callable

import pytest

from router.channel import CapturedAnswer
from router.pairs.replay import Outgoing
from router.replay import target as module
from router.replay.target import Target
from tests.support.upstreams import Upstream, model, scripted

REQUEST = Outgoing(
    "POST", b"/v2//a%2Fb:go?x=%20&y", ((b"content-type", b"application/json"), (b"x-a", b"\xe9")), b"{}"
)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def asked(
    upstream: Upstream, request: Outgoing = REQUEST, base: str = "", timeout: float = 5.0
) -> CapturedAnswer:
    async with upstream, client(upstream.url + base, timeout) as target:
        return await target.send(request)


def client(url: str, timeout: float = 5.0) -> Target:
    return Target(url, "v3", connections=2, timeout=timeout, clock=time.perf_counter)


async def test_the_request_arrives_byte_by_byte() -> None:
    upstream = model("v3")
    answer = await asked(upstream)
    (seen,) = upstream.requests
    assert seen.line == b"POST /v2//a%2Fb:go?x=%20&y HTTP/1.1"
    assert seen.body == b"{}"
    names = [name.lower() for name, _ in seen.fields]
    assert sorted(names) == [b"content-length", b"content-type", b"host", b"x-a"]
    assert seen.get(b"x-a") == b"\xe9"
    assert (answer.version, answer.endpoint, answer.status, answer.error) == ("v3", upstream.url, 200, "")
    assert answer.message.body == b'{"model": "v3", "got": 2}'
    assert 0 < answer.first_byte_ms <= answer.latency_ms


async def test_the_base_url_comes_before_the_recorded_path() -> None:
    upstream = model("v3")
    await asked(upstream, base="/base/")
    assert upstream.requests[0].line.startswith(b"POST /base/v2//a%2Fb:go?")


async def test_a_get_has_no_body() -> None:
    upstream = model("v3")
    await asked(upstream, Outgoing("GET", b"/", (), b""))
    assert upstream.requests[0].get(b"content-length") is None


async def test_connections_are_kept_for_the_next_request() -> None:
    upstream = model("v3")
    async with upstream, client(upstream.url) as target:
        for _ in range(5):
            await target.send(REQUEST)
    assert (upstream.connections, len(upstream.requests)) == (1, 5)


async def test_an_answer_stays_in_its_coding_and_redirects_are_answers() -> None:
    packed = b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x00"
    upstream = scripted(packed)
    answer = await asked(upstream)
    assert (answer.status, answer.message.body, len(upstream.requests)) == (302, b"\x1f\x8b\x00", 1)


@pytest.mark.parametrize(
    ("upstream", "error"),
    [
        (lambda: scripted(None), "upstream_reset"),
        (
            lambda: scripted(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab", then_close=True),
            "upstream_reset",
        ),
        (lambda: scripted(b"SSH-2.0-OpenSSH\r\n\r\n"), "bad_upstream_answer"),
        (lambda: model("slow", delay=30), "timeout"),
    ],
    ids=["closes", "breaks-off", "speaks-no-http", "never-answers"],
)
async def test_failures_have_the_names_they_have_in_the_log(
    upstream: Callable[[], Upstream], error: str
) -> None:
    started = time.monotonic()
    answer = await asked(upstream(), timeout=1.0)
    assert answer.error == error
    assert time.monotonic() - started < 15, "the server takes for ever"


async def test_nobody_there() -> None:
    async with model("gone") as gone:
        url = gone.url
    async with client(url) as target:
        answer = await target.send(REQUEST)
    assert (answer.error, answer.status, answer.first_byte_ms) == ("connect_failed", 0, -1.0)


async def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BODY", 1000)

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            await writer.drain()

    answer = await asked(Upstream(endless))
    assert (answer.error, answer.message.truncated, answer.message.body) == ("", True, b"x" * 1000)
    assert answer.message.size >= 1024


async def test_an_answer_that_drips_is_over_in_time() -> None:
    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    answer = await asked(Upstream(dripping), timeout=0.4)
    assert (answer.error, answer.status, answer.message.truncated) == ("timeout", 200, True)


async def test_a_header_that_cannot_be_sent_harms_only_its_request() -> None:
    answer = await asked(model("v3"), Outgoing("POST", b"/", ((b"x-a", b"line\nbreak"),), b""))
    assert answer.error == "bad_request"
