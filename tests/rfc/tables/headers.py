"""Field lines: names, values, folds, line ends (RFC 9112 §5), and which of them travel (RFC 9110 §7.6)."""

from tests.rfc.cases import HOST, FromClient, Passed, get, passes, refuses

NO_TOKEN = b'"(),/;<=>?@[\\]{}'
"""Printable ASCII that no field name has (RFC 9110 §5.6.2); the colon ends it."""


def name_with(byte: int) -> FromClient:
    """A field name with this byte in it."""
    return refuses(f"name with 0x{byte:02x}", "9110 §5.1", get(b"a%cb: 1" % byte))


def bad(name: str, *lines: bytes, rfc: str = "9112 §5") -> FromClient:
    return refuses(name, rfc, get(*lines))


def value_with(byte: int) -> FromClient:
    """A field value with this byte in it, which stands neither alone nor at an end."""
    return refuses(f"value with 0x{byte:02x}", "9110 §5.5", get(b"a: b%cc" % byte))


def same(name: str, *lines: bytes, rfc: str = "9110 §5.5") -> FromClient:
    """Lines that reach the upstream as they are."""
    return passes(name, rfc, get(*lines), Passed(b"GET /x", lines))


def dropped(name: str, *lines: bytes, rfc: str = "9110 §7.6.1", kept: tuple[bytes, ...] = ()) -> FromClient:
    """Lines that do not travel, but for those `kept`."""
    return passes(name, rfc, get(*lines), Passed(b"GET /x", kept))


def lookalike(name: bytes) -> FromClient:
    return refuses(f"underscores: {name.decode()}", "3875 §4.1.18", get(name + b": 1"))


