"""Persistence, pipelining and the end of a client's connection (RFC 9112 §9)."""

from tests.rfc.cases import HOST, FromClient, Passed, get, passes, post, refuses

X = Passed(b"GET /x")


def old(*lines: bytes) -> bytes:
    """A request in HTTP/1.0."""
    return b"GET /x HTTP/1.0\r\n%b%b\r\n" % (HOST, b"".join(line + b"\r\n" for line in lines))


def closes(name: str, data: bytes, *requests: Passed, behind: bytes = b"") -> FromClient:
    return FromClient(name, "9112 §9.6", data, requests or (X,), closes=True, behind=behind)


def keeps(name: str, data: bytes, *requests: Passed) -> FromClient:
    return passes(name, "9112 §9.3", data, *(requests or (X,)))


CASES = (
    keeps("one request", get()),
    keeps("keep-alive said", get(b"connection: keep-alive")),
    keeps("keep-alive in upper case", get(b"Connection: KEEP-ALIVE")),
    keeps("an option nobody knows", get(b"connection: x")),
    keeps("an empty Connection", get(b"connection:")),
    keeps("a Connection of commas", get(b"connection: ,,")),
    keeps("two in one", get() * 2, X, X),
    keeps("ten in one", get() * 10, *[X] * 10),
    keeps(
        "bodies and none in turn",
        (post(b"content-length: 1", body=b"a") + get()) * 2,
        *[Passed(b"POST /x", (b"content-length: 1",), b"a"), X] * 2,
    ),
    keeps("empty lines between", get() + b"\r\n" + get(), X, X),
    keeps("HEAD and GET in turn", get().replace(b"GET", b"HEAD") + get(), Passed(b"HEAD /x"), X),
    keeps("HTTP/1.0 with keep-alive", old(b"connection: keep-alive")),
    keeps("two of HTTP/1.0 with keep-alive", old(b"connection: keep-alive") * 2, X, X),
    keeps("HTTP/1.0 with Keep-Alive and an option", old(b"connection: x, Keep-Alive")),
    closes("close", get(b"connection: close")),
    closes("close in upper case", get(b"connection: CLOSE")),
    closes("close in a list", get(b"connection: x-a, close, x-b")),
    closes("close in a second line", get(b"connection: x", b"connection: close")),
    closes("close beats keep-alive", get(b"connection: keep-alive, close")),
    closes("close beats keep-alive in another line", get(b"connection: close", b"connection: keep-alive")),
    closes("nothing is read behind close", get(b"connection: close"), behind=get()),
    closes("garbage behind close is nothing", get(b"connection: close"), behind=b"\x00garbage"),
    closes("close on the second", get() + get(b"connection: close"), X, X, behind=get()),
    closes(
        "close with a body",
        post(b"connection: close", b"content-length: 3", body=b"abc"),
        Passed(b"POST /x", (b"content-length: 3",), b"abc"),
        behind=get(),
    ),
    closes(
        "close with chunks",
        post(b"connection: close", b"transfer-encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n"),
        Passed(b"POST /x", (), b"abc"),
        behind=get(),
    ),
    closes(
        "close with chunks and an upgrade that is none",
        post(
            b"connection: close, upgrade",
            b"upgrade: h2c",
            b"transfer-encoding: chunked",
            body=b"3\r\nabc\r\n0\r\n\r\n",
        ),
        Passed(b"POST /x", (), b"abc"),
        behind=get(),
    ),
    closes(
        "close with a body and an upgrade that is none",
        post(b"connection: close, upgrade", b"upgrade: h2c", b"content-length: 3", body=b"abc"),
        Passed(b"POST /x", (b"content-length: 3",), b"abc"),
        behind=get(),
    ),
    closes("HTTP/1.0", old()),
    closes("HTTP/1.0 with close", old(b"connection: close")),
    closes("nothing is read behind HTTP/1.0", old(), behind=get()),
    closes("HTTP/1.0 with only Keep-Alive", old(b"keep-alive: timeout=5")),
    refuses("close and keep-alive by a bad line", "9112 §5.1", get(b"connection : close")),
)
