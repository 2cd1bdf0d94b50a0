"""The fast way and llhttp agree: what is plain means the same to both, and what is not is left alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.http1.framing import LENGTH, Malformed
from router.http1.head import RequestHead, ResponseHead
from router.http1.parser import RequestParser, ResponseParser
from router.http1.plain import KNOWN, KnownLines

pytestmark = pytest.mark.uncompiled


class NothingKnown(KnownLines):
    """Finds nothing plain, so that llhttp reads everything."""

    def request(self, text: bytes) -> RequestHead | None:
        return None

    def response(self, text: bytes, to_head: bool) -> ResponseHead | None:
        return None


class Seen:
    """What a parser told its sink."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def _head(self, head: RequestHead | ResponseHead) -> None:
        fields = [(lower, name, value) for lower, name, value, _ in head.fields]
        own = [
            getattr(head, name)
            for name in ("method", "target", "host", "status", "reason")
            if hasattr(head, name)
        ]
        self.told.append((*own, head.minor, fields, head.index, head.framing, head.length, head.keep_alive))

    on_request = on_response = on_informational = on_switching = _head

    def on_request_whole(self, head: RequestHead, body: bytes) -> None:
        self._head(head)
        if body:
            self.told.append(body)
        self.told.append("end")

    def on_response_whole(self, head: ResponseHead, body: bytes) -> None:
        self._head(head)
        if body:
            self.told.append(body)
        self.told.append("end")

    def on_held(self, size: int) -> None: ...

    def on_request_body(self, data: bytes) -> None:
        self.told.append(data)

    on_response_body = on_request_body

    def on_request_end(self) -> None:
        self.told.append("end")

    on_response_end = on_request_end


def _told(parser: RequestParser | ResponseParser, seen: Seen, data: bytes) -> list[Any] | None:
    try:
        parser.feed(data)
    except Malformed:
        return None
    return seen.told


names = st.sampled_from(
    [b"X-User-Id", b"content-type", b"Accept", b"cookie", b"connection", b"Content-Length", b"host", b"expect", b"te",
     b"Upgrade", b"transfer-encoding", b"keep-alive", b"x", b"bad name", b"a:b", b"", b"proxy-connection"]
)  # fmt: skip
values = st.one_of(
    st.sampled_from(
        [
            b"1",
            b"0",
            b"close",
            b"keep-alive",
            b"chunked",
            b"websocket",
            b"upgrade",
            b"4",
            b"a, b",
            b"t",
            b" x ",
        ]
    ),
    st.text(alphabet=st.characters(max_codepoint=255), max_size=12).map(lambda text: text.encode("latin-1")),
)
gaps = st.sampled_from([b": ", b":", b":\t ", b" : ", b":  "])
fields = st.lists(st.tuples(names, gaps, values).map(b"".join), max_size=6)
targets = st.one_of(
    st.sampled_from([b"/", b"/v2/models/m/infer?x=%20", b"*", b"http://h/p", b"", b"/a b", b"/#f", b"/\xe9"]),
    st.text(alphabet=st.characters(max_codepoint=255), max_size=8).map(
        lambda text: b"/" + text.encode("latin-1")
    ),
)
methods = st.sampled_from([b"GET", b"POST", b"HEAD", b"PATCH", b"get", b"CONNECT", b"FOO", b"OPTIONS"])
versions = st.sampled_from([b" HTTP/1.1", b" HTTP/1.0", b" HTTP/2.0", b"", b" HTTP/1.1 "])


@given(
    methods,
    targets,
    versions,
    fields,
    st.booleans(),
    st.sampled_from([b"", b"body", b"bodyGET / HTTP/1.1\r\nhost: t\r\n\r\n"]),
)
def test_a_plain_request_means_the_same_to_llhttp(
    method: bytes, target: bytes, version: bytes, lines: list[bytes], with_host: bool, rest: bytes
) -> None:
    text = b"\r\n".join([method + b" " + target + version, *([b"host: t"] if with_host else []), *lines])
    if KnownLines().request(text) is None:
        return
    data = text + b"\r\n\r\n" + rest
    fast, slow = Seen(), Seen()
    assert _told(RequestParser(fast), fast, data) == _told(RequestParser(slow, NothingKnown()), slow, data)
    assert fast.told


