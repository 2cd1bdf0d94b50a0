"""Calls to a real server that answers as a test wants: bounded, without redirects, without memory."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from router.control.outbound import LONGEST_PAUSE, MAX_ANSWER, NoAnswer, Outbound, Reply, pause
from router.rollout.gates.asking import Call
from tests.support.hooks import Hook, serving


@pytest_asyncio.fixture
async def hook() -> AsyncIterator[Hook]:
    async with serving() as hook:
        yield hook


@pytest_asyncio.fixture
async def outbound() -> AsyncIterator[Outbound]:
    outbound = Outbound()
    yield outbound
    await outbound.close()


async def send(outbound: Outbound, url: str, timeout: float = 5.0) -> Reply:
    return await outbound.send(Call("POST", url, {"x-token": "t"}, b"{}"), timeout)


async def test_the_call_arrives_as_it_was_made(hook: Hook, outbound: Outbound) -> None:
    reply = await send(outbound, hook.url)
    assert (reply.status, reply.body, reply.retry_after) == (200, b"", 0.0)
    (seen,) = hook.seen
    assert (seen.method, seen.body, seen.headers["x-token"]) == ("POST", b"{}", "t")
    assert seen.headers["user-agent"].startswith("router/")


async def test_redirects_are_not_followed(hook: Hook, outbound: Outbound) -> None:
    hook.answer(web.Response(status=302, headers={"location": hook.url}))
    assert (await send(outbound, hook.url)).status == 302
    assert len(hook.seen) == 1


async def test_of_an_endless_answer_only_the_beginning_is_read(hook: Hook, outbound: Outbound) -> None:
    hook.endless = True
    assert len((await send(outbound, hook.url)).body) == MAX_ANSWER


async def test_a_cookie_is_not_kept(hook: Hook, outbound: Outbound) -> None:
    hook.answer(web.Response(headers={"set-cookie": "a=b"}))
    for _ in range(2):
        await send(outbound, hook.url)
    assert all("cookie" not in seen.headers for seen in hook.seen)


async def test_who_hangs_is_given_up(hook: Hook, outbound: Outbound) -> None:
    hook.hangs = True
    with pytest.raises(NoAnswer, match=r"no answer within 0\.1 s"):
        await send(outbound, hook.url, 0.1)


async def test_who_is_not_there_is_said_to_be_so_without_the_secrets_of_the_url(outbound: Outbound) -> None:
    with pytest.raises(NoAnswer, match="reached") as error:
        await send(outbound, "http://127.0.0.1:1/?token=hush")
    assert "hush" not in str(error.value)


async def test_an_answer_that_is_no_http_is_no_answer(outbound: Outbound) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"nonsense\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    async with server:
        with pytest.raises(NoAnswer, match="broke off"):
            await send(outbound, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7.0), ("0", 0.0), ("100000", LONGEST_PAUSE), ("soon", 0.0), ("", 0.0)]
)
async def test_it_says_when_to_come_again(hook: Hook, outbound: Outbound, text: str, seconds: float) -> None:
    hook.answer(web.Response(status=429, headers={"retry-after": text}))
    assert (await send(outbound, hook.url)).retry_after == seconds


def test_pauses_grow_and_end() -> None:
    assert 0.25 <= pause(1) <= 0.5
    assert 1.0 <= pause(3) <= 2.0
    assert LONGEST_PAUSE / 2 <= pause(10_000) <= LONGEST_PAUSE
