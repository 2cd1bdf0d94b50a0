"""Answers before the answer (RFC 9110 §15.2)."""

from tests.rfc.cases import HOST, Answered, FromUpstream, Refused, Then, post, response

OK = response(b"content-length: 2", body=b"ok")
EARLY = b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n"
FIELDS = (b"content-length: 2",)
OLD_CLIENT = b"GET /x HTTP/1.0\r\n" + HOST + b"\r\n"


def good(name: str, before: bytes, *codes: int) -> FromUpstream:
    return FromUpstream(
        f"1xx: {name}", "9110 §15.2", before + OK, Answered(200, FIELDS, b"ok", codes), reused=True
    )


def bad(name: str, data: bytes) -> FromUpstream:
    return FromUpstream(f"1xx: {name}", "9110 §15.2", data, Refused(502))


CASES = (
    good("100", b"HTTP/1.1 100 Continue\r\n\r\n", 100),
    good("102", b"HTTP/1.1 102 Processing\r\n\r\n", 102),
    good("103", EARLY, 103),
    good("one nobody knows", b"HTTP/1.1 199 X\r\n\r\n", 199),
    good("104", b"HTTP/1.1 104 Upload\r\n\r\n", 104),
    good("two kinds", EARLY + b"HTTP/1.1 100 C\r\n\r\n", 103, 100),
    good("fifty", EARLY * 50, *[103] * 50),
    good("with a length of zero", b"HTTP/1.1 103 X\r\ncontent-length: 0\r\n\r\n", 103),
    good("with thousands of zeros", b"HTTP/1.1 103 X\r\ncontent-length: " + b"0" * 5000 + b"\r\n\r\n", 103),
    FromUpstream(
        "1xx: not for HTTP/1.0",
        "9110 §15.2",
        EARLY + OK,
        Answered(200, FIELDS, b"ok"),
        request=OLD_CLIENT,
        reused=True,
    ),
    FromUpstream(
        "1xx: before a body in chunks",
        "9110 §15.2",
        EARLY + response(b"transfer-encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
        Answered(200, (), b"ok", (103,)),
        reused=True,
    ),
    FromUpstream(
        "1xx: before a 204",
        "9110 §15.2",
        EARLY + response(start=b"HTTP/1.1 204 X"),
        Answered(204, (), b"", (103,)),
        reused=True,
    ),
    bad("100 with a length", b"HTTP/1.1 100 X\r\ncontent-length: 5\r\n\r\nhello" + OK),
    bad("104 with a length", b"HTTP/1.1 104 X\r\ncontent-length: 5\r\n\r\nhello" + OK),
    bad("103 with a length", b"HTTP/1.1 103 X\r\ncontent-length: 5\r\n\r\n" + OK),
    bad("103 with chunks", b"HTTP/1.1 103 X\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + OK),
    bad("103, then garbage", EARLY + b"garbage\r\n\r\n"),
    bad("103 with a fold", b"HTTP/1.1 103 X\r\na: b\r\n c\r\n\r\n" + OK),
    bad("103 too large", b"HTTP/1.1 103 X\r\na: " + b"b" * 70_000),
    FromUpstream("1xx: and nothing more", "9110 §15.2", EARLY, Refused(504), hasty=True),
    FromUpstream("1xx: a flood and nothing more", "9110 §15.2", EARLY * 5000, Refused(504), hasty=True),
    FromUpstream("1xx: then the end", "9110 §15.2", EARLY, Refused(502), Then.CLOSE),
    # answers before the request is whole
    FromUpstream(
        "an early answer",
        "9112 §9.5",
        OK,
        Answered(200, FIELDS, b"ok"),
        request=post(b"content-length: 100", body=b"abc"),
        early=True,
    ),
    FromUpstream(
        "an early error",
        "9112 §9.5",
        response(b"content-length: 2", body=b"no", start=b"HTTP/1.1 413 X"),
        Answered(413, FIELDS, b"no"),
        request=post(b"content-length: 100"),
        early=True,
    ),
    FromUpstream(
        "an early answer to chunks",
        "9112 §9.5",
        OK,
        Answered(200, FIELDS, b"ok"),
        request=post(b"transfer-encoding: chunked", body=b"3\r\nabc\r\n"),
        early=True,
    ),
    FromUpstream(
        "an early answer that closes",
        "9112 §9.5",
        response(b"connection: close", *FIELDS, body=b"ok"),
        Answered(200, FIELDS, b"ok"),
        Then.CLOSE,
        post(b"content-length: 100", body=b"abc"),
        early=True,
    ),
    FromUpstream(
        "an early answer in chunks",
        "9112 §9.5",
        response(b"transfer-encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
        Answered(200, (), b"ok"),
        request=post(b"content-length: 100", body=b"abc"),
        early=True,
    ),
    FromUpstream(
        "an early refusal that is wrong",
        "9112 §9.5",
        b"garbage\r\n\r\n",
        Refused(502),
        request=post(b"content-length: 100", body=b"abc"),
        early=True,
    ),
)
