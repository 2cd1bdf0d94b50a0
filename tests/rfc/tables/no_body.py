"""Answers without a body, whatever their fields say: to HEAD, 204, 304 (RFC 9112 §6.3 rule 1)."""

from tests.rfc.cases import Answered, FromUpstream, get, response

HEAD = get().replace(b"GET", b"HEAD")
NINE = b"content-length: 9"
CHUNKED = b"transfer-encoding: chunked"


def head(name: str, data: bytes, *fields: bytes, behind: bytes = b"") -> FromUpstream:
    return FromUpstream(
        f"HEAD: {name}",
        "9110 §9.3.2",
        data,
        Answered(200, fields),
        request=HEAD,
        reused=not behind,
        behind=behind,
    )


def empty(
    code: int, name: str, *lines: bytes, kept: tuple[bytes, ...] = (), behind: bytes = b""
) -> FromUpstream:
    """Bytes behind such an answer end its connection: they are nobody's."""
    data = response(*lines, start=b"HTTP/1.1 %d X" % code)
    return FromUpstream(
        f"{code} {name}", "9112 §6.3", data, Answered(code, kept), reused=not behind, behind=behind
    )


CASES = (
    head("with a length", response(NINE), NINE),
    head("without a length", response()),
    head("with chunked", response(CHUNKED)),
    head("with a length and a body", response(NINE), NINE, behind=b"123456789"),
    head("with chunks", response(CHUNKED), behind=b"3\r\nabc\r\n0\r\n\r\n"),
    FromUpstream(
        "HEAD: 404",
        "9110 §9.3.2",
        response(NINE, start=b"HTTP/1.1 404 X"),
        Answered(404, (NINE,)),
        request=HEAD,
        reused=True,
    ),
    FromUpstream(
        "HEAD behind an answer to GET that is known",
        "9110 §9.3.2",
        response(b"content-length: 5"),
        Answered(200, (b"content-length: 5",)),
        request=HEAD,
        reused=True,
    ),
    empty(204, "plain"),
    empty(204, "with a length of zero", b"content-length: 0"),
    empty(204, "with a length", NINE),
    empty(204, "with chunked", CHUNKED),
    empty(204, "with a body", NINE, behind=b"123456789"),
    empty(204, "with chunks", CHUNKED, behind=b"0\r\n\r\n"),
    empty(304, "plain"),
    empty(304, "with a length", NINE, kept=(NINE,)),
    empty(304, "with chunked", CHUNKED),
    empty(304, "with a body", NINE, kept=(NINE,), behind=b"123456789"),
    empty(304, "with fields", b"etag: x", kept=(b"etag: x",)),
)
