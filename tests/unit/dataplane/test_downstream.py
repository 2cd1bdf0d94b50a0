"""One client connection: order, pausing, and every way it can end."""

import re
import socket
from time import monotonic

import pytest

from router.dataplane.timers import NEVER
from router.patterns.limits import ClientLimits
from router.patterns.plan import Plan, Snapshot
from tests.support.wires import DataPlane, Wire, leftovers, settle
from tests.support.workers import deployment

URL = "http://192.0.2.1:1"
GET = b"GET /x HTTP/1.1\r\nhost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
UPGRADE = b"GET /x HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
DECLINED = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n"


def proxy() -> DataPlane:
    return DataPlane(deployment({"v1": URL}, path="/x"))


async def answer(plane: DataPlane, data: bytes = OK) -> None:
    await settle()
    plane.wires[-1].protocol.data_received(data)
    await settle()


def statuses(wire: Wire) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 (\d{3}) ", wire.sent)


async def test_pipelined_requests_run_one_after_another_and_reading_pauses_meanwhile() -> None:
    plane = proxy()
    client, wire = plane.client()
    client.data_received(GET * 3)
    await settle()
    assert plane.wires[0].sent.count(b"GET /x") == 1
    assert wire.paused
    for number in range(1, 4):
        await answer(plane)
        assert statuses(wire) == [b"200"] * number
    assert plane.wires[0].sent.count(b"GET /x") == 3
    assert not wire.paused
    assert leftovers(plane.engine) == []


async def test_nothing_after_an_answer_that_said_close_is_executed() -> None:
    plane = proxy()
    plane.engine.draining = True
    client, wire = plane.client()
    client.data_received(b"GET /nowhere HTTP/1.1\r\nhost: h\r\n\r\n" + GET)
    await settle()
    assert statuses(wire) == [b"404"]
    assert plane.loop.asked == 0
    assert wire.eof
    assert leftovers(plane.engine) == []


async def test_a_pipelined_request_with_a_broken_body_is_refused_in_its_turn() -> None:
    plane = proxy()
    client, wire = plane.client()
    broken = b"POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"
    client.data_received(GET + broken)
    await answer(plane)
    assert statuses(wire) == [b"200", b"400"]
    assert wire.eof
    assert leftovers(plane.engine) == []


async def test_a_broken_body_in_the_first_read_counts_and_is_answered_once() -> None:
    plane = proxy()
    client, wire = plane.client()
    client.data_received(b"POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n")
    await settle()
    assert statuses(wire) == [b"400"]
    assert plane.codes("", name="") == {400: 1}
    assert plane.loop.asked == 0
    assert leftovers(plane.engine) == []


async def test_an_error_behind_good_requests_comes_last() -> None:
    plane = proxy()
    client, wire = plane.client()
    client.data_received(GET * 2 + b"nonsense\r\n\r\n")
    await answer(plane)
    await answer(plane)
    assert statuses(wire) == [b"200", b"200", b"400"]
    assert leftovers(plane.engine) == []


async def test_an_error_is_answered_once_though_more_nonsense_follows() -> None:
    plane = proxy()
    client, wire = plane.client()
    client.data_received(GET + b"nonsense\r\n\r\n")
    await settle()
    plane.wires[0].protocol.data_received(OK)
    client.data_received(b"more of it\r\n\r\n")
    await settle()
    assert statuses(wire) == [b"200", b"400"]


async def test_a_head_that_does_not_arrive_ends_with_408() -> None:
    plane = proxy()
    client, wire = plane.client()
    assert client.deadline <= monotonic() + client.limits.head_timeout
    client.data_received(GET)
    assert client.deadline == NEVER
    await answer(plane)
    assert client.deadline > plane.engine.time + client.limits.head_timeout
    client.data_received(GET[:10])
    assert client.deadline <= plane.engine.time + client.limits.head_timeout
    before = client.deadline
    client.data_received(GET[10:12])
    assert client.deadline == before, "a trickle wins no time"
    client.on_deadline(before)
    assert statuses(wire) == [b"200", b"408"]
    assert wire.eof


async def test_an_idle_connection_is_closed_after_a_while() -> None:
    plane = proxy()
    client, wire = plane.client()
    client.on_deadline(client.deadline)
    assert wire.eof
    assert wire.sent == b""


