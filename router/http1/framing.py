"""How a message's body ends, and the bytes that say so (RFC 9112 §6 and §7).

A message whose framing two readers could understand differently is malformed here, even where the RFC allows to
repair it: what can be read in two ways can be used to smuggle a request past one of the readers.
"""

from enum import IntEnum
from typing import Final

from router.errors import RouterError

LAST_CHUNK: Final = b"0\r\n\r\n"

MAX_LENGTH = (1 << 63) - 1
"""Bytes of a body; what says it is longer makes numbers wrap around somewhere."""

MAX_DIGITS = len(str(MAX_LENGTH))
"""Digits of a length, leading zeros too: with more of them some readers give up, `int` among them (at 4,300)."""


class Malformed(RouterError):
    """The bytes are not one unambiguous HTTP/1.x message."""


class HeadTooLarge(Malformed):
    """The head, or what a chunked body brings beside its data, is over a limit."""


class TargetTooLong(Malformed):
    """The request target is over its limit."""


class Framing(IntEnum):
    """What ends the body."""

    NONE = 0
    LENGTH = 1
    CHUNKED = 2
    UNTIL_CLOSE = 3


NONE: Final[Framing] = Framing.NONE
LENGTH: Final[Framing] = Framing.LENGTH
CHUNKED: Final[Framing] = Framing.CHUNKED
UNTIL_CLOSE: Final[Framing] = Framing.UNTIL_CLOSE
"""The members as module constants: on the hot path a global is read five times faster than a class's member."""


def check_target(target: bytes, limit: int) -> None:
    """Raises TargetTooLong where a request target has more than `limit` bytes."""
    if len(target) > limit:
        raise TargetTooLong(f"the request target is over {limit} bytes")


def chunk(data: bytes) -> bytes:
    """The data as one chunk (RFC 9112 §7.1). Empty data would end the body, so it must not be empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def unchunk(data: bytes) -> bytes:
    """What `chunk` was given."""
    return data[data.index(b"\r\n") + 2 : -2]


def request_framing(minor: int, index: dict[bytes, bytes]) -> tuple[Framing, int]:
    """The framing of a request body and its length in bytes (RFC 9112 §6.3, rules 3 to 7).

    The parser has already refused several or odd lengths, and a length beside a transfer coding.
    Raises Malformed on any transfer coding but exactly `chunked`, on one from an HTTP/1.0 client, and on a length
    over MAX_LENGTH or of more than MAX_DIGITS.
    """
    coding = index.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked":
            raise Malformed("the only transfer coding understood is chunked")
        if minor == 0:
            raise Malformed("an HTTP/1.0 request can't be chunked")
        return Framing.CHUNKED, 0
    length = index.get(b"content-length")
    return _length_framing(length) if length is not None else (Framing.NONE, 0)


def response_framing(status: int, to_head: bool, index: dict[bytes, bytes]) -> tuple[Framing, int]:
    """The framing of a response body and its length in bytes (RFC 9112 §6.3, rules 1 to 8).

    Raises Malformed on any transfer coding but exactly `chunked`, and on a length over MAX_LENGTH or of more than
    MAX_DIGITS.
    """
    length = index.get(b"content-length")
    framing = _length_framing(length) if length is not None else (Framing.UNTIL_CLOSE, 0)
    if to_head or status < 200 or status in (204, 304):
        return Framing.NONE, 0
    coding = index.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked":
            raise Malformed("the only transfer coding understood is chunked")
        return Framing.CHUNKED, 0
    return framing


def _length_framing(digits: bytes) -> tuple[Framing, int]:
    size = int(digits) if len(digits) <= MAX_DIGITS else MAX_LENGTH + 1
    if size > MAX_LENGTH:
        raise Malformed("the Content-Length is no length that a body can have")
    return (Framing.LENGTH if size else Framing.NONE), size
