"""Heads of requests and responses: as they came, and as they are passed on.

Fields are in the order they came in; `index` maps a lower-case name to its last value. What is per hop
(RFC 9110 §7.6.1) ends here.
"""

import re
from operator import itemgetter
from typing import Final, NamedTuple

from router.http1.framing import CHUNKED, NONE, Framing, Malformed

Field = tuple[bytes, bytes, bytes, bytes]
"""Lower-case name, name as sent, value, and the line as a request passes it on: empty where it ends at this hop."""


class HeadLimits(NamedTuple):
    """Bytes and field lines that a head may have, and bytes of the target of a request."""

    size: int = 64 << 10
    fields: int = 200
    target: int = 16 << 10


_line_of: Final = itemgetter(3)

_PER_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)

REQUEST_DROP = _PER_HOP | {
    b"host",
    b"x-request-id",
    b"x-router-shadow",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
}
"""Not passed on from a client as it came: per hop, or written anew by the router."""

RESPONSE_DROP = _PER_HOP | {b"x-request-id", b"x-router-version", b"x-router-error"}
"""Not passed on from an upstream: per hop, or the router's own to say."""

_NEVER_NOMINATED = frozenset(
    (b"host", b"content-length", b"content-type", b"authorization", b"x-request-id", b"x-forwarded-for",
     b"x-forwarded-host", b"x-forwarded-proto", b"traceparent", b"cookie")
)  # fmt: skip
"""Fields that a Connection header must not take away: dropping them would change what the request means."""


_LOOKED_FOR = REQUEST_DROP | {b"content-length"}

_NOT_HTTP = frozenset(
    (b"SOURCE", b"ANNOUNCE", b"DESCRIBE", b"SETUP", b"PLAY", b"PAUSE", b"TEARDOWN", b"GET_PARAMETER",
     b"SET_PARAMETER", b"REDIRECT", b"RECORD", b"FLUSH", b"CONNECT")
)  # fmt: skip
"""Methods of RTSP and ICE, which llhttp speaks as well, and the one that asks for a tunnel."""

_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+;=%-]+|\[[0-9A-Fa-fv:.]+\])(?::\d{0,5})?")
"""Host and port (RFC 9112 §3.2), without the comma: it goes into x-forwarded-host, which is read as a list. No port
has more digits, and who makes a number of thousands of them fails."""

_REASON = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


def is_host(value: bytes) -> bool:
    """Whether it can be the value of a Host field."""
    return _HOST.fullmatch(value) is not None


def is_lookalike(lower: bytes) -> bool:
    """Whether a server that takes `_` for `-` (CGI, WSGI) would read a field into it that counts here."""
    return b"_" in lower and lower.replace(b"_", b"-") in _LOOKED_FOR


def field_of(lower: bytes, name: bytes, value: bytes) -> Field:
    """The field with its line composed."""
    return lower, name, value, b"" if lower in REQUEST_DROP else b"%b: %b\r\n" % (name, value)


