"""Heads at their limits, from both sides (docs/behaviour.md, Limits)."""

from tests.rfc.cases import HOST, FromUpstream, Passed, Refused, get, passes, refuses, response

FIELDS = [b"a%d: b" % n for n in range(250)]

CASES = (
    passes(
        "a head just below its limit",
        "9110 §5.4",
        get(b"a: " + b"b" * 65_000),
        Passed(b"GET /x", (b"a: " + b"b" * 65_000,)),
    ),
    passes(
        "fields just below their limit",
        "9110 §5.4",
        get(*FIELDS[:199]),
        Passed(b"GET /x", tuple(FIELDS[:199])),
    ),
    refuses("a value over the limit", "9110 §5.4", get(b"a: " + b"b" * 70_000), 431),
    refuses(
        "a value over the limit without end",
        "9110 §5.4",
        b"GET /x HTTP/1.1\r\n" + HOST + b"a: " + b"b" * 70_000,
        431,
    ),
    refuses("a name over the limit", "9110 §5.4", get(b"a" * 70_000 + b": b"), 431),
    refuses("more fields than the limit", "9110 §5.4", get(*FIELDS), 431),
    refuses("many short lines over the limit", "9110 §5.4", get(*[b"a:"] * 30_000), 431),
    refuses("a target over the limit", "9112 §3", get(target=b"/" + b"a" * 20_000), 414),
    refuses("a target over the limit without end", "9112 §3", b"GET /" + b"a" * 70_000, 414),
    refuses("empty lines without end", "9112 §2.2", b"\r\n" * 40_000, 431),
    FromUpstream(
        "an answer with too large a head",
        "9110 §5.4",
        response(b"a: " + b"b" * 70_000, b"content-length: 0"),
        Refused(502),
    ),
    FromUpstream(
        "an answer with too many fields", "9110 §5.4", response(*FIELDS, b"content-length: 0"), Refused(502)
    ),
    FromUpstream(
        "an answer with a head without end",
        "9110 §5.4",
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000,
        Refused(502),
    ),
    FromUpstream(
        "an answer with a reason without end", "9110 §5.4", b"HTTP/1.1 200 " + b"b" * 70_000, Refused(502)
    ),
)
