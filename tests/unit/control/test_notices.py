"""Notices to a real server that fails first, hangs, refuses, or is not there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from router.config.notify import NotifySpec
from router.control import notices as module
from router.control import outbound
from router.control.bulletin import Bulletin
from router.control.notices import Notices
from tests.support.hooks import serving

ROLLBACK = {
    "event": "rollback",
    "deployment": "loan",
    "who": "router",
    "why": "error ratio 4.2",
    "phase": "rolled_back",
    "phase_before": "progressing",
    "share": 0.0,
    "generation": 7,
    "when": 0.0,
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "FIRST_PAUSE", 0.005)
    monkeypatch.setattr(outbound, "LONGEST_PAUSE", 0.02)
    monkeypatch.setattr(module, "FAREWELL", 0.2)


@asynccontextmanager
async def notifying() -> AsyncIterator[tuple[Bulletin, Notices]]:
    bulletin = Bulletin()
    async with asyncio.TaskGroup() as tasks:
        notices = Notices(tasks, bulletin)
        try:
            yield bulletin, notices
        finally:
            await notices.close()


def spec(url: str, **settings: Any) -> NotifySpec:
    return NotifySpec.model_validate({"url": url} | settings)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.005)


async def test_an_event_becomes_a_message_as_the_template_says() -> None:
    async with serving() as hook, notifying() as (bulletin, notices):
        template = {"blocks": [{"text": "{deployment} {phase} {share} {who} {why} {time}"}]}
        notices.configure([spec(hook.url, template=template, headers={"x-key": "k"})])
        bulletin.announce(ROLLBACK)
        (seen,) = await hook.calls(1)
        assert (seen.method, seen.headers["content-type"], seen.headers["x-key"]) == (
            "POST",
            "application/json",
            "k",
        )
        text = "loan rolled_back 0% router error ratio 4.2 1970-01-01T00:00:00+00:00"
        assert seen.json() == {"blocks": [{"text": text}]}
        await until(lambda: notices.counts() == {"sent": 1, "failed": 0, "dropped": 0})


async def test_only_the_events_asked_for_are_told_each_to_its_target() -> None:
    async with serving() as all_of_them, serving() as errors, notifying() as (bulletin, notices):
        notices.configure([spec(all_of_them.url), spec(errors.url, events=["config_error"])])
        bulletin.announce({"event": "config", "digest": "d1"})
        bulletin.announce(ROLLBACK)
        bulletin.announce({"event": "config_error", "error": "line 3 is wrong"})
        first, second = await all_of_them.calls(2)
        assert first.json()["text"].startswith("loan: rollback by router: error ratio 4.2")
        assert second.json()["text"].endswith("line 3 is wrong")
        await errors.calls(1)
        assert len(errors.seen) == 1


@pytest.mark.parametrize("status", [500, 503, 429, 408])
async def test_a_target_that_fails_first_is_told_in_the_end(status: int) -> None:
    async with serving() as hook, notifying() as (bulletin, notices):
        hook.answer(*(web.Response(status=status) for _ in range(3)))
        notices.configure([spec(hook.url)])
        bulletin.announce(ROLLBACK)
        await until(lambda: notices.counts()["sent"] == 1)
        assert len(hook.seen) == 4
        assert len({seen.body for seen in hook.seen}) == 1


@pytest.mark.parametrize("status", [301, 400, 404, 410])
async def test_who_refuses_is_not_asked_again(status: int, caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as hook, notifying() as (bulletin, notices):
        hook.status = status
        notices.configure([spec(hook.url + "?key=hush")])
        bulletin.announce(ROLLBACK)
        await until(lambda: notices.counts()["failed"] == 1)
        assert len(hook.seen) == 1
        assert f"was not told of rollback: it answers {status}" in caplog.text
        assert "hush" not in caplog.text


async def test_who_never_answers_is_given_up_and_the_next_message_is_tried() -> None:
    async with notifying() as (bulletin, notices):
        notices.configure([spec("http://127.0.0.1:1/")])
        bulletin.announce(ROLLBACK)
        bulletin.announce(ROLLBACK)
        await until(lambda: notices.counts()["failed"] == 2)


async def test_a_target_that_hangs_holds_up_nobody_and_loses_the_oldest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BACKLOG", 3)
    async with serving() as slow, serving() as well, notifying() as (bulletin, notices):
        slow.hangs = True
        notices.configure([spec(slow.url), spec(well.url)])
        for number in range(6):
            bulletin.announce(ROLLBACK | {"why": str(number)})
            await well.calls(number + 1)
            await slow.calls(1)
        assert notices.counts()["dropped"] == 2  # one is on its way, three wait
        slow.hangs = False
        notices.configure([spec(well.url)])
        assert notices.counts()["dropped"] == 5


async def test_a_target_that_stays_keeps_what_waits_for_it() -> None:
    async with serving() as hook, notifying() as (bulletin, notices):
        hook.answer(web.Response(status=503))
        notices.configure([spec(hook.url)])
        bulletin.announce(ROLLBACK)
        notices.configure([spec("http://127.0.0.1:1/"), spec(hook.url)])
        await until(lambda: notices.counts()["sent"] == 1)


async def test_what_waits_at_the_end_is_still_told() -> None:
    async with serving() as hook:
        async with notifying() as (bulletin, notices):
            notices.configure([spec(hook.url)])
            bulletin.announce(ROLLBACK)
        assert notices.counts()["sent"] == 1
        assert len(hook.seen) == 1


async def test_a_target_that_is_dead_at_the_end_is_not_waited_for_long() -> None:
    async with serving() as hook, asyncio.timeout(10), notifying() as (bulletin, notices):
        hook.hangs = True
        notices.configure([spec(hook.url)])
        bulletin.announce(ROLLBACK)
        await hook.calls(1)


async def test_announcing_waits_for_nothing() -> None:
    async with notifying() as (bulletin, notices):
        notices.configure([spec("http://127.0.0.1:1/")])
        for _ in range(10_000):
            bulletin.announce(ROLLBACK)
        assert notices.counts()["dropped"] == 10_000 - module.BACKLOG