class RequestHead:
    """A parsed request head. `target` is in origin form or `*`; `host` as sent or from an absolute target.

    `minor` is the minor HTTP version: true for 1.1, false for 1.0. `lines` are those of `fields` that are passed on,
    once they have been joined (`compose_request`).
    """

    __slots__ = ("_text", "fields", "framing", "host", "index", "keep_alive", "length", "lines", "method", "minor",
                 "nominated", "target", "upgrade")  # fmt: skip

    def __init__(
        self,
        method: bytes,
        target: bytes,
        minor: bool,
        fields: list[Field],
        index: dict[bytes, bytes],
        text: bytes = b"",
    ) -> None:
        self._text = text
        self.method = method
        self.target = target
        self.minor = minor
        self.fields = fields
        self.index = index
        self.host = index.get(b"host", b"")
        self.framing: Framing = NONE
        self.length = 0
        self.keep_alive = minor
        self.upgrade = False
        self.lines = b""
        self.nominated: frozenset[bytes] | None = None

    def read_connection(self) -> None:
        """Takes in the Connection header: persistence (RFC 9112 §9.3), upgrade, nominated fields.

        Raises Malformed when it nominates a field that must not be dropped.
        """
        tokens = _tokens(self.fields, b"connection")
        if b"close" in tokens:
            self.keep_alive = False
        elif b"keep-alive" in tokens:
            self.keep_alive = True
        upgrade = self.index.get(b"upgrade")
        if upgrade is not None and b"upgrade" in tokens and self.minor == 1 and self.method == b"GET":
            self.upgrade = upgrade.lower() == b"websocket"
        nominated = tokens - _PER_HOP - {b"close", b"keep-alive", b"upgrade"}
        if not nominated.isdisjoint(_NEVER_NOMINATED):
            raise Malformed("the Connection header names a field that belongs to the whole way")
        self.nominated = nominated or None

    @property
    def text(self) -> bytes:
        """The request line and the field lines as they came, without the empty line after them."""
        if not self._text:
            lines = [b"%b %b HTTP/1.%d" % (self.method, self.target, self.minor)]
            lines += [b"%b: %b" % field[1:3] for field in self.fields]
            self._text = b"\r\n".join(lines)
        return self._text

    def without_expectation(self) -> "RequestHead":
        """This head, or its like without Expect, for a request whose body is sent with its head."""
        if b"expect" not in self.index:
            return self
        fields = [field for field in self.fields if field[0] != b"expect"]
        head = RequestHead(self.method, self.target, self.minor, fields, self.index)
        head.host, head.framing, head.length = self.host, self.framing, self.length
        head.nominated = self.nominated
        return head

    def read_start(self) -> None:
        """Takes in method, target and Host (RFC 9112 §3).

        Raises Malformed where one of them is not of HTTP, or a field looks like one that counts but is not.
        """
        if self.method in _NOT_HTTP:
            raise Malformed("not a method of HTTP that is passed on")
        host = self.index.get(b"host")
        if host is None:
            if self.minor:
                raise Malformed("an HTTP/1.1 request names its Host")
        elif not is_host(host):
            raise Malformed("the Host field is not a host name or address with or without a port")
        if b"#" in self.target:
            raise Malformed("a fragment is no part of a request target")
        if self.target[:1] != b"/":
            self.read_odd_target()
        for name in self.index:
            if b"_" in name and is_lookalike(name):
                raise Malformed(f"the field {name.decode()} could be taken for the same with hyphens")
        if b"max-forwards" in self.index and self.method in (b"OPTIONS", b"TRACE"):
            self._count_hop()

    def _count_hop(self) -> None:
        """One forward less is left (RFC 9110 §7.6.2)."""
        left = self.index[b"max-forwards"]
        if not left.isdigit() or len(left) > 9 or not int(left):
            raise Malformed("Max-Forwards allows no further hop")
        less = b"%d" % (int(left) - 1)
        self.fields = [
            field_of(*field[:2], less) if field[0] == b"max-forwards" else field for field in self.fields
        ]

    def read_odd_target(self) -> None:
        """Asterisk form stays; of an absolute form the authority counts before Host (RFC 9112 §3.2.2), and where there
        is nothing else in it, OPTIONS becomes asterisk form again (§3.2.4).

        Raises Malformed for any other target that is not a path.
        """
        target = self.target
        if target == b"*" and self.method == b"OPTIONS":
            self._ask_server()
            return
        scheme, separator, rest = target.partition(b"://")
        if not separator or scheme.lower() not in (b"http", b"https"):
            raise Malformed("the request target is neither a path nor an absolute http URL")
        ends = [end for end in (rest.find(b"/"), rest.find(b"?")) if end >= 0]
        split = min(ends, default=len(rest))
        self.host = rest[:split]
        if not is_host(self.host):
            raise Malformed("the request target names no valid host")
        path = rest[split:]
        self.target = path if path[:1] == b"/" else b"/" + path
        if not path and self.method == b"OPTIONS":
            self._ask_server()

    def _ask_server(self) -> None:
        self.target = b"*"
        self.nominated = self.nominated or frozenset()  # not None: so that `compose_request` looks again


