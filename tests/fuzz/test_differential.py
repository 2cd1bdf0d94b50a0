"""Odd but legal requests: what the router forwards is what the client meant, to h11 and to httptools alike.

The requests go through a whole data plane without sockets; what its upstream connection was given is read by the two.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import h11
import httptools
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.properties import examples
from tests.support.wires import DataPlane, settle
from tests.support.workers import deployment

UPSTREAM = "http://127.0.0.1:9"
OURS = {b"host", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-request-id"}
FRAMES = {b"content-length", b"transfer-encoding"}


@dataclass
class Meant:
    """A request as its sender means it: `wire` says it in one of many ways."""

    method: bytes
    target: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes
    wire: bytes


@dataclass
class Read:
    """A request as one of the two read it; `fields` without those of the router and those that frame."""

    method: bytes = b""
    target: bytes = b""
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    ends: int = 0


TOKEN = st.text("!#$%&'*+-.^`|~0123456789abcdefXYZ", min_size=1, max_size=12).map(str.encode)
NAME = TOKEN.map(lambda token: b"x-" + token)
VISIBLE = st.sampled_from([bytes([byte]) for byte in (*range(0x21, 0x7F), 0x80, 0xC3, 0xFF)])
VALUE = st.lists(st.lists(VISIBLE, min_size=1, max_size=6).map(b"".join), max_size=3).flatmap(
    lambda words: st.sampled_from([b" ", b"\t", b"  "]).map(lambda space: space.join(words))
)
SPACE = st.sampled_from([b"", b" ", b"\t", b" \t "])
PATH = st.lists(
    st.sampled_from([b"a", b"b:c", b"%2F", b"%zz", b"", b"..", b"~;p=1", b"{}", b"a=b,c"]), max_size=4
).map(lambda segments: b"/" + b"/".join(segments))
QUERY = st.sampled_from([b"", b"?", b"?a=b&c", b"?/?", b"?%00"])
CHUNK_END = st.sampled_from([b"\r\n", b";a\r\n", b';a="b;c"\r\n', b";a=b;c\r\n"])
TRAILERS = st.sampled_from([b"", b"x-sum: 1\r\n", b"a: 1\r\nb:\r\n"])


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    """A way to send this body in chunks."""
    wire, at = b"", 0
    while at < len(body):
        size = draw(st.integers(1, len(body) - at))
        digits = draw(st.sampled_from([b"%x", b"%X", b"00%x"])) % size
        wire += digits + draw(CHUNK_END) + body[at : at + size] + b"\r\n"
        at += size
    return wire + draw(st.sampled_from([b"0", b"000"])) + draw(CHUNK_END) + draw(TRAILERS) + b"\r\n"


@st.composite
def requests(draw: st.DrawFn) -> Meant:
    method = draw(
        st.sampled_from([b"GET", b"POST", b"PUT", b"HEAD", b"DELETE", b"PATCH", b"OPTIONS", b"REPORT"])
    )
    target = draw(PATH) + draw(QUERY)
    fields = draw(st.lists(st.tuples(NAME, VALUE), max_size=6))
    body = draw(st.binary(max_size=40))
    lines = [b"%b:%b%b%b" % (name, draw(SPACE), value, draw(SPACE)) for name, value in fields]
    framing = draw(st.sampled_from(["none", "length", "zeros", "chunked"]))
    if framing == "none":
        body = sent = b""
    elif framing == "chunked":
        lines.append(draw(st.sampled_from([b"Transfer-Encoding: chunked", b"transfer-encoding:CHUNKED  "])))
        sent = draw(chunked(body))
    else:
        lines.append(
            (b"Content-Length: %d" if framing == "length" else b"content-length:\t00%d ") % len(body)
        )
        sent = body
    lines += draw(
        st.lists(st.sampled_from([b"TE: trailers", b"connection: keep-alive", b"Upgrade: x"]), max_size=1)
    )
    lines += draw(st.sampled_from([[], [b"Connection: upgrade", b"upgrade: h2c"], [b"connection: x-none"]]))
    lines.insert(
        draw(st.integers(0, len(lines))), draw(st.sampled_from([b"Host: a.example", b"HOST:[::1]:8080 "]))
    )
    form = draw(st.sampled_from([b"", b"http://other.example", b"HTTPS://other.example:1"]))
    head = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, form + target, b"".join(line + b"\r\n" for line in lines))
    return Meant(method, target, fields, body, draw(st.sampled_from([b"", b"\r\n"])) + head + sent)


async def forwarded(wire: bytes, cuts: list[int]) -> bytes:
    """What one upstream connection was given of a client's bytes."""
    plane = DataPlane(deployment({"v1": UPSTREAM}, path="/**"))
    client, _ = plane.client()
    edges = [0, *sorted({cut % len(wire) for cut in cuts} - {0}), len(wire)]
    for start, end in pairwise(edges):
        client.data_received(wire[start:end])
        await settle()
    assert len(plane.wires) == 1
    sent: bytes = plane.wires[0].take()
    client.connection_lost(None)
    return sent


def by_h11(data: bytes) -> Read:
    server = h11.Connection(h11.SERVER)
    server.receive_data(data)
    read = Read()
    while True:
        event = server.next_event()
        if isinstance(event, h11.Request):
            pairs = event.headers.raw_items()
            read.method, read.target = event.method, event.target
            read.fields = [pair for pair in pairs if pair[0].lower() not in OURS | FRAMES]
        elif isinstance(event, h11.Data):
            read.body += event.data
        elif isinstance(event, h11.EndOfMessage):
            read.ends += 1
            assert server.trailing_data[0] == b"", "more than one request"
        else:
            return read


class _Httptools:
    def __init__(self) -> None:
        self.read = Read()

    def on_url(self, part: bytes) -> None:
        self.read.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() not in OURS | FRAMES:
            self.read.fields.append((name, value))

    def on_body(self, part: bytes) -> None:
        self.read.body += part

    def on_message_complete(self) -> None:
        self.read.ends += 1


def by_httptools(data: bytes) -> Read:
    protocol = _Httptools()
    parser = httptools.HttpRequestParser(protocol)
    parser.feed_data(data)
    protocol.read.method = parser.get_method()
    return protocol.read


@settings(max_examples=examples(60))
@given(requests(), st.lists(st.integers(0, 1 << 12), max_size=3))
async def test_what_is_forwarded_is_what_was_meant(meant: Meant, cuts: list[int]) -> None:
    sent = await forwarded(meant.wire, cuts)
    expected = Read(meant.method, meant.target, meant.fields, meant.body, 1)
    assert by_h11(sent) == expected
    assert by_httptools(sent) == expected


@settings(max_examples=examples(20))
@given(requests(), requests())
async def test_of_two_in_one_the_first_is_forwarded_alone(first: Meant, second: Meant) -> None:
    sent = await forwarded(first.wire + second.wire, [])
    assert by_h11(sent) == Read(first.method, first.target, first.fields, first.body, 1)
