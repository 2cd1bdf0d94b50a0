"""What ends an answer, and what makes that unclear (RFC 9112 §6)."""

from tests.rfc.cases import HOST, Answered, CutOff, FromUpstream, Refused, Then, get, response

OLD_CLIENT = b"GET /x HTTP/1.0\r\n" + HOST + b"\r\n"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"
OLD = b"HTTP/1.0 200 OK"


def good(
    name: str,
    data: bytes,
    outcome: Answered,
    *,
    reused: bool = True,
    then: Then = Then.KEEP,
    request: bytes = get(),
) -> FromUpstream:
    return FromUpstream(f"body {name}", "9112 §6.3", data, outcome, then, request, reused)


def bad(name: str, *lines: bytes, body: bytes = b"abc", start: bytes = b"HTTP/1.1 200 OK") -> FromUpstream:
    return FromUpstream(
        f"body with {name}", "9112 §6.3", response(*lines, body=body, start=start), Refused(502)
    )


def cut(name: str, body: bytes, start: bytes = b"abc") -> FromUpstream:
    """Chunks that turn out wrong when some have been passed on."""
    data = response(b"transfer-encoding: chunked", body=body)
    return FromUpstream(f"chunks back: {name}", "9112 §7.1", data, CutOff(200, start))


ABC = Answered(200, (), b"abc")

CASES = (
    good(
        "of a length",
        response(b"content-length: 3", body=b"abc"),
        Answered(200, (b"content-length: 3",), b"abc"),
    ),
    good(
        "of a length with zeros",
        response(b"content-length: 003", body=b"abc"),
        Answered(200, (b"content-length: 003",), b"abc"),
    ),
    good("of no length", response(b"content-length: 0"), Answered(200, (b"content-length: 0",))),
    good(
        "of 300 kB",
        response(b"content-length: 300000", body=b"x" * 300_000),
        Answered(200, (b"content-length: 300000",), b"x" * 300_000),
    ),
    good(
        "like an answer",
        response(b"content-length: 19", body=b"HTTP/1.1 200 OK\r\n\r\n"),
        Answered(200, (b"content-length: 19",), b"HTTP/1.1 200 OK\r\n\r\n"),
    ),
    good("in chunks", response(b"transfer-encoding: chunked", body=CHUNKS), ABC),
    good(
        "in chunks with extensions",
        response(b"transfer-encoding: chunked", body=b'3;a="b"\r\nabc\r\n0;c\r\n\r\n'),
        ABC,
    ),
    good("in no chunks", response(b"transfer-encoding: chunked", body=b"0\r\n\r\n"), Answered(200)),
    good("in chunks, in upper case", response(b"Transfer-Encoding: CHUNKED", body=CHUNKS), ABC),
    good(
        "in chunks for HTTP/1.0",
        response(b"transfer-encoding: chunked", body=CHUNKS),
        ABC,
        request=OLD_CLIENT,
    ),
    good("to the end", response(body=b"abc"), ABC, then=Then.CLOSE, reused=False),
    good("to the end, of nothing", response(), Answered(200), then=Then.CLOSE, reused=False),
    good(
        "to the end for HTTP/1.0",
        response(body=b"abc"),
        ABC,
        then=Then.CLOSE,
        reused=False,
        request=OLD_CLIENT,
    ),
    good("to the end, of HTTP/1.0", response(body=b"abc", start=OLD), ABC, then=Then.CLOSE, reused=False),
    good(
        "to the end, with a 500",
        response(body=b"abc", start=b"HTTP/1.1 500 X"),
        Answered(500, (), b"abc"),
        then=Then.CLOSE,
        reused=False,
    ),
    good(
        "of a length, of HTTP/1.0",
        response(b"content-length: 3", body=b"abc", start=OLD),
        Answered(200, (b"content-length: 3",), b"abc"),
        reused=False,
    ),
    good(
        "of a length, of HTTP/1.0 with keep-alive",
        response(b"connection: keep-alive", b"content-length: 3", body=b"abc", start=OLD),
        Answered(200, (b"content-length: 3",), b"abc"),
    ),
    good(
        "of a length, then the end",
        response(b"content-length: 3", body=b"abc"),
        Answered(200, (b"content-length: 3",), b"abc"),
        then=Then.CLOSE,
        reused=False,
    ),
    bad("length, then chunked", b"content-length: 3", b"transfer-encoding: chunked", body=CHUNKS),
    bad("chunked, then length", b"transfer-encoding: chunked", b"content-length: 3", body=CHUNKS),
    bad("length of zero and chunked", b"content-length: 0", b"transfer-encoding: chunked", body=CHUNKS),
    bad("length and gzip", b"content-length: 3", b"transfer-encoding: gzip"),
    bad("two lengths", b"content-length: 3", b"content-length: 4"),
    bad("two lengths alike", b"content-length: 3", b"content-length: 3"),
    bad("a list of lengths", b"content-length: 3, 3"),
    bad("a negative length", b"content-length: -3"),
    bad("a signed length", b"content-length: +3"),
    bad("an empty length", b"content-length:"),
    bad("a length in hexadecimal", b"content-length: 0x3"),
    bad("a length with a space", b"content-length: 3 0"),
    bad("a length of a word", b"content-length: abc"),
    bad("a length over 64 bits", b"content-length: 18446744073709551619"),
    bad("a length over 63 bits", b"content-length: 9223372036854775808"),
    bad("a length of thousands of zeros", b"content-length: " + b"0" * 5000 + b"3"),
    bad("chunked twice", b"transfer-encoding: chunked", b"transfer-encoding: chunked", body=CHUNKS),
    bad("chunked and identity", b"transfer-encoding: chunked", b"transfer-encoding: identity", body=CHUNKS),
    bad("gzip", b"transfer-encoding: gzip"),
    bad("gzip, chunked", b"transfer-encoding: gzip, chunked", body=CHUNKS),
    bad("identity", b"transfer-encoding: identity"),
    bad("chunked, gzip", b"transfer-encoding: chunked, gzip"),
    bad("xchunked", b"transfer-encoding: xchunked"),
    bad("an empty coding", b"transfer-encoding:"),
    bad("a coding in quotes", b'transfer-encoding: "chunked"'),
    bad("a coding with a vertical tab", b"transfer-encoding: \x0bchunked"),
    bad("a coding with a space before the colon", b"transfer-encoding : chunked", body=CHUNKS),
    bad("chunks of HTTP/1.0", b"transfer-encoding: chunked", body=CHUNKS, start=OLD),
    cut("size of a word", b"3\r\nabc\r\nzz\r\n"),
    cut("size with a prefix", b"3\r\nabc\r\n0x3\r\nabc\r\n0\r\n\r\n"),
    cut("size over 64 bits", b"3\r\nabc\r\n10000000000000003\r\nabc\r\n"),
    cut("size with a space", b"3\r\nabc\r\n3 \r\nabc\r\n0\r\n\r\n"),
    cut("bare LF behind the size", b"3\r\nabc\r\n3\nabc\r\n0\r\n\r\n"),
    cut("data longer than its size", b"3\r\nabcd\r\n0\r\n\r\n"),
    cut("bare LF behind the data", b"3\r\nabc\n0\r\n\r\n"),
    cut("bare LF in an extension", b"3\r\nabc\r\n3;a\nb\r\nabc\r\n0\r\n\r\n"),
    cut("negative size", b"3\r\nabc\r\n-1\r\nabc\r\n0\r\n\r\n"),
    cut("garbage from the start", b"garbage\r\n", b""),
)
