"""What the connections share: tallies, generations, draining."""

import asyncio

from router.telemetry.events import RETRIES
from tests.support.wires import DataPlane, settle
from tests.support.workers import deployment

URL = "http://192.0.2.1:1"
GET = b"GET /x HTTP/1.1\r\nhost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def one_request(plane: DataPlane) -> None:
    client, _ = plane.client()
    client.data_received(GET)
    await settle()
    plane.wires[-1].protocol.data_received(OK)


async def test_a_tally_tells_what_changed_and_all_again_to_a_new_controller() -> None:
    plane = DataPlane(deployment({"v1": URL}))
    engine = plane.engine
    engine.tally()
    assert engine.tally() is None
    await one_request(plane)
    engine.events.add(RETRIES, "d", "v1")
    tally = engine.tally()
    assert tally is not None
    assert [(series.version, series.codes) for series in tally.series] == [("v1", {200: 1})]
    assert tally.events == ((("router_retries_total", "d", "v1"), 1),)
    assert engine.tally() is None
    engine.retell()
    again = engine.tally()
    assert again is not None
    assert ("v1", {200: 1}) in [(series.version, series.codes) for series in again.series]
    assert again.events == tally.events


async def test_an_ejection_is_told_and_so_is_its_end() -> None:
    plane = DataPlane(deployment({"v1": URL}))
    engine = plane.engine
    engine.tally()
    plane.endpoint(URL).ejection.until = engine.time + 1000
    told = engine.tally()
    assert told is not None
    assert told.ejected == (URL,)
    plane.endpoint(URL).ejection.until = 0.0
    told = engine.tally()
    assert told is not None
    assert told.ejected == ()


async def test_request_ids_are_unique_across_workers() -> None:
    one, other = DataPlane().engine, DataPlane().engine
    ids = [engine.new_id() for engine in (one, other) for _ in range(100)]
    assert len(set(ids)) == 200


async def test_draining_ends_with_the_last_exchange_or_with_its_grace() -> None:
    plane = DataPlane(deployment({"v1": URL}))
    busy, busy_wire = plane.client()
    _, idle_wire = plane.client()
    busy.data_received(GET)
    await settle()
    drained = asyncio.ensure_future(plane.engine.drain(5.0, close_idle=True))
    await settle()
    assert (idle_wire.closed, busy_wire.closed) == (True, False)
    idle_wire.lose()
    plane.wires[0].protocol.data_received(OK)
    assert b"connection: close\r\n" in busy_wire.sent
    assert busy_wire.eof
    busy_wire.lose()
    async with asyncio.timeout(1):
        await drained

    stuck, stuck_wire = plane.client()
    stuck.data_received(GET)
    await plane.engine.drain(0.01, close_idle=False)
    assert stuck_wire.aborted


async def test_a_connection_that_falls_idle_while_the_router_stops_is_not_waited_for() -> None:
    plane = DataPlane(deployment({"v1": URL}))
    client, wire = plane.client()
    client.data_received(GET)
    await settle()
    (upstream,) = plane.wires
    upstream.protocol.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok")
    await settle()
    assert b"connection: close" not in wire.sent, "its head went out before"
    drained = asyncio.ensure_future(plane.engine.drain(5.0, close_idle=True))
    await settle()
    assert not wire.closed
    upstream.protocol.data_received(b"!!")
    await asyncio.sleep(0.05)
    assert wire.closed
    wire.lose()
    await asyncio.wait_for(drained, 1.0)
