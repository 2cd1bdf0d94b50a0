"""Upgrade: to websocket with GET only; any other is ignored, as the RFC allows (RFC 9110 §7.8)."""

from tests.rfc.cases import (
    Answered,
    FromClient,
    FromUpstream,
    Passed,
    Refused,
    get,
    passes,
    post,
    refuses,
    response,
)

ASK = get(b"connection: upgrade", b"upgrade: websocket")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\n"


def ignored(
    name: str, data: bytes, line: bytes = b"GET /x", fields: tuple[bytes, ...] = (), body: bytes = b""
) -> FromClient:
    return passes(f"upgrade {name}", "9110 §7.8", data + get(), Passed(line, fields, body), Passed(b"GET /x"))


def bad(name: str, data: bytes, request: bytes = ASK) -> FromUpstream:
    return FromUpstream(f"101 {name}", "9110 §15.2.2", data, Refused(502), request=request)


CASES = (
    ignored(
        "to h2c",
        get(b"connection: Upgrade, HTTP2-Settings", b"upgrade: h2c", b"http2-settings: AAMAAABkAAQAAP__"),
    ),
    ignored(
        "to h2c with a body",
        post(b"connection: upgrade", b"upgrade: h2c", b"content-length: 3", body=b"abc"),
        b"POST /x",
        (b"content-length: 3",),
        b"abc",
    ),
    ignored(
        "to h2c with chunks",
        post(
            b"connection: upgrade",
            b"upgrade: h2c",
            b"transfer-encoding: chunked",
            body=b"1\r\na\r\n0\r\n\r\n",
        ),
        b"POST /x",
        (),
        b"a",
    ),
    ignored("to TLS", get(b"connection: upgrade", b"upgrade: TLS/1.0")),
    ignored("to several", get(b"connection: upgrade", b"upgrade: h2c, websocket")),
    ignored("to nothing", get(b"connection: upgrade", b"upgrade:")),
    ignored("not named", get(b"connection: upgrade")),
    ignored("not in Connection", get(b"upgrade: websocket")),
    ignored("with HEAD", ASK.replace(b"GET", b"HEAD"), b"HEAD /x"),
    ignored("with POST", post(b"connection: upgrade", b"upgrade: websocket"), b"POST /x"),
    passes(
        "upgrade from HTTP/1.0",
        "9110 §7.8",
        ASK.replace(b"HTTP/1.1", b"HTTP/1.0"),
        Passed(b"GET /x"),
        closes=True,
    ),
    passes(
        "two hundred upgrades in one",
        "9110 §7.8",
        get(b"connection: upgrade", b"upgrade: x") * 200,
        *[Passed(b"GET /x")] * 200,
    ),
    passes(
        "upgrade to websocket",
        "9110 §7.8",
        ASK,
        Passed(b"GET /x", (b"connection: upgrade", b"upgrade: websocket")),
    ),
    passes(
        "upgrade in upper case",
        "9110 §7.8",
        get(b"Connection: UPGRADE", b"Upgrade: WebSocket"),
        Passed(b"GET /x", (b"connection: upgrade", b"upgrade: websocket")),
    ),
    passes(
        "what lies behind a declined upgrade is a request",
        "9110 §7.8",
        ASK + get(),
        Passed(b"GET /x", (b"connection: upgrade", b"upgrade: websocket")),
        Passed(b"GET /x"),
    ),
    refuses(
        "upgrade to websocket with a body",
        "6455 §4.1",
        get(b"connection: upgrade", b"upgrade: websocket", b"content-length: 3") + b"abc",
    ),
    refuses(
        "upgrade to websocket with chunks",
        "6455 §4.1",
        get(b"connection: upgrade", b"upgrade: websocket", b"transfer-encoding: chunked") + b"0\r\n\r\n",
    ),
    bad("nobody asked for", SWITCH + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n", get()),
    bad(
        "for h2c that was not passed on",
        SWITCH + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n",
        get(b"connection: upgrade", b"upgrade: h2c"),
    ),
    bad("to another protocol", SWITCH + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n"),
    bad("to nothing", SWITCH + b"\r\n"),
    bad("without Connection", SWITCH + b"upgrade: websocket\r\n\r\n"),
    bad("without Upgrade", SWITCH + b"connection: upgrade\r\n\r\n"),
    FromUpstream(
        "an upgrade declined",
        "9110 §7.8",
        response(b"content-length: 2", body=b"no", start=b"HTTP/1.1 403 No"),
        Answered(403, (b"content-length: 2",), b"no"),
        request=ASK,
        reused=True,
    ),
    FromUpstream(
        "a 426 is an answer",
        "9110 §15.5.22",
        response(
            b"connection: upgrade",
            b"upgrade: h2c",
            b"content-length: 2",
            body=b"no",
            start=b"HTTP/1.1 426 No",
        ),
        Answered(426, (b"content-length: 2",), b"no"),
        reused=True,
    ),
)
