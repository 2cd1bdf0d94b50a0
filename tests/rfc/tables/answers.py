"""Status lines and field lines of answers (RFC 9112 §4 and §5)."""

from tests.rfc.cases import Answered, FromUpstream, Refused, response

TWO = b"content-length: 2"


def status(start: bytes, code: int) -> FromUpstream:
    return FromUpstream(f"answer {start.decode('latin-1')!r}", "9112 §4", response(TWO, body=b"ok", start=start),
                        Answered(code, (TWO,), b"ok"), reused=True)  # fmt: skip


def bad_start(start: bytes) -> FromUpstream:
    return FromUpstream(
        f"answer {start.decode('latin-1')!r}", "9112 §4", response(TWO, body=b"ok", start=start), Refused(502)
    )


def same(name: str, *lines: bytes) -> FromUpstream:
    """Field lines that reach the client as they are."""
    return FromUpstream(f"answer with {name}", "9110 §5.5", response(*lines, TWO, body=b"ok"),
                        Answered(200, (*lines, TWO), b"ok"), reused=True)  # fmt: skip


def dropped(name: str, *lines: bytes, reused: bool = True) -> FromUpstream:
    return FromUpstream(f"answer with {name}", "9110 §7.6.1", response(*lines, TWO, body=b"ok"),
                        Answered(200, (TWO,), b"ok"), reused=reused)  # fmt: skip


def bad(name: str, *lines: bytes, rfc: str = "9112 §5") -> FromUpstream:
    return FromUpstream(f"answer with {name}", rfc, response(*lines, TWO, body=b"ok"), Refused(502))


CASES = (
    status(b"HTTP/1.1 200 OK", 200),
    status(b"HTTP/1.1 200 ", 200),
    status(b"HTTP/1.1 201 A reason, with: signs!", 201),
    status(b"HTTP/1.1 299 caf\xc3\xa9", 299),
    status(b"HTTP/1.1 404 Not Found", 404),
    status(b"HTTP/1.1 500 Oops", 500),
    status(b"HTTP/1.1 503 Busy", 503),
    status(b"HTTP/1.1 599 X", 599),
    status(b"HTTP/1.1 418 I\ttea", 418),
    bad_start(b"HTTP/1.1 099 X"),
    bad_start(b"HTTP/1.1 000 X"),
    bad_start(b"HTTP/1.1 600 X"),
    bad_start(b"HTTP/1.1 999 X"),
    bad_start(b"HTTP/1.1 20 X"),
    bad_start(b"HTTP/1.1 2000 X"),
    bad_start(b"HTTP/1.1 2x0 X"),
    bad_start(b"HTTP/1.1 -20 X"),
    bad_start(b"HTTP/1.1 +200 X"),
    bad_start(b"HTTP/1.1"),
    bad_start(b"HTTP/1.1 "),
    bad_start(b"HTTP/1.1 OK"),
    bad_start(b"HTTP/1.1  200 OK"),
    bad_start(b"HTTP/1.1\t200 OK"),
    bad_start(b" HTTP/1.1 200 OK"),
    bad_start(b"HTTP/2.0 200 OK"),
    bad_start(b"HTTP/1.2 200 OK"),
    bad_start(b"HTTP/0.9 200 OK"),
    bad_start(b"HTTP/3.0 200 OK"),
    bad_start(b"HTTP/1 200 OK"),
    bad_start(b"HTTP/1.10 200 OK"),
    bad_start(b"http/1.1 200 OK"),
    bad_start(b"HTTPS/1.1 200 OK"),
    bad_start(b"ICY 200 OK"),
    bad_start(b"200 OK"),
    bad_start(b"<html>"),
    bad_start(b"GET / HTTP/1.1"),
    bad_start(b"SSH-2.0-x"),
    bad_start(b"\x15\x03\x01\x00\x02\x02\x50"),
    bad_start(b"HTTP/1.1 200 O\x00K"),
    bad_start(b"HTTP/1.1 200 O\x01K"),
    bad_start(b"HTTP/1.1 200 O\x7fK"),
    bad_start(b"HTTP/1.1 200 O\rK"),
    FromUpstream("answer of nothing but a body", "9112 §2.1", b"ok", Refused(502), hasty=True),
    FromUpstream(
        "answer with bare LF everywhere",
        "9112 §2.2",
        b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
        Refused(502),
    ),
    FromUpstream(
        "answer with a bare LF after the status line",
        "9112 §2.2",
        b"HTTP/1.1 200 OK\ncontent-length: 2\r\n\r\nok",
        Refused(502),
    ),
    FromUpstream(
        "answer with a bare LF at the end of the head",
        "9112 §2.2",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\nok",
        Refused(502),
    ),
    FromUpstream(
        "answer with empty lines before it",
        "9112 §2.2",
        b"\r\n\r\n" + response(TWO, body=b"ok"),
        Answered(200, (TWO,), b"ok"),
        reused=True,
    ),
    same("names in their case", b"X-UpPeR: 1", b"x-lower: 2"),
    same("equal names in order", b"Set-Cookie: a=1", b"x: 1", b"Set-Cookie: b=2"),
    same("UTF-8 in a value", b"a: caf\xc3\xa9"),
    same("a tab in a value", b"a: b\tc"),
    same("an empty value", b"a: "),
    same("a hundred and fifty fields", *(b"a%d: b" % n for n in range(150))),
    same("a long value", b"a: " + b"b" * 30_000),
    dropped("Keep-Alive", b"keep-alive: timeout=50"),
    dropped("Proxy-Connection", b"proxy-connection: keep-alive"),
    dropped("fields that Connection names", b"connection: x-a", b"x-a: 1"),
    dropped("Upgrade", b"upgrade: h2c"),
    dropped(
        "fields of the router", b"x-router-version: evil", b"x-router-error: evil", b"x-request-id: evil"
    ),
    dropped("Connection that names its length", b"connection: content-length"),
    dropped("close", b"connection: close", reused=False),
    bad("a NUL in a value", b"a: b\x00c"),
    bad("a control character in a value", b"a: b\x01c"),
    bad("DEL in a value", b"a: b\x7fc"),
    bad("a bare CR in a value", b"a: b\rc", rfc="9112 §2.2"),
    bad("a bare LF in a value", b"a: b\nc: d", rfc="9112 §2.2"),
    bad("a fold", b"a: b", b" c", rfc="9112 §5.2"),
    bad("a fold of its length", b"content-length:", b" 2", rfc="9112 §5.2"),
    bad("a space before a colon", b"a : b", rfc="9112 §5.1"),
    bad("a tab before a colon", b"a\t: b", rfc="9112 §5.1"),
    bad("a space before a name", b" a: b", rfc="9112 §2.2"),
    bad("no colon", b"a"),
    bad("no name", b": b"),
    bad("a space in a name", b"a b: c"),
    bad("a NUL in a name", b"a\x00b: c"),
    bad("a high byte in a name", b"a\xe9: b"),
    bad("a bracket in a name", b"a[b]: c"),
)