@given(st.sampled_from([b"200 OK", b"204 No", b"304 x", b"500 Very bad", b"100 C", b"101 S", b"99 x", b"200 ", b"200"]),
       fields, st.booleans(), st.binary(max_size=6))  # fmt: skip
def test_a_plain_response_means_the_same_to_llhttp(
    status: bytes, lines: list[bytes], to_head: bool, rest: bytes
) -> None:
    text = b"\r\n".join([b"HTTP/1.1 " + status, *lines])
    if KnownLines().response(text, to_head) is None:
        return
    data = text + b"\r\n\r\n" + rest
    fast, slow = Seen(), Seen()
    quick, plain = ResponseParser(), ResponseParser(NothingKnown())
    quick.expect(fast, to_head)
    plain.expect(slow, to_head)
    assert _told(quick, fast, data) == _told(plain, slow, data)
    assert quick.surplus == plain.surplus
    assert quick.reusable == plain.reusable


def test_usual_heads_are_plain() -> None:
    known = KnownLines()
    request = known.request(
        b"POST /v2/models/m/infer?a=1 HTTP/1.1\r\nHost: t:1\r\nConnection: keep-alive\r\nContent-Length: 3"
    )
    assert request is not None
    assert (request.method, request.target, request.host) == (b"POST", b"/v2/models/m/infer?a=1", b"t:1")
    assert (request.framing, request.length) == (LENGTH, 3)
    response = known.response(b"HTTP/1.1 200 OK\r\nserver: x\r\ncontent-length: 3", False)
    assert response is not None
    assert (response.status, response.reason, response.length) == (200, b"OK", 3)


@pytest.mark.parametrize(
    "text",
    [
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.0\r\nhost: t",
        b"GET / HTTP/1.1\r\nhost: t\r\nhost: t",
        b"GET / HTTP/1.1\r\nhost: t\r\nconnection: close",
        b"GET / HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: websocket",
        b"POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked",
        b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 3, 3",
        b"GET / HTTP/1.1\r\nhost: t\r\nx: 1 ",
        b"GET / HTTP/1.1\r\nhost: t\r\n folded: 1",
        b"GET / HTTP/1.1\nhost: t",
        b"\r\nGET / HTTP/1.1\r\nhost: t",
    ],
)
def test_what_needs_a_second_look_is_left_to_llhttp(text: bytes) -> None:
    assert KnownLines().request(text) is None


def test_more_fields_than_llhttp_would_let_pass_are_never_plain_however_well_known() -> None:
    known = KnownLines()
    names = [b"x%d: 1" % number for number in range(150)]
    for some in (names[:75], names[75:]):
        assert known.request(b"\r\n".join([b"GET / HTTP/1.1", b"host: t", *some])) is not None
    assert known.response(b"HTTP/1.1 200 OK\r\ncontent-length: 0", False) is not None
    assert known.request(b"\r\n".join([b"GET / HTTP/1.1", b"host: t", *names])) is None
    assert known.response(b"\r\n".join([b"HTTP/1.1 200 OK", b"content-length: 0", *names]), False) is None


def test_what_is_remembered_is_bounded() -> None:
    known = KnownLines()
    for number in range(3 * KNOWN):
        assert known.request(b"GET /%d HTTP/1.1\r\nhost: t\r\nx: %d" % (number, number)) is not None
        assert known.response(b"HTTP/1.1 200 OK\r\ncontent-length: %d" % number, False) is not None
    for remembered in (known._fields, known._requests, known._responses):
        assert len(remembered) <= KNOWN


def test_an_answer_to_head_is_not_taken_for_one_to_get() -> None:
    known = KnownLines()
    text = b"HTTP/1.1 200 OK\r\ncontent-length: 3"
    for to_head, length in ((False, 3), (True, 0), (False, 3)):
        head = known.response(text, to_head)
        assert head is not None
        assert (head.length if head.framing is LENGTH else 0) == length
