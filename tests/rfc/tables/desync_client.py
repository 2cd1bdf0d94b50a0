"""Pipelines in which one is wrong: what came before is answered, what comes behind is never read."""

from tests.rfc.cases import FromClient, Passed, Refused, chunked, get, passes, post

X = Passed(b"GET /x")
EVIL = get(target=b"/evil")
BAD = post(b"content-length: 3", b"transfer-encoding: chunked", body=b"0\r\n\r\n")


def ends_badly(name: str, data: bytes, *outcomes: Passed | Refused) -> FromClient:
    return passes(name, "9112 §9.3.2", data, *outcomes, closes=True)


CASES = (
    ends_badly("good, ambiguous, good", get() + BAD + EVIL, X, Refused()),
    ends_badly("two good, one garbage", get() * 2 + b"\x00\x01\x02\r\n\r\n" + EVIL, X, X, Refused()),
    ends_badly("good, then no Host", get() + b"GET /evil HTTP/1.1\r\n\r\n" + EVIL, X, Refused()),
    ends_badly("good, then HTTP/2", get() + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", X, Refused()),
    ends_badly("good, then bad chunks", get() + chunked(b"zz\r\n") + EVIL, X, Refused()),
    ends_badly(
        "length too small for its body",
        post(b"content-length: 1", body=b"a{}") + EVIL,
        Passed(b"POST /x", (b"content-length: 1",), b"a"),
        Refused(),
    ),
    ends_badly(
        "body behind a request without a length", post(body=b"{}") + EVIL, Passed(b"POST /x"), Refused()
    ),
    ends_badly("chunks, then garbage", chunked(b"0\r\n\r\nX") + EVIL, Passed(b"POST /x"), Refused()),
    ends_badly("body behind GET", get() + b"abc\r\n" + EVIL, X, Refused()),
    ends_badly(
        "upgrade to something else, then garbage",
        get(b"connection: upgrade", b"upgrade: x") + b"\x00\x00" + EVIL,
        X,
        Refused(),
    ),
    passes(
        "a request in a body is no request",
        "9112 §6.3",
        post(b"content-length: %d" % len(EVIL), body=EVIL) + get(),
        Passed(b"POST /x", (b"content-length: %d" % len(EVIL),), EVIL),
        X,
    ),
    passes(
        "a request in a chunk is no request",
        "9112 §7.1",
        chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(EVIL), EVIL)) + get(),
        Passed(b"POST /x", (), EVIL),
        X,
    ),
    passes(
        "a request in a value is no request",
        "9110 §5.5",
        get(b"a: GET /evil HTTP/1.1"),
        Passed(b"GET /x", (b"a: GET /evil HTTP/1.1",)),
    ),
)
