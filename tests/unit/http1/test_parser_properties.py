"""What holds of the parser for any bytes, split anywhere; what it accepts h11 reads the same way."""

from itertools import pairwise

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from router.http1.framing import CHUNKED, LAST_CHUNK, Malformed, chunk
from router.http1.head import REQUEST_DROP, RequestHead, compose_request
from router.http1.parser import RequestParser
from tests.support.parsing import (
    CHUNKS,
    PLAIN,
    RESPONSES,
    UPGRADE,
    Requests,
    read_requests,
    read_response,
)
from tests.support.properties import examples

REQUESTS = [
    PLAIN,
    CHUNKS,
    b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 3,
    PLAIN + CHUNKS + PLAIN,
    CHUNKS + PLAIN + CHUNKS,
    b"GET /old HTTP/1.0\r\n\r\n",
    b"GET /old HTTP/1.0\r\nconnection: keep-alive\r\n\r\n" + PLAIN,
    b"GET http://real.example/p HTTP/1.1\r\nhost: other\r\n\r\nOPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" + PLAIN,
    b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok" + PLAIN,
    UPGRADE + b"\x81\x05hello",
    b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n" + PLAIN,
    b"GET / HTTP/1.1\r\nhost: x\r\nconnection: x-mine\r\nx-mine: 1\r\n\r\n",
    CHUNKS + b"GET /a HTTP/1.1\r\nhost: x\r\nx-foo: GET /evil HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcX",
    PLAIN + b"nonsense\r\n\r\n",
    PLAIN + b"GET /part HTTP/1.1\r\nho",
    b"\r\n" + PLAIN + b"\r\n" + PLAIN,
]


@pytest.mark.parametrize("whole", REQUESTS, ids=range(len(REQUESTS)))
def test_every_split_of_requests_means_the_same(whole: bytes) -> None:
    expected = read_requests([whole])
    for at in range(1, len(whole)):
        assert read_requests([whole[:at], whole[at:]]) == expected, whole[:at]
    assert read_requests([whole[at : at + 1] for at in range(len(whole))]) == expected


@pytest.mark.parametrize("to_head", [False, True])
@pytest.mark.parametrize("whole", RESPONSES, ids=range(len(RESPONSES)))
def test_every_split_of_a_response_means_the_same(whole: bytes, to_head: bool) -> None:
    expected = read_response([whole], to_head=to_head)
    for at in range(1, len(whole)):
        assert read_response([whole[:at], whole[at:]], to_head=to_head) == expected, whole[:at]
    assert read_response([whole[at : at + 1] for at in range(len(whole))], to_head=to_head) == expected


@given(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=4), st.data())
def test_any_split_of_any_pipeline_means_the_same(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(parts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=6)) | {0, len(whole)})
    pieces = [whole[start:end] for start, end in pairwise(cuts)]
    assert read_requests(pieces) == read_requests([whole])


TOKEN = st.sampled_from([b"X-A", b"x-b", b"Accept", b"Content-Type", b"Cookie", b"X_Y", b"Date", b"Expect"])

VALUE = st.binary(max_size=12) | st.sampled_from(
    [b"1", b"a, b", b"\xff\x80", b" a\tb ", b"chunked", b"close"]
)

LINE = st.tuples(TOKEN, VALUE).map(lambda pair: b"%b: %b\r\n" % pair)

FRAMING = st.sampled_from(
    [b"", b"Content-Length: 3\r\n", b"content-length: 003\r\n", b"Content-Length: 0\r\n",
     b"Transfer-Encoding: chunked\r\n", b"transfer-encoding: Chunked\r\n",
     b"Content-Length: 3\r\nContent-Length: 3\r\n",
     b"Content-Length : 3\r\n", b"Content-Length: 3, 3\r\n", b"Content-Length: +3\r\n",
     b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n"]
)  # fmt: skip

START = st.tuples(
    st.sampled_from([b"GET", b"POST", b"PUT", b"HEAD", b"DELETE", b"OPTIONS", b"PATCH", b"get", b"PROPFIND"]),
    st.sampled_from(
        [b"/", b"/a%2F//b:c", b"/?q=%20a&b", b"/a b", b"*", b"http://h/p", b"/\xc3\xa9", b"/a#b", b"/{}|^"]
    ),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"ICE/1.0"]),
).map(b" ".join)

CONNECTION = st.sampled_from(
    [b"", b"Connection: keep-alive\r\n", b"Connection: x-a\r\n", b"connection: close, TE\r\n"]
)

BODY = st.sampled_from(
    [b"", b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n", b"0\r\n\r\n"]
)


def rewritten(head: RequestHead, body: list[bytes]) -> bytes:
    """The request as it goes upstream."""
    out = compose_request(head, b"", b" HTTP/1.1\r\nhost: up\r\n")
    out.append(b"\r\n")
    if head.framing is CHUNKED:
        return b"".join([*out, *map(chunk, body), LAST_CHUNK])
    return b"".join([*out, *body])


@settings(max_examples=examples(400))
@given(START, st.lists(LINE, max_size=5), FRAMING, CONNECTION, BODY)
def test_what_is_accepted_and_passed_on_is_one_request_to_h11(
    start: bytes, lines: list[bytes], framing: bytes, connection: bytes, body: bytes
) -> None:
    sink = Requests()
    parser = RequestParser(sink)
    try:
        parser.feed(b"%b\r\nHost: x\r\n%b%b%b\r\n%b" % (start, b"".join(lines), framing, connection, body))
    except Malformed:
        return
    if ("end",) not in sink.events:
        return
    head = sink.heads[0]
    first = sink.events[1] if len(sink.events) > 1 else ("end",)
    sent = [first[1]] if first[0] == "body" and isinstance(first[1], bytes) else []

    server = h11.Connection(h11.SERVER)
    server.receive_data(rewritten(head, sent))
    request = server.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method, request.target) == (head.method, head.target)
    dropped = REQUEST_DROP | (head.nominated or frozenset())
    expected = [(name, value) for name, _, value, _ in head.fields if name not in dropped]
    got = [(name, value) for name, value in request.headers if name not in (b"host", b"transfer-encoding")]
    assert got == expected
    read = b""
    while isinstance(event := server.next_event(), h11.Data):
        read += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert read == b"".join(sent)
    assert server.trailing_data[0] == b""


@settings(max_examples=examples(300))
@given(st.lists(st.binary(max_size=40) | st.sampled_from([*REQUESTS, b"\r\n\r\n", b"0\r\n"]), max_size=5))
def test_requests_of_any_bytes_raise_malformed_or_nothing(pieces: list[bytes]) -> None:
    read_requests([piece for piece in pieces if piece])


@settings(max_examples=examples(300))
@given(
    st.lists(st.binary(max_size=40) | st.sampled_from([*RESPONSES, b"\r\n\r\n", b"0\r\n"]), max_size=5),
    st.booleans(),
)
def test_responses_of_any_bytes_raise_malformed_or_nothing(pieces: list[bytes], to_head: bool) -> None:
    read_response([piece for piece in pieces if piece], to_head=to_head)


@example(REQUESTS[11], 71, b"!")
@given(st.sampled_from(REQUESTS), st.integers(0, 400), st.binary(min_size=1, max_size=1))
def test_a_damaged_request_raises_malformed_or_nothing(whole: bytes, at: int, byte: bytes) -> None:
    at %= len(whole)
    read_requests([whole[:at] + byte + whole[at + 1 :]])