CASES = (
    *(name_with(byte) for byte in NO_TOKEN),
    *(name_with(byte) for byte in (0x00, 0x01, 0x09, 0x0B, 0x0D, 0x20, 0x7F, 0x80, 0xE9, 0xFF)),
    same("name with every byte a token has", b"!#$%&'*+-.^_`|~019azAZ: 1", rfc="9110 §5.6.2"),
    same("name of one byte", b"a: 1", rfc="9110 §5.1"),
    same("name of digits", b"123: 1", rfc="9110 §5.1"),
    same("names keep their case", b"X-UpPeR: 1", b"x-lower: 2", rfc="9110 §5.1"),
    *(value_with(byte) for byte in (0x00, 0x01, 0x08, 0x0B, 0x0C, 0x0D, 0x1B, 0x1F, 0x7F)),
    bad("value with a bare LF", b"a: b\nc: d"),
    bad("value that starts with a NUL", b"a: \x00"),
    bad("value that ends with a bare CR", b"a: b\r", rfc="9112 §2.2"),
    same("value with a tab inside", b"a: b\tc"),
    same("value with UTF-8", b"a: caf\xc3\xa9"),
    same("value with bytes of Latin-1", b"a: \x80\xff"),
    same("value with all printable ASCII", b"a: " + bytes(range(0x21, 0x7F))),
    same("value with a colon", b"a: b: c"),
    same("value that looks like a request", b"a: GET /y HTTP/1.1"),
    same("value that is long", b"a: " + b"b" * 30_000),
    passes("empty value", "9110 §5.5", get(b"a:"), Passed(b"GET /x", (b"a: ",))),
    passes("value without a space", "9112 §5.1", get(b"a:b"), Passed(b"GET /x", (b"a: b",))),
    passes("white space around a value", "9112 §5.1", get(b"a: \t b \t "), Passed(b"GET /x", (b"a: b",))),
    same("equal names keep their order", b"a: 1", b"b: 2", b"a: 3", b"A: 4", rfc="9110 §5.3"),
    same("a hundred and fifty fields", *(b"a%d: b" % n for n in range(150)), rfc="9110 §5.4"),
    # lines
    bad("space before the colon", b"a : b", rfc="9112 §5.1"),
    bad("tab before the colon", b"a\t: b", rfc="9112 §5.1"),
    bad("no colon", b"a"),
    bad("no colon but an equals sign", b"a=b"),
    bad("no name", b": b"),
    bad("space before the name", b" a: b", rfc="9112 §2.2"),
    bad("tab before the name", b"\ta: b", rfc="9112 §2.2"),
    bad("fold with a space", b"a: b", b" c", rfc="9112 §5.2"),
    bad("fold with a tab", b"a: b", b"\tc", rfc="9112 §5.2"),
    bad("fold of nothing", b"a: b", b" ", rfc="9112 §5.2"),
    bad("fold of an empty value", b"a:", b" b", rfc="9112 §5.2"),
    bad("fold in the middle", b"a: b", b" c", b"d: e", rfc="9112 §5.2"),
    refuses("fold behind the request line", "9112 §2.2", b"GET /x HTTP/1.1\r\n a: b\r\n" + HOST + b"\r\n"),
    refuses("bare LF after a field", "9112 §2.2", b"GET /x HTTP/1.1\r\nhost: a\nb: c\r\n\r\n"),
    refuses("bare CR after a field", "9112 §2.2", b"GET /x HTTP/1.1\r\nhost: a\rb: c\r\n\r\n"),
    refuses("LF CR after a field", "9112 §2.2", b"GET /x HTTP/1.1\r\nhost: a\n\rb: c\r\n\r\n"),
    refuses("CR CR LF after a field", "9112 §2.2", b"GET /x HTTP/1.1\r\nhost: a\r\r\nb: c\r\n\r\n"),
    refuses("bare LF at the end of the head", "9112 §2.2", b"GET /x HTTP/1.1\r\nhost: a\r\n\n"),
    refuses("two bare LF at the end of the head", "9112 §2.2", b"GET /x HTTP/1.1\r\nhost: a\n\n"),
    refuses("bare CR at the end of the head", "9112 §2.2", b"GET /x HTTP/1.1\r\nhost: a\r\n\rX"),
    # what ends at this hop
    dropped("Keep-Alive", b"keep-alive: timeout=5"),
    dropped("Proxy-Connection", b"proxy-connection: keep-alive"),
    dropped("TE", b"te: trailers"),
    dropped("Trailer", b"trailer: x-sum"),
    dropped("Upgrade without Connection", b"upgrade: websocket"),
    dropped(
        "fields that Connection names",
        b"connection: x-a, X-B",
        b"x-a: 1",
        b"x-b: 2",
        b"x-c: 3",
        kept=(b"x-c: 3",),
    ),
    dropped("fields named before they come", b"x-a: 1", b"connection: x-a"),
    dropped(
        "fields named in two Connection lines", b"connection: x-a", b"connection: x-b", b"x-a: 1", b"x-b: 2"
    ),
    dropped("Connection with empty members", b"connection: , ,x-a,,", b"x-a: 1"),
    dropped("the router's own mark on copies", b"x-router-shadow: v2", rfc="9110 §7.6"),
    *(
        refuses(
            f"Connection names {name.decode()}", "9110 §7.6.1", get(b"connection: " + name, name + b": 1")
        )
        for name in (
            b"content-length",
            b"content-type",
            b"authorization",
            b"cookie",
            b"x-forwarded-for",
            b"traceparent",
            b"x-request-id",
        )
    ),
    refuses("Connection names host", "9110 §7.6.1", get(b"connection: close, Host")),
    # names that a server may take for others
    lookalike(b"content_length"),
    lookalike(b"Content_Length"),
    lookalike(b"transfer_encoding"),
    lookalike(b"transfer_Encoding"),
    lookalike(b"x_forwarded_for"),
    lookalike(b"x-forwarded_for"),
    lookalike(b"x_forwarded_host"),
    lookalike(b"x_request_id"),
    lookalike(b"x_router_shadow"),
    same("underscores elsewhere", b"x_tenant: acme", rfc="9110 §5.1"),
)
