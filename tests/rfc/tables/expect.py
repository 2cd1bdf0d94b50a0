"""Expect: the upstream is asked, the client waits for nobody else (RFC 9110 §10.1.1)."""

from tests.rfc.cases import HOST, Answered, FromUpstream, Passed, Refused, get, passes, post, response

EXPECTING = post(b"content-length: 3", b"expect: 100-continue", body=b"abc")
OLD = b"POST /x HTTP/1.0\r\n" + HOST + b"content-length: 3\r\nexpect: 100-continue\r\n\r\nabc"
OK = response(b"content-length: 2", body=b"ok")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

CASES = (
    passes(
        "Expect with a body",
        "9110 §10.1.1",
        EXPECTING,
        Passed(b"POST /x", (b"content-length: 3", b"expect: 100-continue"), b"abc"),
    ),
    passes(
        "Expect in upper case",
        "9110 §10.1.1",
        post(b"content-length: 1", b"Expect: 100-CONTINUE", body=b"a"),
        Passed(b"POST /x", (b"content-length: 1", b"Expect: 100-CONTINUE"), b"a"),
    ),
    passes(
        "Expect without a body",
        "9110 §10.1.1",
        get(b"expect: 100-continue"),
        Passed(b"GET /x", (b"expect: 100-continue",)),
    ),
    passes(
        "an expectation nobody knows is the upstream's",
        "9110 §10.1.1",
        get(b"expect: tea"),
        Passed(b"GET /x", (b"expect: tea",)),
    ),
    passes(
        "Expect with chunks",
        "9110 §10.1.1",
        post(b"expect: 100-continue", b"transfer-encoding: chunked", body=b"1\r\na\r\n0\r\n\r\n"),
        Passed(b"POST /x", (b"expect: 100-continue",), b"a"),
    ),
    FromUpstream(
        "the 100 comes back",
        "9110 §15.2.1",
        CONTINUE + OK,
        Answered(200, (b"content-length: 2",), b"ok", (100,)),
        request=EXPECTING,
        reused=True,
    ),
    FromUpstream(
        "a 100 nobody expects comes back",
        "9110 §15.2.1",
        CONTINUE + OK,
        Answered(200, (b"content-length: 2",), b"ok", (100,)),
        reused=True,
    ),
    FromUpstream(
        "a 100 is nothing for HTTP/1.0",
        "9110 §15.2",
        CONTINUE + OK,
        Answered(200, (b"content-length: 2",), b"ok"),
        request=OLD,
        reused=True,
    ),
    FromUpstream(
        "a 417 comes back",
        "9110 §15.5.18",
        response(b"content-length: 0", start=b"HTTP/1.1 417 No"),
        Answered(417, (b"content-length: 0",)),
        request=EXPECTING,
        reused=True,
    ),
    FromUpstream(
        "a refusal before the body",
        "9110 §10.1.1",
        response(b"content-length: 0", start=b"HTTP/1.1 401 No"),
        Answered(401, (b"content-length: 0",)),
        request=post(b"content-length: 9", b"expect: 100-continue"),
        early=True,
    ),
    FromUpstream(
        "a 100 with a body is none",
        "9110 §15.2",
        b"HTTP/1.1 100 Continue\r\ncontent-length: 2\r\n\r\nno" + OK,
        Refused(502),
        request=EXPECTING,
    ),
)
