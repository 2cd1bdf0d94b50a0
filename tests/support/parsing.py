"""What the parser tells, written down as a list of events."""

from router.http1.framing import Malformed
from router.http1.head import RequestHead, ResponseHead
from router.http1.parser import RequestParser, ResponseParser

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