class ResponseHead:
    """A parsed response head."""

    __slots__ = ("_text", "fields", "framing", "index", "keep_alive", "length", "lines", "minor", "nominated",
                 "reason", "status")  # fmt: skip

    def __init__(
        self, status: int, reason: bytes, minor: bool, fields: list[Field], index: dict[bytes, bytes]
    ) -> None:
        self.status = status
        self.reason = reason
        self.minor = minor
        self.fields = fields
        self.index = index
        self.framing: Framing = NONE
        self.length = 0
        self.keep_alive = minor
        self.lines = b""
        self.nominated: frozenset[bytes] = frozenset()
        self._text: bytes | None = None

    @property
    def text(self) -> bytes:
        """The field lines as they came."""
        if self._text is None:
            self._text = b"\r\n".join([b"%b: %b" % field[1:3] for field in self.fields])
        return self._text

    def read_connection(self) -> None:
        """Takes in the Connection header: whether the connection can be used again, and what is for this hop only.

        A server can't take away what says how the answer is to be read.
        """
        tokens = _tokens(self.fields, b"connection")
        if b"close" in tokens:
            self.keep_alive = False
        elif b"keep-alive" in tokens:
            self.keep_alive = True
        self.nominated = tokens - {b"close", b"keep-alive", b"upgrade"} - _NEVER_NOMINATED


def refuse_odd_answer(head: ResponseHead, version: str) -> None:
    """Raises Malformed on what llhttp lets pass, and two readers could understand differently."""
    coded = b"transfer-encoding" in head.index
    if version not in ("1.1", "1.0"):
        raise Malformed(f"HTTP/{version} is not spoken here")
    if not 100 <= head.status <= 599:
        raise Malformed(f"{head.status} is no status")
    if not head.reason.isalnum() and _REASON.fullmatch(head.reason) is None:
        raise Malformed("a control character in the reason phrase")
    if coded and not head.minor:
        raise Malformed("an HTTP/1.0 answer can't be chunked")
    if head.status < 200 and (coded or head.index.get(b"content-length", b"").strip(b"0")):
        raise Malformed("an informational answer has no body")


def refuse_repeated(fields: list[Field], names: tuple[bytes, ...]) -> None:
    """Raises Malformed where one of these lower-case names comes more than once."""
    for name in names:
        if sum(1 for field in fields if field[0] == name) > 1:
            raise Malformed(f"more than one {name.decode()} field")


def _tokens(fields: list[Field], name: bytes) -> frozenset[bytes]:
    """All members of a list-valued field, in lower case (RFC 9110 §5.6.1)."""
    return frozenset(
        token
        for lower, _, value, _ in fields
        if lower == name
        for token in (part.strip(b" \t").lower() for part in value.split(b","))
        if token
    )


def compose_request(head: RequestHead, base: bytes, host_lines: bytes) -> list[bytes]:
    """The head of the request as it goes upstream, as pieces to join, up to where the router adds its own fields.

    `base` is put before the target, `host_lines` is the rest of the request line with the Host field. What travels
    end to end does so in order and as it was sent.
    """
    nominated = head.nominated
    if nominated is not None and head.target == b"*":
        base = b""  # it is about the server, and no place on it
    if not head.lines:
        fields = head.fields
        if nominated is not None:
            fields = [field for field in fields if field[0] not in nominated]
        head.lines = b"".join(map(_line_of, fields))
    out = [head.method, b" ", base, head.target, host_lines, head.lines]
    if head.framing is CHUNKED:
        out.append(b"transfer-encoding: chunked\r\n")
    if head.upgrade:
        out.append(b"connection: upgrade\r\nupgrade: websocket\r\n")
    return out


def response_lines(head: ResponseHead) -> bytes:
    """The status line and the field lines of a response that travel end to end; composed once a head."""
    lines = head.lines
    if not lines:
        drop = RESPONSE_DROP | head.nominated
        if head.status < 200 or head.status == 204:
            drop |= {b"content-length"}  # there is no body that it could be the length of (RFC 9110 §8.6)
        kept = [b"%b: %b\r\n" % field[1:3] for field in head.fields if field[0] not in drop]
        lines = head.lines = b"HTTP/1.1 %d %b\r\n%b" % (head.status, head.reason, b"".join(kept))
    return lines
