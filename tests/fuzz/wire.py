"""Targets: what comes over the wire from clients and model servers.

The first byte of an input says how the rest is cut into reads. Held against each other: one read and many, the fast
way through plain heads and llhttp, and what is passed on against h11, which shares no code with either.
"""

import h11

from router.http1.framing import CHUNKED, LAST_CHUNK, UNTIL_CLOSE, chunk
from router.http1.head import (
    REQUEST_DROP,
    RESPONSE_DROP,
    RequestHead,
    ResponseHead,
    compose_request,
    response_lines,
)
from router.http1.plain import KnownLines
from tests.fuzz.sinks import Message, NothingKnown, read_requests, read_responses

UPSTREAM = b" HTTP/1.1\r\nhost: up\r\n"


def cut(data: bytes) -> tuple[bytes, list[bytes]]:
    """The bytes, and the same in reads of a size that their first byte names."""
    size, data = (data[0] % 64 + 1, data[1:]) if data else (1, b"")
    return data, [data[at : at + size] for at in range(0, len(data), size)]


def requests(data: bytes) -> None:
    """A client's bytes."""
    wire, pieces = cut(data)
    whole, refused = read_requests([wire], KnownLines())
    for others, other_refused in (
        read_requests([wire], NothingKnown()),
        read_requests(pieces, KnownLines()),
        read_requests(pieces, NothingKnown()),
    ):
        assert other_refused == refused, "refused or not, by how it came"
        assert list(map(_request_meaning, others)) == list(map(_request_meaning, whole))
    for message in whole:
        if message.whole:
            _same_to_h11(message)


def _request_meaning(message: Message[RequestHead]) -> tuple[object, ...]:
    head = message.head
    return (
        head.method, head.target, head.host, head.minor, head.fields, head.framing, head.length, head.keep_alive,
        head.upgrade, head.nominated, message.body, message.whole,
    )  # fmt: skip


def forwarded(message: Message[RequestHead]) -> bytes:
    """The request as it goes upstream, but for what the router adds."""
    out = [*compose_request(message.head, b"", UPSTREAM), b"\r\n"]
    if message.head.framing is CHUNKED:
        out += [chunk(message.body)] if message.body else []
        out.append(LAST_CHUNK)
    else:
        out.append(message.body)
    return b"".join(out)


def _same_to_h11(message: Message[RequestHead]) -> None:
    head = message.head
    server = h11.Connection(h11.SERVER)
    server.receive_data(forwarded(message))
    request = server.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method, request.target) == (head.method, head.target)
    ours = {b"host", b"transfer-encoding", b"connection", b"upgrade"}
    dropped = REQUEST_DROP | (head.nominated or frozenset())
    sent = [(name, value) for name, _, value, _ in head.fields if name not in dropped]
    assert [pair for pair in request.headers if pair[0] not in ours] == sent
    body = b""
    while isinstance(event := server.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert body == message.body
    assert server.trailing_data[0] == b"", "more than one request"


def responses(data: bytes) -> None:
    """A model server's bytes, in answer to a GET."""
    _responses(data, to_head=False)


def responses_to_head(data: bytes) -> None:
    """The same in answer to a HEAD."""
    _responses(data, to_head=True)


def _responses(data: bytes, *, to_head: bool) -> None:
    wire, pieces = cut(data)
    whole, refused, reusable = read_responses([wire], KnownLines(), to_head=to_head)
    others, other_refused, other_reusable = read_responses([wire], NothingKnown(), to_head=to_head)
    assert other_refused == refused
    assert other_reusable or not reusable  # llhttp passes over line ends behind an answer
    assert list(map(_response_meaning, others)) == list(map(_response_meaning, whole))
    # Bytes behind an answer are read by nobody: whether they would have been refused may depend on the cut.
    others, other_refused, _ = read_responses(pieces, KnownLines(), to_head=to_head)
    if not (whole and whole[-1].whole):
        assert other_refused == refused
    assert list(map(_response_meaning, others)) == list(map(_response_meaning, whole))
    for message in whole:
        if message.whole and message.head.status != 101:
            _same_answer_to_h11(message, to_head=to_head)


def _response_meaning(message: Message[ResponseHead]) -> tuple[object, ...]:
    head = message.head
    return (
        head.status, head.reason, head.minor, head.fields, head.framing, head.length, head.keep_alive,
        head.nominated, message.body, message.whole,
    )  # fmt: skip


def _same_answer_to_h11(message: Message[ResponseHead], *, to_head: bool) -> None:
    head = message.head
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="HEAD" if to_head else "GET", target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    end, body = b"\r\n", message.body
    if head.framing in (CHUNKED, UNTIL_CLOSE):
        end = b"transfer-encoding: chunked\r\n\r\n"
        body = (chunk(body) if body else b"") + LAST_CHUNK
    client.receive_data(response_lines(head) + end + body)
    answer = client.next_event()
    assert isinstance(answer, (h11.Response, h11.InformationalResponse))
    assert (answer.status_code, answer.reason) == (head.status, head.reason)
    dropped = RESPONSE_DROP | head.nominated
    if head.status < 200 or head.status == 204:
        dropped |= {b"content-length"}
    sent = [(name, value) for name, _, value, _ in head.fields if name not in dropped]
    assert [pair for pair in answer.headers if pair[0] != b"transfer-encoding"] == sent
    if head.status < 200:
        return
    read = b""
    while isinstance(event := client.next_event(), h11.Data):
        read += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert read == message.body
