"""Trailers: dropped in both directions, and never what they may not be (RFC 9110 §6.5, RFC 9112 §7.1.2)."""

from tests.rfc.cases import (
    Answered,
    CutOff,
    FromClient,
    FromUpstream,
    Passed,
    Refused,
    chunked,
    get,
    passes,
    refuses,
    response,
)

BODY = b"3\r\nabc\r\n0\r\n"


def good(name: str, *lines: bytes) -> FromClient:
    wire = BODY + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    return passes(
        f"trailer {name}",
        "9110 §6.5",
        chunked(wire) + get(),
        Passed(b"POST /x", (), b"abc"),
        Passed(b"GET /x"),
    )


def bad(name: str, *lines: bytes) -> FromClient:
    wire = BODY + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    return refuses(f"trailer {name}", "9112 §7.1.2", chunked(wire))


def endless(name: str, wire: bytes) -> FromClient:
    return FromClient(name, "9112 §7.1.1", chunked(wire), (Refused(431),), closes=True, behind=b"b" * 400_000)


def back(name: str, *lines: bytes, reused: bool = True) -> FromUpstream:
    wire = BODY + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    data = response(b"transfer-encoding: chunked", body=wire)
    return FromUpstream(f"trailer back: {name}", "9110 §6.5", data, Answered(200, (), b"abc"), reused=reused)


CASES = (
    good("of one field", b"x-sum: 1"),
    good("of three fields", b"a: 1", b"b: 2", b"a: 3"),
    good("without a value", b"a:"),
    good("named like a field that counts", b"host: evil"),
    good("with authorization", b"authorization: Bearer x"),
    good("that is long", b"a: " + b"b" * 30_000),
    refuses(
        "trailers over the limit of a head",
        "9112 §7.1.2",
        chunked(BODY + b"a: b\r\n" * 12_000 + b"\r\n"),
        431,
    ),
    bad("with a space before the colon", b"a : b"),
    bad("folded", b"a: b", b" c"),
    bad("with a NUL", b"a: \x00"),
    bad("without a colon", b"a"),
    bad("without a name", b": b"),
    bad("with a bare CR", b"a: b\rc"),
    bad("with a bare LF", b"a: b\nc: d"),
    bad("that would close", b"connection: close"),
    bad("with a coding", b"transfer-encoding: chunked"),
    bad("with an upgrade", b"upgrade: h2c"),
    bad("with a length", b"content-length: 3"),
    bad("with a high byte in its name", b"\xff: 1"),
    endless("trailers without end", BODY + b"a: b"),
    endless("an extension without end", b"3;a=b"),
    back("of one field", b"x-sum: 1"),
    back("of two fields", b"a: 1", b"b: 2"),
    back("that would close", b"connection: close"),
    back("with a status", b"x-status: 500"),
    FromUpstream(
        "trailer back: folded",
        "9112 §5.2",
        response(b"transfer-encoding: chunked", body=BODY + b"a: b\r\n c\r\n\r\n"),
        CutOff(200, b"abc"),
    ),
)
