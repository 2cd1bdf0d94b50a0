"""An exchange that waits for its turn: every way out of the queue leaves nothing behind."""

import re

import msgspec

from router.patterns.plan import DeploymentPlan, Plan, VersionSpec
from tests.support.wires import DataPlane, Wire, leftovers, settle
from tests.support.workers import deployment

V1, V2 = "http://192.0.2.1:1", "http://192.0.2.2:2"
GET = b"GET /x HTTP/1.1\r\nhost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def narrow(plan: Plan = Plan("v1"), *, queue: int = 2, connections: int = 0) -> DeploymentPlan:  # noqa: B008
    """Of the version on trial one request at a time."""
    limited = VersionSpec(plan.candidate or "v1", (V2,), connections, in_flight=1, queue=queue)
    others = (VersionSpec("v1", (V1,)),) if plan.candidate else ()
    return msgspec.structs.replace(deployment({"v1": V1}, plan), versions=(*others, limited))


CANARY = Plan("v1", "v2", 10_000)
FALLBACK = Plan("v1", "v2", 10_000, fallback="v1")


async def ask(plane: DataPlane) -> Wire:
    client, wire = plane.client()
    client.data_received(GET)
    await settle()
    return wire


async def answer(plane: DataPlane, number: int = -1) -> None:
    plane.wires[number].protocol.data_received(OK)
    await settle()


def statuses(wire: Wire) -> list[int]:
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", wire.sent)]


def waited_long(wire: Wire) -> None:
    exchange = wire.protocol._exchange
    exchange.on_deadline(exchange.deadline)


async def test_turns_come_in_order_on_one_connection() -> None:
    plane = DataPlane(narrow())
    first, second, third, fourth = [await ask(plane) for _ in range(4)]
    assert [statuses(wire) for wire in (first, second, third, fourth)] == [[], [], [], [503]]
    assert b"retry-after: 1\r\n" in fourth.sent
    for wire in (first, second, third):
        await answer(plane)
        assert statuses(wire) == [200]
    assert len(plane.wires) == 1
    assert plane.codes("v1") == {200: 3, 503: 1}
    assert leftovers(plane.engine) == []


async def test_who_waits_too_long_and_who_leaves_free_their_places_in_the_queue() -> None:
    plane = DataPlane(narrow())
    first, late, gone = [await ask(plane) for _ in range(3)]
    waited_long(late)
    assert statuses(late) == [503]
    gone.lose()
    last = await ask(plane)
    await answer(plane)
    await answer(plane)
    assert statuses(first) == statuses(last) == [200]
    assert plane.codes("v1") == {200: 2, 503: 1, 499: 1}
    assert leftovers(plane.engine) == []


async def test_a_place_is_given_up_by_every_end() -> None:
    plane = DataPlane(narrow())
    for end in ("answer", "lost", "late", "malformed", "client"):
        wire = await ask(plane)
        protocol = plane.wires[-1].protocol
        if end == "answer":
            protocol.data_received(OK)
        elif end == "lost":
            plane.wires[-1].lose()  # a reused one: it is sent again
            await settle()
            plane.wires[-1].lose()
        elif end == "late":
            protocol.on_deadline(protocol.deadline)
        elif end == "malformed":
            protocol.data_received(b"nonsense\r\n\r\n")
        else:
            wire.lose()
        await settle()
        assert leftovers(plane.engine) == [], end


async def test_a_fallback_takes_over_from_the_queue_and_gives_up_the_place() -> None:
    plane = DataPlane(narrow(FALLBACK))
    first, late = await ask(plane), await ask(plane)
    waited_long(late)
    await settle()
    await answer(plane)
    assert statuses(late) == [200]
    assert b"x-router-version: v1" in late.sent
    plane.wires[0].lose()
    await settle()
    await answer(plane)
    assert statuses(first) == [200]
    assert b"x-router-version: v1" in first.sent
    assert leftovers(plane.engine) == []


async def test_who_waits_through_a_rollback_goes_to_the_trusted_version() -> None:
    plane = DataPlane(narrow(CANARY))
    first, waiting, also = [await ask(plane) for _ in range(3)]
    plane.publish(narrow(Plan("v1", "v2", 0)))
    await answer(plane)
    await settle()
    for number in range(1, len(plane.wires)):
        await answer(plane, number)
    assert [b"x-router-version: v2" in wire.sent for wire in (first, waiting, also)] == [True, False, False]
    assert statuses(waiting) == statuses(also) == [200]
    assert plane.codes("v2") == {200: 1}
    assert leftovers(plane.engine) == []


async def test_all_connections_in_use_is_overload_at_once_where_nobody_may_wait() -> None:
    spec = (VersionSpec("v1", (V1,), connections=1),)
    plane = DataPlane(msgspec.structs.replace(deployment({"v1": V1}), versions=spec))
    first, second = await ask(plane), await ask(plane)
    assert (statuses(first), statuses(second)) == ([], [503])
    await answer(plane)
    assert leftovers(plane.engine) == []


async def test_no_descriptor_for_a_connection_is_no_fault_of_the_endpoint() -> None:
    plane = DataPlane(deployment({"v1": V1}))
    plane.loop.refuse = OSError(24, "Too many open files")
    for _ in range(10):
        assert statuses(await ask(plane)) == [503]
    assert not plane.endpoint(V1).ejection.troubled
    assert leftovers(plane.engine) == []


async def test_retries_stop_where_their_budget_ends() -> None:
    plane = DataPlane(msgspec.structs.replace(deployment({"v1": V1}), retry_budget=0))
    plane.loop.refuse = ConnectionRefusedError(111, "Connection refused")
    for _ in range(20):
        await ask(plane)
    assert plane.engine.events.counts["router_retries_total", "d", "v1"] == 10
    assert plane.loop.asked == 30
    assert leftovers(plane.engine) == []
