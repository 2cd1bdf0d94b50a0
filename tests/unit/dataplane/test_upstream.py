"""One upstream connection: leases end once, whatever ends them, and nothing of one answer reaches another carrier."""

import pytest

from router.dataplane.faults import Fault
from router.dataplane.upstream import Upstream
from router.http1.framing import Malformed
from router.http1.head import ResponseHead
from tests.support.wires import DataPlane, Wire, settle

URL = "http://192.0.2.1:81"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Carrier:
    """Keeps what it hears; releases once the answer is whole, or lets go at the head if told so."""

    def __init__(self, upstream: Upstream, *, let_go_at_head: bool = False) -> None:
        self.upstream = upstream
        self.heard: list[object] = []
        self._let_go = let_go_at_head
        upstream.lease(self, to_head=False, request=b"GET / HTTP/1.1\r\n\r\n")

    def on_informational(self, head: ResponseHead) -> None:
        self.heard.append(head.status)

    def on_switching(self, head: ResponseHead) -> None:
        raise Malformed("not asked for")

    def on_response(self, head: ResponseHead) -> None:
        self.heard.append(head.status)
        if self._let_go:
            self.upstream.release(request_whole=True)

    def on_response_whole(self, head: ResponseHead, body: bytes) -> None:
        self.on_response(head)
        if body and self.upstream.carrier is self:
            self.on_response_body(body)
        if self.upstream.carrier is self:
            self.on_response_end()

    def on_response_body(self, data: bytes) -> None:
        self.heard.append(data)

    def on_response_end(self) -> None:
        self.heard.append("end")

    def on_received(self) -> None:
        if "end" in self.heard:
            self.upstream.release(request_whole=True)

    def on_switched(self, rest: bytes) -> None:
        raise AssertionError

    def on_upstream_lost(self, fault: Fault, detail: str) -> None:
        self.heard.append(fault)

    def on_deadline(self, now: float) -> None:
        self.heard.append("deadline")
        self.upstream.release(request_whole=False)

    def pause_request(self) -> None:
        self.heard.append("pause")

    def resume_request(self) -> None:
        self.heard.append("resume")


class Connection:
    """A connection that one carrier has leased."""

    def __init__(self, plane: DataPlane, upstream: Upstream, wire: Wire) -> None:
        self.plane, self.upstream, self.wire = plane, upstream, wire
        self.endpoint = upstream.endpoint

    def answer(self, data: bytes) -> None:
        self.upstream.data_received(data)

    @property
    def state(self) -> tuple[int, int]:
        """Leased and idle connections of the endpoint."""
        return self.endpoint._busy, len(self.endpoint._idle)


@pytest.fixture
async def connection() -> Connection:
    plane = DataPlane()

    class Waiting:
        upstream: Upstream

        def on_connected(self, upstream: Upstream) -> None:
            self.upstream = upstream

        def on_connect_failed(self, fault: Fault, detail: str) -> None:
            raise AssertionError

    waiting = Waiting()
    plane.endpoint(URL).wait(waiting)
    await settle()
    return Connection(plane, waiting.upstream, plane.wires[0])


async def test_an_answer_that_is_whole_makes_the_connection_idle(connection: Connection) -> None:
    carrier = Carrier(connection.upstream)
    assert connection.wire.take() == b"GET / HTTP/1.1\r\n\r\n"
    connection.answer(OK[:20])
    connection.answer(OK[20:])
    assert carrier.heard == [200, b"ok", "end"]
    assert connection.state == (0, 1)
    assert connection.upstream.reused


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"surplus",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ],
)
async def test_a_connection_in_doubt_is_closed(connection: Connection, answer: bytes) -> None:
    carrier = Carrier(connection.upstream)
    connection.answer(answer)
    assert carrier.heard == [200, b"ok", "end"]
    assert connection.state == (0, 0)
    assert connection.wire.aborted


async def test_a_connection_that_has_not_taken_its_request_is_not_used_again(connection: Connection) -> None:
    carrier = Carrier(connection.upstream)
    connection.upstream.pause_writing()
    connection.answer(OK)
    assert carrier.heard == ["pause", 200, b"ok", "end"]
    assert connection.state == (0, 0)


