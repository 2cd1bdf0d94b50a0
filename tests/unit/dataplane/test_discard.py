"""An unwanted answer is read to its end where that is cheap; else its connection is closed."""

import pytest

from router.dataplane import discard as discarding
from router.patterns.plan import Plan
from tests.support.wires import DataPlane, leftovers, settle
from tests.support.workers import deployment

V1, V2 = "http://192.0.2.1:1", "http://192.0.2.2:2"
FALLBACK = Plan("v1", "v2", 10_000, fallback="v1")


async def failing(answer: bytes, *, request: bytes = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n") -> DataPlane:
    """A candidate answers so and stable takes over."""
    plane = DataPlane(deployment({"v1": V1, "v2": V2}, FALLBACK))
    client, wire = plane.client()
    client.data_received(request)
    await settle()
    plane.wires[0].protocol.data_received(answer)
    await settle()
    assert len(plane.wires) == 2
    plane.wires[1].protocol.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n")
    assert wire.take().endswith(b"\r\n\r\n")
    plane.wires[1].protocol.data_received(b"good")
    assert wire.take() == b"good"
    return plane


async def test_a_short_answer_is_read_and_its_connection_used_again() -> None:
    plane = await failing(b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noo")
    assert leftovers(plane.engine) != []
    plane.wires[0].protocol.data_received(b"ps")
    assert leftovers(plane.engine) == []
    assert len(plane.endpoint(V2)._idle) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n4\r\noops\r\n0\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 500 Oops\r\n\r\nto the end",
        b"HTTP/1.1 500 Oops\r\ncontent-length: %d\r\n\r\nx" % (discarding.LIMIT + 1),
    ],
    ids=["chunked", "empty", "malformed", "to the end", "large"],
)
async def test_another_one_is_not_worth_it(answer: bytes) -> None:
    """Nothing of it reaches the client either, though it came in one read with the head."""
    plane = await failing(answer)
    assert plane.wires[0].aborted
    assert leftovers(plane.engine) == []


async def test_an_answer_before_the_request_was_whole_is_not_read() -> None:
    plane = DataPlane(deployment({"v1": V1, "v2": V2}, FALLBACK))
    client, _ = plane.client()
    client.data_received(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab")
    await settle()
    plane.wires[0].protocol.data_received(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n")
    await settle()
    assert plane.wires[0].aborted
    client.data_received(b"cd")
    assert plane.wires[1].sent.endswith(b"abcd")


async def test_patience_ends() -> None:
    plane = await failing(b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noo")
    candidate = plane.wires[0].protocol
    assert candidate.deadline <= plane.engine.time + discarding.PATIENCE
    candidate.on_deadline(candidate.deadline)
    assert plane.wires[0].aborted
    assert leftovers(plane.engine) == []


async def test_a_loss_while_reading_is_nobodys_matter() -> None:
    plane = await failing(b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noo")
    plane.wires[0].lose()
    assert leftovers(plane.engine) == []
