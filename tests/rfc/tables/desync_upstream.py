"""Bytes behind an answer: they must never reach the next client (RFC 9112 §9.2 and §11.1).

A line end behind a last chunk is passed over, as it may be before a status line (RFC 9112 §2.2).
"""

from tests.rfc.cases import HOST, Answered, FromUpstream, get, post, response

EVIL = response(b"content-length: 4", b"set-cookie: evil=1", body=b"evil")
OK = (b"content-length: 2",)
USUAL = Answered(200, OK, b"ok")
TWO = response(*OK, body=b"ok")
CHUNKED = response(b"transfer-encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n")
HEAD = get().replace(b"GET", b"HEAD")
EMPTY = response(b"content-length: 0")


def surplus(
    name: str,
    data: bytes,
    behind: bytes,
    outcome: Answered = USUAL,
    request: bytes = get(),
    *,
    early: bool = False,
) -> FromUpstream:
    return FromUpstream(
        f"behind {name}", "9112 §9.2", data, outcome, request=request, early=early, behind=behind
    )


CASES = (
    surplus("a length: a whole answer", TWO, EVIL),
    surplus("a length: two answers", TWO, EVIL * 2),
    surplus("a length: part of an answer", TWO, EVIL[:20]),
    surplus("a length: one byte", TWO, b"x"),
    surplus("a length: a line end", TWO, b"\r\n"),
    surplus("a length: a line feed", TWO, b"\n"),
    surplus("a length: a NUL", TWO, b"\x00"),
    surplus("a length: a 100", TWO, b"HTTP/1.1 100 Continue\r\n\r\n"),
    surplus("a length: a request", TWO, get()),
    surplus("a length: 300 kB", TWO, b"x" * 300_000),
    surplus("chunks: a whole answer", CHUNKED, EVIL, Answered(200, (), b"ok")),
    surplus("chunks: one byte", CHUNKED, b"x", Answered(200, (), b"ok")),
    surplus("chunks: more chunks", CHUNKED, b"4\r\nevil\r\n0\r\n\r\n", Answered(200, (), b"ok")),
    surplus("nothing: a whole answer", EMPTY, EVIL, Answered(200, (b"content-length: 0",))),
    surplus("a 204: a whole answer", b"HTTP/1.1 204 X\r\n\r\n", EVIL, Answered(204)),
    surplus("a 304: a whole answer", b"HTTP/1.1 304 X\r\n\r\n", EVIL, Answered(304)),
    surplus(
        "HEAD: a body that is an answer",
        response(b"content-length: %d" % len(EVIL)),
        EVIL,
        Answered(200, (b"content-length: %d" % len(EVIL),)),
        HEAD,
    ),
    surplus("HEAD: a whole answer", response(), EVIL, Answered(200), HEAD),
    surplus(
        "a 103 and an answer: another",
        b"HTTP/1.1 103 X\r\n\r\n" + TWO,
        EVIL,
        Answered(200, OK, b"ok", (103,)),
    ),
    surplus(
        "an error: a whole answer",
        response(*OK, body=b"no", start=b"HTTP/1.1 500 X"),
        EVIL,
        Answered(500, OK, b"no"),
    ),
    surplus(
        "an early answer: another", TWO, EVIL, request=post(b"content-length: 100", body=b"abc"), early=True
    ),
    surplus("an answer to HTTP/1.0: another", TWO, EVIL, request=b"GET /x HTTP/1.0\r\n" + HOST + b"\r\n"),
)
