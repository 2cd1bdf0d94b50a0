"""Leases end once, waiters are served in turn, limits hold, and stale connections are passed over."""

import asyncio

import pytest

from router.dataplane.faults import Fault
from router.dataplane.pool import MAX_AGE, Endpoint
from router.dataplane.upstream import IDLE_LIMIT, Upstream
from tests.support.wires import DataPlane, settle

URL = "http://192.0.2.1:81/base/"


class Waiting:
    """A waiter that keeps what it got."""

    def __init__(self) -> None:
        self.upstream: Upstream | None = None
        self.failure: tuple[Fault, str] | None = None

    def on_connected(self, upstream: Upstream) -> None:
        assert self.upstream is None
        assert self.failure is None
        self.upstream = upstream

    def on_connect_failed(self, fault: Fault, detail: str) -> None:
        assert self.upstream is None
        assert self.failure is None
        self.failure = (fault, detail)


@pytest.fixture
async def plane() -> DataPlane:
    return DataPlane()


async def ask(endpoint: Endpoint, number: int = 1) -> list[Waiting]:
    waiting = [Waiting() for _ in range(number)]
    for each in waiting:
        endpoint.wait(each)
    await settle()
    return waiting


def got(waiting: Waiting) -> Upstream:
    assert waiting.upstream is not None
    return waiting.upstream


async def test_the_head_fragments_of_an_address(plane: DataPlane) -> None:
    endpoint = plane.endpoint(URL)
    assert (endpoint.base, endpoint.host_lines) == (b"/base", b" HTTP/1.1\r\nhost: 192.0.2.1:81\r\n")
    six = plane.endpoint("http://[::1]:9")
    assert (six.base, six.host_lines) == (b"", b" HTTP/1.1\r\nhost: [::1]:9\r\n")
    assert not six._is_name
    assert plane.endpoint("https://model.example")._is_name


async def test_the_most_recent_connection_is_taken_first(plane: DataPlane) -> None:
    endpoint = plane.endpoint(URL)
    one, two = await ask(endpoint, 2)
    assert endpoint.in_flight == 2
    endpoint.give_back(got(one))
    endpoint.give_back(got(two))
    assert endpoint.in_flight == 0
    now = plane.engine.time
    assert endpoint.take(now) is two.upstream
    assert endpoint.take(now) is one.upstream
    assert endpoint.take(now) is None
    assert endpoint.in_flight == 2


async def test_what_is_dead_or_too_old_is_passed_over_and_closed(plane: DataPlane) -> None:
    endpoint = plane.endpoint(URL)
    dead, idle, good = await ask(endpoint, 3)
    for each in (good, idle, dead):
        endpoint.give_back(got(each))
    plane.wires[0].lose()
    got(idle).deadline = plane.engine.time - 1
    assert endpoint.take(plane.engine.time) is good.upstream
    assert plane.wires[1].aborted
    assert endpoint._idle == []


async def test_an_idle_connection_lives_as_long_as_its_server_said(plane: DataPlane) -> None:
    endpoint = plane.endpoint(URL)
    short, long = await ask(endpoint, 2)
    got(short).keep_alive_for = 4.0
    endpoint.give_back(got(short))
    endpoint.give_back(got(long))
    assert got(short).deadline == plane.engine.time + 4.0
    assert got(long).deadline == plane.engine.time + IDLE_LIMIT
    got(short).on_deadline(plane.engine.time + 4.0)
    assert plane.wires[0].aborted
    assert endpoint._idle == [long.upstream]


async def test_an_old_connection_to_a_name_is_not_kept(plane: DataPlane) -> None:
    for url, kept in (("http://model.example:81", False), (URL, True)):
        endpoint = plane.endpoint(url)
        (waiting,) = await ask(endpoint)
        got(waiting).born = plane.engine.time - MAX_AGE - 1
        endpoint.give_back(got(waiting))
        assert bool(endpoint._idle) is kept
        assert endpoint.in_flight == 0


async def test_waiters_are_served_in_turn_within_the_limit(plane: DataPlane) -> None:
    endpoint = plane.endpoint(URL)
    endpoint.connection_limit = 2
    waiting = await ask(endpoint, 5)
    assert plane.loop.asked == 2
    assert [bool(each.upstream) for each in waiting] == [True, True, False, False, False]
    assert endpoint.in_flight == 5
    endpoint.give_back(got(waiting[0]))
    assert waiting[2].upstream is waiting[0].upstream
    got(waiting[1]).release(request_whole=False)
    await settle()
    assert plane.loop.asked == 3
    assert waiting[3].upstream is not None
    endpoint.withdraw(waiting[4])
    endpoint.withdraw(waiting[4])
    assert endpoint.in_flight == 2


async def test_a_failed_connection_is_told_to_one_waiter_and_the_next_one_tries_anew(
    plane: DataPlane,
) -> None:
    endpoint = plane.endpoint(URL)
    endpoint.connection_limit = 1
    plane.loop.refuse = ConnectionRefusedError(111, "Connection refused")
    waiting = await ask(endpoint, 3)
    await settle()
    assert [each.failure for each in waiting] == [
        (Fault.CONNECT_FAILED, f"can't connect to {URL}: Connection refused")
    ] * 3
    assert (endpoint.in_flight, endpoint._connecting) == (0, 0)


async def test_a_name_that_can_not_be_one_fails_as_well(plane: DataPlane) -> None:
    plane.loop.refuse = UnicodeError("label empty or too long")
    (waiting,) = await ask(plane.endpoint(URL))
    assert waiting.failure is not None
    assert "label empty" in waiting.failure[1]


async def test_a_connection_that_is_lost_before_it_was_handed_over_is_a_failed_one(plane: DataPlane) -> None:
    plane.loop.dead_at_once = True
    endpoint = plane.endpoint(URL)
    (waiting,) = await ask(endpoint)
    assert waiting.upstream is None
    assert waiting.failure is not None
    assert (endpoint.in_flight, endpoint._idle) == (0, [])


async def test_connecting_has_its_time(plane: DataPlane) -> None:
    plane.loop.stall = True
    endpoint = plane.endpoint(URL)
    endpoint.connect_timeout = 0.02
    (waiting,) = await ask(endpoint)
    await asyncio.sleep(0.1)
    assert waiting.failure == (Fault.CONNECT_FAILED, f"can't connect to {URL}: no connection within 0.02 s")


async def test_a_connection_nobody_waits_for_any_more_is_kept(plane: DataPlane) -> None:
    endpoint = plane.endpoint(URL)
    waiting = Waiting()
    endpoint.wait(waiting)
    endpoint.withdraw(waiting)
    await settle()
    assert waiting.upstream is None
    assert len(endpoint._idle) == 1
    endpoint.discard_idle()
    assert endpoint._idle == []
    assert plane.wires[0].aborted
