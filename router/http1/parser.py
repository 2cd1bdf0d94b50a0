"""Adapters over llhttp: bytes in, whole heads and body pieces out, to a sink. Floor 1: no I/O.

llhttp in its strict mode refuses what can be read in two ways; what it lets pass and we do not is refused here
(HTTP/0.9, odd Hosts, transfer codings other than chunked). A plain head does not reach it at all (`plain`). The body
of a known length is not parsed: once its head is through, pieces go to the sink as they came, and a new llhttp parser
(0.25 µs) takes up the next message.
"""

import httptools

from router.http1.collector import Collector
from router.http1.framing import (
    LENGTH,
    NONE,
    UNTIL_CLOSE,
    Malformed,
    check_target,
    request_framing,
    response_framing,
)
from router.http1.head import (
    HeadLimits,
    RequestHead,
    ResponseHead,
    refuse_odd_answer,
    refuse_repeated,
)
from router.http1.plain import KnownLines
from router.http1.sinks import RequestSink, ResponseSink

_INTO_CHUNKS = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
"""Leads a parser to where a chunked body begins."""

_INTO_LAST_CHUNKS = _INTO_CHUNKS.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)
"""The same for a body behind which nothing is read."""

_NO_TRAILERS = frozenset((b"connection", b"proxy-connection", b"transfer-encoding", b"upgrade"))
"""What llhttp heeds in a trailer as in a head, so that it would mean different things to it and to `plain`."""


class RequestParser(Collector):
    """Parses the requests of one client connection.

    `upgrading` is true once a websocket upgrade was requested: what follows is in `held`, for `resume` to parse
    when the upstream declined, or for a tunnel to take when it accepted.
    """

    __slots__ = ("_before_body", "_keep_alive", "_known", "_last", "_parser", "_sink", "_target", "held",
                 "upgrading")  # fmt: skip

    def __init__(
        self, sink: RequestSink, known: KnownLines | None = None, limits: HeadLimits | None = None
    ) -> None:
        super().__init__(limits)
        self._sink = sink
        self._known = known or KnownLines()
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._keep_alive = True
        self._last = False
        self._before_body = False
        self.upgrading = False
        self.held = b""

    @property
    def mid_message(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._head_size or self._rest or not self._in_head)

    def feed(self, data: bytes) -> None:
        """Raises Malformed (or HeadTooLarge); the connection can't be read any further then."""
        if self._rest:
            data = self._feed_body(data)
            if not data:
                return
        if self._last:
            return  # bytes after a request that said close are not read (RFC 9112 §9.6)
        if self.upgrading:
            self.held += data
            self._sink.on_held(len(self.held))
            return
        while self._in_head and not self._head_size:
            end = data.find(b"\r\n\r\n", 0, self._max_head)
            head = self._known.request(data[:end]) if end >= 0 else None
            if head is None:
                break  # not plain: llhttp reads on from here
            end += 4
            after = end + head.length
            size = len(data)
            if after > size:
                self._keep_alive = True
                self._in_head = False
                self._rest = after - size
                self._sink.on_request(head)
                if size > end:
                    self._sink.on_request_body(data[end:])
                return
            self._sink.on_request_whole(head, data[end:after])
            if after == size:
                return
            data = data[after:]
        while data and not self._last:
            data = self._feed_odd(data)

    def _feed_odd(self, data: bytes) -> bytes:
        """Has llhttp read; returns what it has not, because it stopped at an upgrade that is none here."""
        rest = b""
        self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # llhttp stops after a request with an Upgrade field; only for websockets do we stop as well.
            rest = data[upgrade.args[0] :]
            self._parser = httptools.HttpRequestParser(self)
            if self._before_body:
                rest = self._enter_body(rest)
            elif self.upgrading:
                self.held, rest = rest, b""
        except httptools.HttpParserCallbackError:
            if self._refused is None:
                raise
            raise self._refused from None
        except httptools.HttpParserError as error:
            if not self._last:
                raise Malformed(f"not a valid HTTP/1.1 request: {error}") from None
        if self._head_size > self._max_head:
            check_target(self._target, self._limits.target)
            self._refuse_endless()
        return rest

    def _enter_body(self, rest: bytes) -> bytes:
        """llhttp took the body of a request with an Upgrade field for another protocol: it is read all the same."""
        if not self._rest:
            self._parser.feed_data(_INTO_CHUNKS if self._keep_alive else _INTO_LAST_CHUNKS)
        self._before_body = False
        return self._feed_body(rest) if self._rest and rest else rest

    def resume(self) -> None:
        """The upgrade was declined: what the client sent after it is requests again."""
        held, self.held = self.held, b""
        self.upgrading = False
        self._parser = httptools.HttpRequestParser(self)
        if held:
            self.feed(held)

    def _feed_body(self, data: bytes) -> bytes:
        """Passes on a piece of a body of known length; returns what lies after it."""
        rest = self._rest
        size = len(data)
        if size < rest:
            self._rest = rest - size
            self._sink.on_request_body(data)
            return b""
        self._rest = 0
        self._parser = httptools.HttpRequestParser(self)
        self._sink.on_request_body(data if size == rest else data[:rest])
        self.on_message_complete()
        return b"" if size == rest else data[rest:]

    # callbacks of llhttp

    def on_message_begin(self) -> None:
        self._head_size = self._head_size or 1  # a head that begins in the read that ended the message before
        self._fields = []
        self._index = {}
        self._target = b""

    def on_url(self, part: bytes) -> None:
        self._target += part

    def _take_head(self) -> None:
        fields, index = self._fields, self._index
        check_target(self._target, self._limits.target)
        if self._head_size > self._max_head or len(fields) > self._limits.fields:
            self._check_size(len(self._target))
        version = self._parser.get_http_version()
        if version != "1.1" and version != "1.0":  # noqa: PLR1714 (a tuple would be slower here)
            raise Malformed(f"HTTP/{version} is not spoken here")
        head = RequestHead(self._parser.get_method(), self._target, version == "1.1", fields, index)
        if len(index) != len(fields):
            refuse_repeated(fields, (b"host", b"content-length", b"transfer-encoding"))
        if b"connection" in index:
            head.read_connection()
        head.read_start()
        if b"content-length" in index or b"transfer-encoding" in index:
            head.framing, head.length = request_framing(head.minor, index)
        self._in_head = False
        self._head_size = 0
        self._rest = head.length
        self._keep_alive = head.keep_alive
        self.upgrading = head.upgrade
        if head.framing is not NONE:
            if head.upgrade:
                raise Malformed("a websocket upgrade has no body")
            self._before_body = self._parser.should_upgrade()
        self._sink.on_request(head)

    def _drop_trailer(self, lower: bytes) -> None:
        if lower in _NO_TRAILERS and not self._before_body:
            self._refused = Malformed(f"a trailer can't be {lower.decode()}")
            raise self._refused

    def on_body(self, data: bytes) -> None:
        if self._rest:
            self._rest -= len(data)
        self._head_size = 0
        self._sink.on_request_body(data)

    def on_message_complete(self) -> None:
        if self._before_body:
            return
        self._in_head = True
        self._head_size = 0
        self._last = not self._keep_alive
        self._sink.on_request_end()


