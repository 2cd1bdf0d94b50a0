"""JSON values as pairs hold them: read from bytes, parts of them hidden, written again. Floor 2.

A hidden value stays in the tree inside `Hidden`: it can still be compared, and no encoder here writes it.
"""

import json
from typing import Any

import msgspec

REDACTED = "[redacted]"


class Hidden:
    """A redacted value: compared like any other, written as `shown`, which is REDACTED or a digest."""

    __slots__ = ("shown", "value")

    def __init__(self, value: Any, shown: str = REDACTED) -> None:
        self.value = value
        self.shown = shown


class _Absent:
    """The type of ABSENT, which stands where there is no JSON (null is JSON)."""


ABSENT = _Absent()


def _enc_hook(value: Any) -> Any:
    if isinstance(value, Hidden):
        return value.shown
    raise NotImplementedError(type(value).__name__)


_encoder = msgspec.json.Encoder(enc_hook=_enc_hook)
_decoder = msgspec.json.Decoder()


def parse(data: bytes) -> tuple[Any, bool]:
    """The JSON value of a body and whether it is strict JSON; ABSENT when it is none.

    Strict JSON keeps to RFC 8259: no bare NaN or Infinity, no lone surrogates.
    """
    try:
        return _decoder.decode(data), True
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    except RecursionError:
        return ABSENT, True
    try:
        return json.loads(data.decode()), False
    except (ValueError, RecursionError):
        return ABSENT, True


def dump(value: Any) -> bytes:
    """The value as JSON, hidden parts as they are shown. NaN and Infinity come out bare, as Python writes them."""
    return json.dumps(value, default=_enc_hook, separators=(",", ":")).encode()


def dump_strict(value: Any) -> bytes:
    """The same of a value that came from strict JSON, several times faster."""
    return _encoder.encode(value)
