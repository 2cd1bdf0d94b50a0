"""Answers that break off: before the head a 502, after it the client must be able to tell (RFC 9112 §8)."""

from tests.rfc.cases import HOST, CutOff, FromUpstream, Refused, Then, response

OLD_CLIENT = b"GET /x HTTP/1.0\r\n" + HOST + b"\r\n"
LENGTH = response(b"content-length: 9", body=b"abc")
CHUNKS = response(b"transfer-encoding: chunked", body=b"3\r\nabc\r\n")
OPEN = response(body=b"abc")


def cut(
    name: str, data: bytes, then: Then = Then.CLOSE, body: bytes = b"abc", request: bytes = b""
) -> FromUpstream:
    case = FromUpstream(f"cut: {name}", "9112 §8", data, CutOff(200, body), then)
    return case if not request else FromUpstream(case.name, case.rfc, data, case.outcome, then, request)


def none(name: str, data: bytes, then: Then = Then.CLOSE) -> FromUpstream:
    return FromUpstream(f"cut: {name}", "9112 §8", data, Refused(502), then)


CASES = (
    none("before a byte", b""),
    none("in the version", b"HTT"),
    none("in the status line", b"HTTP/1.1 20"),
    none("after the status line", b"HTTP/1.1 200 OK\r\n"),
    none("in a field", b"HTTP/1.1 200 OK\r\ncontent-le"),
    none("before the empty line", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n"),
    none("in the empty line", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r"),
    none("by a reset before a byte", b"", Then.RESET),
    none("by a reset in the head", b"HTTP/1.1 200 OK\r\n", Then.RESET),
    cut("before a body of a length", response(b"content-length: 9"), body=b""),
    cut("in a body of a length", LENGTH),
    cut("one byte before the end", response(b"content-length: 4", body=b"abc")),
    cut("in a body of a length by a reset", LENGTH, Then.RESET),
    cut("before any chunk", response(b"transfer-encoding: chunked"), body=b""),
    cut("after a chunk", CHUNKS),
    cut("in a chunk", response(b"transfer-encoding: chunked", body=b"9\r\nabc")),
    cut("in a chunk size", CHUNKS + b"1"),
    cut("in the last chunk", CHUNKS + b"0\r\n"),
    cut("in the trailers", CHUNKS + b"0\r\na: b\r\n"),
    cut("one byte before the end of chunks", CHUNKS + b"0\r\n\r"),
    cut("after a chunk by a reset", CHUNKS, Then.RESET),
    cut("a body to the end by a reset", OPEN, Then.RESET),
    cut("in a body of a length for HTTP/1.0", LENGTH, request=OLD_CLIENT),
    FromUpstream("stalled: no byte", "9110 §15.6.5", b"", Refused(504), hasty=True),
    FromUpstream("stalled: in the head", "9110 §15.6.5", b"HTTP/1.1 200 OK\r\n", Refused(504), hasty=True),
    FromUpstream("stalled: in a body of a length", "9112 §8", LENGTH, CutOff(200, b"abc"), hasty=True),
    FromUpstream("stalled: in chunks", "9112 §8", CHUNKS, CutOff(200, b"abc"), hasty=True),
)
