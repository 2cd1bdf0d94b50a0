import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from router.demo.protocol import rows_of
from router.demo.traffic import UNANSWERED, Log, Request, Traffic, quantile


def test_the_log_counts_who_answered_and_who_failed() -> None:
    log = Log()
    for version, ok in [("v1", True), ("v1", False), ("v2", True)]:
        log.add(Request(0.0, version, ok, 0.01))
    assert log.answered == {"v1": 2, "v2": 1}
    assert log.failed == {"v1": 1}


def test_the_log_counts_what_began_in_a_span() -> None:
    log = Log()
    for begun in (1.0, 2.0, 3.0):
        log.add(Request(begun, "v1", True, 0.01))
    assert log.begun_between(1.0, 3.0) == {"v1": 2}
    assert log.begun_between(4.0, 9.0) == {}


def test_the_log_forgets_the_oldest_but_not_the_totals() -> None:
    log = Log(kept=2)
    for begun in range(5):
        log.add(Request(float(begun), "v1", True, 0.01))
    assert log.begun_between(0.0, 9.0) == {"v1": 2}
    assert log.answered == {"v1": 5}


def test_latencies_are_the_latest_of_one_version_in_order() -> None:
    log = Log()
    for seconds in (0.9, 0.3, 0.1, 0.2):
        log.add(Request(0.0, "v1", True, seconds))
    log.add(Request(0.0, "v2", True, 5.0))
    assert log.latencies("v1", last=3) == [0.1, 0.2, 0.3]


def test_quantile() -> None:
    assert quantile([], 0.5) is None
    assert quantile([1.0], 0.95) == 1.0
    assert quantile([float(n) for n in range(1, 101)], 0.95) == 95.0
    assert quantile([1.0, 2.0], 0.5) == 1.0


class Sink:
    """A model server that only remembers who asked."""

    def __init__(self) -> None:
        self.users: list[str] = []

    async def infer(self, request: web.Request) -> web.Response:
        rows_of(await request.json())
        self.users.append(request.headers["x-user-id"])
        status = 500 if len(self.users) % 2 else 200
        return web.Response(status=status, headers={"x-router-version": "v7"})


@pytest.fixture
async def served() -> AsyncIterator[tuple[Sink, str]]:
    sink = Sink()
    app = web.Application()
    app.router.add_post("/v2/models/loan/infer", sink.infer)
    async with TestServer(app) as server:
        yield sink, str(server.make_url("")).rstrip("/")


async def until(log: Log, requests: int) -> None:
    async with asyncio.timeout(20.0):
        while log.answered.total() < requests:
            await asyncio.sleep(0.01)


async def test_traffic_keeps_its_rate_and_names_its_users(served: tuple[Sink, str]) -> None:
    sink, url = served
    log = Log()
    start = asyncio.get_running_loop().time()
    task = asyncio.create_task(Traffic(url, log, rate=200.0).run())
    await until(log, 60)
    took = asyncio.get_running_loop().time() - start
    task.cancel()
    assert took > 0.2, "60 requests at 200 a second"
    assert log.answered.keys() == {"v7"}
    assert log.failed["v7"] == pytest.approx(log.answered["v7"] / 2, abs=2)
    assert len(set(sink.users)) > 50


async def test_without_a_router_every_request_is_a_failure() -> None:
    log = Log()
    task = asyncio.create_task(Traffic("http://127.0.0.1:9", log, rate=200.0).run())
    await until(log, 10)
    task.cancel()
    assert log.failed[UNANSWERED] == log.answered[UNANSWERED] >= 10
