"""The parser: alike for every split, never wider than what h11 reads, and no surprise from any bytes."""

from itertools import pairwise

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from router.http1.framing import CHUNKED, LAST_CHUNK, HeadTooLarge, Malformed, TargetTooLong, chunk
from router.http1.head import REQUEST_DROP, HeadLimits, RequestHead, ResponseHead, compose_request
from router.http1.parser import RequestParser, ResponseParser
from tests.support.properties import examples

Event = tuple[object, ...]


class Requests:
    """A sink that keeps what happened; neighbouring body pieces are one."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.heads: list[RequestHead] = []
        self.held = 0

    def on_request(self, head: RequestHead) -> None:
        self.heads.append(head)
        self.events.append(
            (head.method, head.target, head.host, head.minor, tuple(head.fields), head.framing, head.length,
             head.keep_alive, head.upgrade, head.nominated)
        )  # fmt: skip

    def on_request_body(self, data: bytes) -> None:
        assert data
        _add_body(self.events, data)

    def on_request_whole(self, head: RequestHead, body: bytes) -> None:
        self.on_request(head)
        if body:
            self.on_request_body(body)
        self.on_request_end()

    def on_request_end(self) -> None:
        self.events.append(("end",))

    def on_held(self, size: int) -> None:
        self.held = size


class Responses:
    """The same for responses; `decline`: a 101 was not asked for."""

    def __init__(self, *, decline: bool = False) -> None:
        self.events: list[Event] = []
        self._decline = decline

    def _add(self, kind: str, head: ResponseHead) -> None:
        self.events.append(
            (kind, head.status, head.reason, head.minor, tuple(head.fields), head.framing, head.length,
             head.keep_alive)
        )  # fmt: skip

    def on_informational(self, head: ResponseHead) -> None:
        self._add("informational", head)

    def on_switching(self, head: ResponseHead) -> None:
        if self._decline:
            raise Malformed("a 101 nobody asked for")
        self._add("switching", head)

    def on_response(self, head: ResponseHead) -> None:
        self._add("response", head)

    def on_response_body(self, data: bytes) -> None:
        assert data
        _add_body(self.events, data)

    def on_response_whole(self, head: ResponseHead, body: bytes) -> None:
        self.on_response(head)
        if body:
            self.on_response_body(body)
        self.on_response_end()

    def on_response_end(self) -> None:
        self.events.append(("end",))


def _add_body(events: list[Event], data: bytes) -> None:
    if events and events[-1][0] == "body":
        data = events.pop()[1] + data  # type: ignore[operator]
    events.append(("body", data))


def read_requests(pieces: list[bytes]) -> tuple[list[Event], bool]:
    """What came of it, and whether it was malformed."""
    sink = Requests()
    parser = RequestParser(sink)
    try:
        for piece in pieces:
            parser.feed(piece)
    except Malformed:
        return sink.events, True
    return [*sink.events, ("held", parser.held, parser.mid_message)], False


def read_response(pieces: list[bytes], *, to_head: bool = False) -> tuple[list[Event], bool]:
    sink = Responses()
    parser = ResponseParser()
    parser.expect(sink, to_head)
    try:
        for piece in pieces:
            parser.feed(piece)
    except Malformed:
        return sink.events, True
    return [*sink.events, ("state", parser.reusable, parser.surplus, parser.switched, parser.finish())], False


PLAIN = b"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
CHUNKS = b"PUT /c HTTP/1.1\r\nhost: y\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n"
UPGRADE = b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"

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

RESPONSES = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nto the end",
    b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.0 200\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\ncontent-length: 70\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 200 OK\r\nx: HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na",
    b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
    b"HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
    b"HTTP/9.9 nonsense\r\n\r\n",
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


def test_a_head_cut_behind_a_chunked_request_is_no_place_for_another_one() -> None:
    """What lies in the second piece is the value of a field, whatever it looks like."""
    events, _ = read_requests(
        [CHUNKS + b"GET /a HTTP/1.1\r\nx-foo: ", b"GET /evil HTTP/1.1\r\nhost: y\r\n\r\n"]
    )
    targets = [event[1] for event in events if len(event) > 3]
    assert targets == [b"/c", b"/a"]


# What the parser accepts and the router writes, h11 reads the same way.

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


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: 1\r\n" * HeadLimits().fields + b"\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 70_000,
    ],
    ids=["value", "fields", "endless"],
)
def test_heads_have_limits(head: bytes) -> None:
    with pytest.raises(HeadTooLarge):
        RequestParser(Requests()).feed(head)


@pytest.mark.parametrize("rest", [b" HTTP/1.1\r\nhost: x\r\n\r\n", b"a" * 70_000], ids=["whole", "endless"])
def test_targets_have_a_limit(rest: bytes) -> None:
    limits = HeadLimits(target=2000)
    RequestParser(Requests(), limits=limits).feed(b"GET /" + b"a" * 1999 + b" HTTP/1.1\r\nhost: x\r\n\r\n")
    with pytest.raises(TargetTooLong, match="2000"):
        RequestParser(Requests(), limits=limits).feed(b"GET /" + b"a" * 2000 + rest)


def test_limits_of_a_head_are_those_given() -> None:
    limits = HeadLimits(size=5000, fields=120)
    head = b"GET / HTTP/1.1\r\nhost: x\r\n%b\r\n"
    RequestParser(Requests(), limits=limits).feed(head % (b"a: 1\r\n" * 119))
    RequestParser(Requests(), limits=limits).feed(head % (b"x: " + b"a" * 4900 + b"\r\n"))
    with pytest.raises(HeadTooLarge, match="120 fields"):
        RequestParser(Requests(), limits=limits).feed(head % (b"a: 1\r\n" * 120))
    with pytest.raises(HeadTooLarge, match="5000"):
        RequestParser(Requests(), limits=limits).feed(head % (b"x: " + b"a" * 5000 + b"\r\n"))


@pytest.mark.parametrize("waste", [b"x: " + b"a" * 3000, b"5;" + b"a" * 3000], ids=["trailer", "extension"])
def test_what_a_chunked_body_brings_beside_its_data_is_bounded(waste: bytes) -> None:
    """Else a trailer without an end would be gathered for ever."""
    start = b"0\r\n" if waste[:1] == b"x" else b""
    chunked = b"transfer-encoding: chunked\r\n\r\n" + start
    requests = RequestParser(Requests(), limits=HeadLimits(size=5000))
    requests.feed(b"POST / HTTP/1.1\r\nhost: x\r\n" + chunked)
    requests.feed(waste)
    with pytest.raises(HeadTooLarge):
        requests.feed(b"a" * 3000)
    responses = ResponseParser(limits=HeadLimits(size=5000))
    responses.expect(Responses(), False)
    responses.feed(b"HTTP/1.1 200 OK\r\n" + chunked)
    responses.feed(waste)
    with pytest.raises(HeadTooLarge):
        responses.feed(b"a" * 3000)


def test_data_of_a_chunked_body_is_not() -> None:
    sink = Requests()
    parser = RequestParser(sink, limits=HeadLimits(size=5000))
    parser.feed(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(100):
        parser.feed(chunk(b"x" * 1000))
    parser.feed(LAST_CHUNK)
    assert sink.events[-1] == ("end",)


def test_many_requests_in_one_read_are_no_large_head() -> None:
    events, malformed = read_requests([PLAIN * 3000 + CHUNKS * 1000])
    assert not malformed
    assert events.count(("end",)) == 4000


def test_a_refusal_is_told_even_while_the_caller_handles_another_error() -> None:
    """As when a connection could not be made for an upgrade, and the bytes behind it are no request."""
    parser = RequestParser(Requests())
    parser.feed(UPGRADE + b"GET / HTTP/1.1\r\n\r\n")
    try:
        raise OSError
    except OSError:
        with pytest.raises(Malformed, match="Host"):
            parser.resume()


def test_whether_a_message_has_begun() -> None:
    parser = RequestParser(Requests())
    seen = []
    for piece in (PLAIN[:10], PLAIN[10:-2], PLAIN[-2:], CHUNKS + b"GET", b" / HTTP/1.1\r\nhost: x\r\n\r\n"):
        parser.feed(piece)
        seen.append(parser.mid_message)
    assert seen == [True, True, False, True, False]


def test_a_declined_upgrade_goes_on_with_requests() -> None:
    sink = Requests()
    parser = RequestParser(sink)
    parser.feed(UPGRADE + PLAIN[:9])
    parser.feed(PLAIN[9:])
    assert (len(sink.heads), parser.held, sink.held) == (1, PLAIN, len(PLAIN))
    parser.resume()
    assert [head.target for head in sink.heads] == [b"/ws", b"/a?b"]
    assert sink.events[-2:] == [("body", b"abc"), ("end",)]


def test_a_switch_nobody_asked_for_is_malformed() -> None:
    parser = ResponseParser()
    parser.expect(Responses(decline=True), False)
    with pytest.raises(Malformed):
        parser.feed(RESPONSES[11])
    bare = Responses()
    parser = ResponseParser()
    parser.expect(bare, False)
    with pytest.raises(Malformed):
        parser.feed(b"HTTP/1.1 101 Switching\r\n\r\n")
    assert bare.events == []


def test_a_connection_carries_one_response_after_another() -> None:
    parser = ResponseParser()
    for whole in (RESPONSES[0], RESPONSES[3], RESPONSES[7], RESPONSES[9], RESPONSES[0]):
        sink = Responses()
        parser.expect(sink, False)
        parser.feed(whole)
        assert sink.events[-1] == ("end",)
        assert parser.reusable


def test_the_close_ends_only_what_nothing_else_can_end() -> None:
    assert read_response([RESPONSES[4]])[0][-1][-1] is True
    assert read_response([RESPONSES[14]])[0][-1][-1] is False
    assert read_response([RESPONSES[15]])[0][-1][-1] is False


UPGRADE_ELSEWHERE = b"POST /x HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n"


@pytest.mark.parametrize(
    "whole",
    [
        UPGRADE_ELSEWHERE + b"content-length: 3\r\n\r\nabc" + PLAIN,
        UPGRADE_ELSEWHERE + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n" + PLAIN,
        UPGRADE_ELSEWHERE + b"content-length: 0\r\n\r\n" + PLAIN,
    ],
    ids=["length", "chunks", "empty"],
)
def test_the_body_of_a_request_to_upgrade_is_no_request(whole: bytes) -> None:
    """llhttp takes it for the other protocol. Were it parsed as a request, one could be smuggled in it."""
    events, malformed = read_requests([whole])
    assert not malformed
    assert [event[1] for event in events if event[0] in (b"POST", b"GET")] == [b"/x", b"/a?b"]
    assert events.count(("body", b"abc")) == (1 if b"length: 0" in whole else 2)
    for at in range(1, len(whole)):
        assert read_requests([whole[:at], whole[at:]]) == (events, False)


def test_many_requests_to_upgrade_in_one_read_do_not_nest() -> None:
    events, malformed = read_requests(
        [b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n" * 3000]
    )
    assert not malformed
    assert events.count(("end",)) == 3000


@pytest.mark.parametrize("name", [b"connection: close", b"Transfer-Encoding: chunked", b"upgrade: h2c"])
def test_a_trailer_that_llhttp_would_heed_is_refused(name: bytes) -> None:
    wire = b"PUT / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n" + name + b"\r\n\r\n"
    assert read_requests([wire])[1]
    assert read_requests([bytes([byte]) for byte in wire])[1]


def test_a_trailer_says_nothing_about_the_next_answer() -> None:
    wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nconnection: close\r\n\r\n"
    parser = ResponseParser()
    for _ in range(2):
        sink = Responses()
        parser.expect(sink, False)
        parser.feed(wire)
        assert parser.reusable
        assert sink.events[-1] == ("end",)


def test_what_comes_behind_an_answer_to_head_is_no_part_of_its_head() -> None:
    parser = ResponseParser()
    parser.expect(Responses(), True)
    parser.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nT: 1\r\n\r\n")
    assert parser.head is not None
    assert [field[0] for field in parser.head.fields] == [b"transfer-encoding"]


@pytest.mark.parametrize("upgrade", [b"", b"upgrade: h2c\r\n"])
def test_a_101_switches_to_websocket_or_is_malformed(upgrade: bytes) -> None:
    wire = b"HTTP/1.1 101 X\r\nconnection: upgrade\r\n" + upgrade + b"\r\n"
    assert read_response([wire])[1]