class ResponseParser(Collector):
    """Parses the responses of one upstream connection, one request at a time.

    `head` is that of the response once it came, `done` that nothing more is expected; `switched` holds the bytes
    after a 101; `surplus` is true when bytes came after the response.
    """

    __slots__ = (
        "_known",
        "_parser",
        "_reason",
        "_to_head",
        "_trailers",
        "done",
        "head",
        "sink",
        "surplus",
        "switched",
    )

    def __init__(self, known: KnownLines | None = None, limits: HeadLimits | None = None) -> None:
        super().__init__(limits)
        self.sink: ResponseSink | None = None
        self._known = known or KnownLines()
        self._parser = httptools.HttpResponseParser(self)
        self._reason = b""
        self._to_head = False
        self._trailers = False
        self.done = True
        self.head: ResponseHead | None = None
        self.surplus = False
        self.switched: bytes | None = None

    def expect(self, sink: ResponseSink, to_head: bool) -> None:
        """A request was sent: the next response answers it; `to_head` if its method was HEAD."""
        self.sink = sink
        self.head = None
        self._to_head = to_head
        self.done = False
        self._head_size = 0

    @property
    def reusable(self) -> bool:
        """Whether the response is whole and the connection fit for another request."""
        head = self.head
        return self.done and not self.surplus and head is not None and head.keep_alive

    def feed(self, data: bytes) -> None:
        """Raises Malformed (or HeadTooLarge)."""
        if self.done:
            self.surplus = True
            return
        if self._in_head:
            if not self._head_size:
                end = data.find(b"\r\n\r\n", 0, self._max_head)
                head = self._known.response(data[:end], self._to_head) if end >= 0 else None
                if head is not None:
                    self._take_plain(head, data, end + 4)
                    return
        elif self._rest:
            self._feed_body(data)
            return
        self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.switched = data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError:
            if self._refused is None:
                raise
            raise self._refused from None
        except httptools.HttpParserError as error:
            if not self.done:
                raise Malformed(f"not a valid HTTP/1.1 response: {error}") from None
            self.surplus = True
        if self._head_size > self._max_head and not self.done:
            self._refuse_endless()

    def _take_plain(self, head: ResponseHead, data: bytes, start: int) -> None:
        """Takes in a response with a plain head, whose body starts at `start` of `data`."""
        self.head = head
        after = start + head.length if head.framing is LENGTH else start
        size = len(data)
        sink = self.sink
        assert sink is not None
        if after <= size:
            self.done = True
            self.surplus = after < size
            sink.on_response_whole(head, data[start:after])
            if self.sink is not sink:  # another one took over, and is told of the end
                self.sink.on_response_end()  # type: ignore[union-attr]
            return
        self._in_head = False
        self._rest = after - size
        sink.on_response(head)
        if size > start:
            self.sink.on_response_body(data[start:])  # type: ignore[union-attr]

    def _feed_body(self, data: bytes) -> None:
        rest = self._rest
        size = len(data)
        assert self.sink is not None
        if size < rest:
            self._rest = rest - size
            self.sink.on_response_body(data)
            return
        self._rest = 0
        self._parser = httptools.HttpResponseParser(self)
        self.surplus = size > rest
        self.sink.on_response_body(data[:rest] if self.surplus else data)
        self._end()

    def finish(self) -> bool:
        """The upstream closed. Tells whether the response is whole: it was already, or only the close could end it."""
        if not self.done and self.head is not None and self.head.framing is UNTIL_CLOSE:
            self.head.keep_alive = False
            self._end()
        return self.done

    def _end(self) -> None:
        self.done = True
        self._in_head = True
        assert self.sink is not None
        self.sink.on_response_end()

    # callbacks of llhttp

    def _drop_trailer(self, lower: bytes) -> None:
        self._trailers = True

    def on_message_begin(self) -> None:
        if self.done:
            self.surplus = True
        self._head_size = self._head_size or 1
        self._fields = []
        self._index = {}
        self._in_head = True
        self._reason = b""

    def on_status(self, part: bytes) -> None:
        self._reason += part

    def _take_head(self) -> None:
        if self.done:
            return
        fields, index, parser = self._fields, self._index, self._parser
        if self._head_size > self._max_head or len(fields) > self._limits.fields:
            self._check_size(len(self._reason))
        status = parser.get_status_code()
        version = parser.get_http_version()
        head = ResponseHead(status, self._reason, version == "1.1", fields, index)
        if len(index) != len(fields):
            refuse_repeated(fields, (b"content-length", b"transfer-encoding"))
        refuse_odd_answer(head, version)
        if b"connection" in index:
            head.read_connection()
        sink = self.sink
        assert sink is not None
        if status < 200:
            if status != 101:
                sink.on_informational(head)
                return
            if not parser.should_upgrade() or index.get(b"upgrade", b"").lower() != b"websocket":
                raise Malformed("a 101 that does not switch to websocket")
            self.head = head
            self._in_head = False
            sink.on_switching(head)
            return
        framing, self._rest = response_framing(status, self._to_head, index)
        head.framing = framing
        head.length = self._rest
        self.head = head
        self._in_head = False
        self._head_size = 0
        sink.on_response(head)
        if framing is NONE:
            # llhttp does not know that an answer to HEAD has no body: the message ends here, for us and for it.
            self._parser = httptools.HttpResponseParser(self)
            self._fields, self._index = (
                [],
                {},
            )  # what the old one still finds behind it is no part of the head
            self._end()

    def on_body(self, data: bytes) -> None:
        if self.done:
            self.surplus = True
            return
        if self._rest:
            self._rest -= len(data)
        self._head_size = 0
        self.sink.on_response_body(data)  # type: ignore[union-attr]

    def on_message_complete(self) -> None:
        if self.done:
            return
        head = self.head
        if head is None or head.status < 200:
            self._head_size = 0
            return  # informational: the one that counts follows; or 101, where HttpParserUpgrade follows
        self._rest = 0
        if self._trailers:  # to llhttp they may say something about the next answer
            self._trailers = False
            self._parser = httptools.HttpResponseParser(self)
        self._end()
