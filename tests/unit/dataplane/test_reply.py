"""The client's side of an answer: framing of this hop, persistence, truncation, and the router's own answers."""

import re

import pytest

from router.patterns.plan import Plan
from tests.support.wires import DataPlane, Wire, leftovers, settle
from tests.support.workers import deployment

URL = "http://192.0.2.1:1"
NEW = b"GET /x HTTP/1.1\r\nhost: h\r\n\r\n"
OLD = b"GET /x HTTP/1.0\r\n\r\n"
OLD_KEPT = b"GET /x HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"
CLOSE = b"GET /x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
HEAD = b"HEAD /x HTTP/1.1\r\nhost: h\r\n\r\n"

LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1;x\r\nk\r\n0\r\nT: 1\r\n\r\n"
TO_THE_END = b"HTTP/1.1 200 OK\r\n\r\nok"


async def answered(request: bytes, answer: bytes, *, lose: bool = False, draining: bool = False) -> Wire:
    """The client's wire after this answer."""
    plane = DataPlane(deployment({"v1": URL}))
    plane.engine.draining = draining
    client, wire = plane.client()
    client.data_received(request)
    await settle()
    plane.wires[0].protocol.data_received(answer)
    if lose:
        plane.wires[0].lose()
    assert leftovers(plane.engine) == []
    return wire


@pytest.mark.parametrize(
    ("request_bytes", "answer", "fields", "body", "closed"),
    [
        (NEW, LENGTH, b"content-length: 2\r\n", b"ok", False),
        (CLOSE, LENGTH, b"content-length: 2\r\nconnection: close\r\n", b"ok", True),
        (OLD, LENGTH, b"content-length: 2\r\nconnection: close\r\n", b"ok", True),
        (OLD_KEPT, LENGTH, b"content-length: 2\r\nconnection: keep-alive\r\n", b"ok", False),
        (NEW, CHUNKED, b"transfer-encoding: chunked\r\n", b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n", False),
        (OLD_KEPT, CHUNKED, b"connection: close\r\n", b"ok", True),
        (NEW, TO_THE_END, b"transfer-encoding: chunked\r\n", b"2\r\nok\r\n0\r\n\r\n", False),
        (OLD, TO_THE_END, b"connection: close\r\n", b"ok", True),
        (HEAD, CHUNKED.partition(b"1\r\n")[0], b"", b"", False),
        (HEAD, LENGTH[:-2], b"content-length: 2\r\n", b"", False),
    ],
)
async def test_the_framing_is_of_this_hop(
    request_bytes: bytes, answer: bytes, fields: bytes, body: bytes, closed: bool
) -> None:
    wire = await answered(request_bytes, answer, lose=answer is TO_THE_END)
    own = rb"x-router-version: v1\r\nx-request-id: [0-9a-f]{12}-0\r\n\r\n"
    assert re.fullmatch(rb"HTTP/1\.1 200 OK\r\n" + re.escape(fields) + own + re.escape(body), wire.sent)
    assert wire.ended is closed


async def test_a_draining_worker_says_so_with_its_answer() -> None:
    wire = await answered(NEW, LENGTH, draining=True)
    assert b"\r\nconnection: close\r\n" in wire.sent
    assert wire.ended


@pytest.mark.parametrize(
    ("request_bytes", "answer", "hard"),
    [
        (NEW, LENGTH[:-1], False),
        (NEW, CHUNKED[:-9], False),
        (OLD, LENGTH[:-1], False),
        (OLD, CHUNKED[:-9], True),
    ],
)
async def test_an_answer_that_is_not_whole_never_looks_whole(
    request_bytes: bytes, answer: bytes, hard: bool
) -> None:
    """Where only the end of the connection ends the body, a reset has to say that it is not all."""
    wire = await answered(request_bytes, answer, lose=True)
    assert not wire.sent.endswith(b"0\r\n\r\n")
    assert (wire.ended, wire.aborted) == (True, hard)


async def test_the_routers_own_answer_names_the_version_and_keeps_the_connection() -> None:
    plane = DataPlane(deployment({"v1": URL}, Plan("v1")))
    plane.engine.runtime.set_down(frozenset((URL,)))
    client, wire = plane.client()
    client.data_received(b"HEAD /x HTTP/1.1\r\nhost: h\r\nx-request-id: mine\r\n\r\n")
    head = wire.take()
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"x-router-version: v1\r\nx-request-id: mine\r\n" in head
    assert head.endswith(b"\r\n\r\n")
    assert not wire.ended
    client.data_received(OLD)
    assert b"connection: close\r\n" in wire.sent
    assert wire.ended
    assert plane.codes("v1") == {503: 2}