async def test_pausing_and_resuming_reach_the_carrier(connection: Connection) -> None:
    carrier = Carrier(connection.upstream)
    connection.upstream.pause_writing()
    connection.upstream.resume_writing()
    assert carrier.heard == ["pause", "resume"]
    connection.upstream.pause_reading()
    assert connection.wire.paused
    connection.upstream.resume_reading()
    assert not connection.wire.paused
    connection.answer(OK)
    assert connection.state == (0, 1)


@pytest.mark.parametrize(
    ("rest", "busy"),
    [(b"4\r\noops\r\n0\r\n\r\n", 0), (b"xyz\r\n", 0), (b"", 0)],
    ids=["whole", "malformed", "nothing"],
)
async def test_who_lets_go_at_the_head_hears_nothing_more_and_the_lease_ends_once(
    connection: Connection, rest: bytes, busy: int
) -> None:
    carrier = Carrier(connection.upstream, let_go_at_head=True)
    connection.answer(b"HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n" + rest)
    assert carrier.heard == [500]
    connection.upstream.connection_lost(None)
    assert connection.state == (busy, 0)


@pytest.mark.parametrize(
    "data", [b"nonsense\r\n\r\n", b"HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"]
)
async def test_nonsense_breaks_the_connection_once(connection: Connection, data: bytes) -> None:
    carrier = Carrier(connection.upstream)
    connection.answer(data)
    connection.upstream.connection_lost(None)
    assert carrier.heard == [Fault.BAD_UPSTREAM_ANSWER]
    assert connection.state == (0, 0)


@pytest.mark.parametrize(
    ("answer", "exc", "heard"),
    [
        (b"", None, [Fault.UPSTREAM_RESET]),
        (OK[:-1], None, [200, b"o", Fault.UPSTREAM_RESET]),
        (b"HTTP/1.1 200 OK\r\n\r\nall", None, [200, b"all", "end"]),
        (b"HTTP/1.1 200 OK\r\n\r\npart", ConnectionResetError(), [200, b"part", Fault.UPSTREAM_RESET]),
    ],
    ids=["nothing", "short", "to the end", "reset"],
)
async def test_a_lost_connection(
    connection: Connection, answer: bytes, exc: Exception | None, heard: list[object]
) -> None:
    carrier = Carrier(connection.upstream)
    if answer:
        connection.answer(answer)
    connection.wire.lose(exc)
    assert carrier.heard == heard
    assert connection.state == (0, 0)
    assert connection.upstream.slot == -1


async def test_what_comes_unasked_ends_an_idle_connection(connection: Connection) -> None:
    Carrier(connection.upstream)
    connection.answer(OK)
    connection.answer(OK)
    assert connection.wire.aborted
    assert connection.endpoint.take(0.0) is None
    connection.upstream.connection_lost(None)
    assert connection.state == (0, 0)


async def test_deadlines_reach_the_carrier_or_end_the_idle(connection: Connection) -> None:
    carrier = Carrier(connection.upstream)
    connection.upstream.on_deadline(5.0)
    assert carrier.heard == ["deadline"]
    assert connection.state == (0, 0)


@pytest.mark.parametrize(
    ("field", "seconds"),
    [(b"timeout=5", 4.0), (b"max=10, Timeout=3", 2.0), (b"timeout=0", 0.0), (b"timeout=x", 60.0)],
)
async def test_the_server_says_how_long_it_keeps_a_connection(
    connection: Connection, field: bytes, seconds: float
) -> None:
    Carrier(connection.upstream)
    connection.answer(b"HTTP/1.1 200 OK\r\nkeep-alive: %b\r\ncontent-length: 2\r\n\r\nok" % field)
    assert connection.upstream.keep_alive_for == seconds


async def test_a_detached_connection_is_no_pools_any_more(connection: Connection) -> None:
    Carrier(connection.upstream)
    transport: object = connection.upstream.detach()
    assert transport is connection.wire
    assert connection.state == (0, 0)
    assert (connection.upstream.usable, connection.upstream.slot) == (False, -1)
    assert not connection.wire.closed
