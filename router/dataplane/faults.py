"""What the router itself can answer, and the one place where a fault becomes an answer (RFC 9457).

The detail is repeated under `error`, where clients of V1, V2 and TF Serving look for it.
"""

from enum import Enum
from http import HTTPStatus

import msgspec

from router.http1.framing import HeadTooLarge, Malformed, TargetTooLong


class Fault(Enum):
    """A fault: its `x-router-error` value and its status.

    CLIENT_STALLED is in metrics only: who does not take its answer gets no other one.
    """

    BAD_REQUEST = ("bad_request", 400)
    NO_ROUTE = ("no_route", 404)
    BODY_STALLED = ("timeout", 408)
    CLIENT_STALLED = ("client_stalled", 408)
    BODY_TOO_LARGE = ("body_too_large", 413)
    TARGET_TOO_LONG = ("target_too_long", 414)
    HEADERS_TOO_LARGE = ("headers_too_large", 431)
    CONNECT_FAILED = ("connect_failed", 502)
    UPSTREAM_RESET = ("upstream_reset", 502)
    BAD_UPSTREAM_ANSWER = ("bad_upstream_answer", 502)
    NO_ENDPOINT = ("no_endpoint", 503)
    OVERLOADED = ("overloaded", 503)
    TIMEOUT = ("timeout", 504)

    @property
    def code(self) -> str:
        return self.value[0]

    @property
    def status(self) -> int:
        return self.value[1]


class TooManyWaiting(Malformed):
    """More requests behind one that is being answered than may wait there."""


_OF = {
    HeadTooLarge: Fault.HEADERS_TOO_LARGE,
    TargetTooLong: Fault.TARGET_TOO_LONG,
    TooManyWaiting: Fault.OVERLOADED,
}


def fault_of(error: Malformed) -> Fault:
    """What is wrong with a request that can't be read."""
    return _OF.get(type(error), Fault.BAD_REQUEST)


_encode = msgspec.json.Encoder().encode


def render(fault: Fault, detail: str, lines: bytes, *, to_head: bool) -> bytes:
    """The whole answer as bytes. `lines` are further field lines, each with its line end; the body of an answer to
    HEAD is left out (RFC 9110 §9.3.2)."""
    status = fault.status
    phrase = HTTPStatus(status).phrase
    body = _encode(
        {"type": "about:blank", "title": phrase, "status": status, "detail": detail, "error": detail}
    )
    retry = b"retry-after: 1\r\n" if status == 503 else b""
    head = (
        b"HTTP/1.1 %d %b\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n"
        b"x-router-error: %b\r\n%b%b\r\n"
        % (status, phrase.encode(), len(body), fault.code.encode(), retry, lines)
    )
    return head if to_head else head + body