@pytest.mark.parametrize("request_bytes", [GET, b"GET /x HTTP/1.0\r\n\r\n"], ids=["kept", "closed"])
async def test_a_client_that_never_takes_its_answer_is_given_up(request_bytes: bytes) -> None:
    plane = proxy()
    client, wire = plane.client()
    client.data_received(request_bytes)
    await answer(plane)
    wire.unsent = 100
    for _ in range(50):
        if not wire.aborted:
            watched = wire.protocol
            assert watched.deadline < NEVER
            watched.on_deadline(watched.deadline)
    assert wire.aborted


async def test_an_early_answer_lets_the_client_hear_it() -> None:
    plane = proxy()
    client, wire = plane.client()
    client.data_received(b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\nsome")
    await answer(plane)
    assert statuses(wire) == [b"200"]
    assert (wire.eof, wire.closed) == (True, False)
    wire.protocol.data_received(b"more")
    wire.protocol.on_deadline(wire.protocol.deadline)
    assert wire.closed
    assert leftovers(plane.engine) == []


async def test_a_client_that_is_gone_is_forgotten() -> None:
    plane = proxy()
    client, wire = plane.client()
    client.data_received(GET * 2)
    await settle()
    wire.lose()
    await settle()
    assert plane.wires[0].aborted
    assert plane.codes("v1") == {499: 1}
    assert plane.engine.clients == set()
    assert leftovers(plane.engine) == []


async def test_forwarded_fields_are_built_from_the_connection_or_added_to() -> None:
    plane = proxy()
    client, _ = plane.client()
    client.data_received(GET)
    await answer(plane)
    assert (
        b"x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: http\r\nx-forwarded-host: h\r\n"
        in plane.wires[0].take()
    )
    client.data_received(
        b"GET /x HTTP/1.1\r\nhost: h2\r\nx-forwarded-for: 10.0.0.1\r\nx-forwarded-proto: https\r\n\r\n"
    )
    await settle()
    assert (
        b"x-forwarded-for: 10.0.0.1, 192.0.2.7\r\nx-forwarded-proto: https\r\nx-forwarded-host: h2\r\n"
        in plane.wires[0].sent
    )


async def test_a_declined_upgrade_leaves_a_connection_for_requests() -> None:
    plane = proxy()
    client, wire = plane.client()
    client.data_received(UPGRADE + GET)
    await answer(plane, DECLINED)
    assert statuses(wire) == [b"403"]
    assert client.deadline == NEVER, "the request behind it has begun"
    await answer(plane)
    assert statuses(wire) == [b"403", b"200"]
    assert leftovers(plane.engine) == []


async def test_an_upgrade_without_a_route_leaves_one_too() -> None:
    plane = proxy()
    client, wire = plane.client()
    client.data_received(UPGRADE.replace(b"/x", b"/nowhere") + GET)
    await answer(plane)
    assert statuses(wire) == [b"404", b"200"]


async def test_what_is_read_behind_an_upgrade_is_bounded() -> None:
    plane = proxy()
    client, wire = plane.client()
    client.data_received(UPGRADE)
    client.data_received(GET)
    assert not wire.paused
    post = b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 100000\r\n\r\n"
    client.data_received(post + b"x" * 70_000)
    assert wire.paused
    await answer(plane, DECLINED)
    assert wire.paused, "a request waits behind the next one"
    await answer(plane)
    assert not wire.paused
    client.data_received(b"x" * 30_000)
    await answer(plane)
    assert statuses(wire) == [b"403", b"200", b"200"]
    assert leftovers(plane.engine) == []


async def test_a_tunnel_takes_both_connections() -> None:
    plane = proxy()
    client, wire = plane.client()
    client.data_received(UPGRADE + b"early")
    await answer(plane, b"HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello")
    upstream = plane.wires[0]
    assert upstream.sent.endswith(b"\r\n\r\nearly")
    assert wire.sent.endswith(b"\r\n\r\nhello")
    assert b"connection: upgrade\r\nupgrade: websocket\r\n" in wire.sent
    assert (plane.engine.clients, len(plane.engine.tunnels), plane.in_flight("v1")) == (set(), 1, 1)
    upstream.lose()
    wire.lose()
    assert plane.engine.tunnels == set()
    assert plane.codes("v1") == {101: 1}
    assert leftovers(plane.engine) == []


@pytest.mark.parametrize("plan", [Plan("v1"), Plan("v1", "v2", 10_000, fallback="v1")])
async def test_a_large_upload_is_held_back_and_let_go(plan: Plan) -> None:
    """Also when the upstream that was full is given up: what it held back must flow to the next one."""
    plane = DataPlane(deployment({"v1": URL, "v2": "http://192.0.2.2:2"}, plan))
    client, wire = plane.client()
    client.data_received(b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 200000\r\n\r\n")
    client.data_received(b"x" * 100_000)
    assert wire.paused, "no connection yet"
    await settle()
    assert not wire.paused
    first = plane.wires[0].protocol
    first.pause_writing()
    assert wire.paused
    if plan.fallback:
        first.data_received(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
        await settle()
        assert plane.wires[1].sent.endswith(b"x" * 100_000)
    else:
        first.resume_writing()
    assert not wire.paused
    client.data_received(b"y" * 100_000)
    await answer(plane)
    assert statuses(wire) == [b"200"]
    assert leftovers(plane.engine) == []


async def test_only_connections_between_requests_are_idle() -> None:
    plane = proxy()
    (busy, busy_wire), (half, half_wire), (idle, idle_wire) = plane.client(), plane.client(), plane.client()
    busy.data_received(GET)
    half.data_received(GET[:9])
    plane.engine.close_idle()
    assert (busy_wire.closed, half_wire.closed, idle_wire.closed) == (False, False, True)
    assert idle in plane.engine.clients, "until its connection is lost"


async def test_a_connection_whose_next_request_is_here_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    plane = proxy()
    _, wire = plane.client()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        monkeypatch.setattr(wire, "get_extra_info", lambda _: ours)
        theirs.send(GET)
        plane.engine.close_idle()
        assert not wire.closed
        ours.recv(len(GET))
        plane.engine.close_idle()
        assert wire.closed


async def test_a_client_that_takes_nothing_gets_nothing_more_to_do() -> None:
    plane = proxy()
    client, wire = plane.client()
    client.data_received(GET * 2)
    client.pause_writing()
    await answer(plane)
    assert plane.wires[0].sent.count(b"GET /x") == 1
    assert wire.paused
    client.resume_writing()
    await answer(plane)
    assert plane.wires[0].sent.count(b"GET /x") == 2
    assert not wire.paused
    assert leftovers(plane.engine) == []


@pytest.mark.parametrize("takes", [True, False])
async def test_and_is_given_up_unless_it_takes_a_little(takes: bool) -> None:
    plane = proxy()
    client, wire = plane.client()
    client.data_received(GET)
    wire.unsent = 1000
    client.pause_writing()
    await answer(plane)
    assert wire.paused
    wire.unsent -= takes
    client.on_deadline(client.deadline)
    assert wire.aborted is not takes


async def test_one_too_many_in_the_pipeline_is_refused_after_the_others() -> None:
    plane = proxy()
    client, wire = plane.client()
    client.data_received(GET * (client.limits.pipelined + 5))
    for _ in range(client.limits.pipelined + 1):
        await answer(plane)
    assert statuses(wire) == [b"200"] * (client.limits.pipelined + 1) + [b"503"]
    assert wire.eof
    assert leftovers(plane.engine) == []


async def test_connections_keep_the_limits_they_began_with() -> None:
    plane = proxy()
    old, _ = plane.client()
    plane.engine.put_in_force(Snapshot(99, (deployment({"v1": URL}),), ClientLimits(keep_alive=1.0)))
    new, _ = plane.client()
    assert (old.limits.keep_alive, new.limits.keep_alive) == (75.0, 1.0)


async def test_who_is_turned_away_is_no_client() -> None:
    plane = proxy()
    plane.engine.put_in_force(Snapshot(99, (deployment({"v1": URL}),), ClientLimits(connections=1)))
    inside, _ = plane.client()
    _, wire = plane.client()
    assert statuses(wire) == [b"503"]
    assert wire.eof
    wire.protocol.data_received(GET)
    assert statuses(wire) == [b"503"], "it is not heard"
    wire.protocol.on_deadline(wire.protocol.deadline)
    assert wire.closed
    assert plane.engine.clients == {inside}
    assert plane.engine.events.counts["router_connections_refused_total", "connections"] == 1
