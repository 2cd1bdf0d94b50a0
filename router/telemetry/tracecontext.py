"""W3C Trace Context: which trace a request belongs to, and whose child it is (https://www.w3.org/TR/trace-context/).

Floor 1, pure but for the randomness of new ids.
"""

import re
from random import getrandbits
from typing import NamedTuple

_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_SAMPLED = 1


class Parent(NamedTuple):
    """What a valid `traceparent` says."""

    trace: int
    span: int
    sampled: bool


def parse(value: bytes) -> Parent | None:
    """The parent that a `traceparent` names; None where it is invalid and has to be ignored (§3.2.2).

    Versions above 00 may say more behind it, and are read as 00.
    """
    match = _TRACEPARENT.fullmatch(value)
    if match is None:
        return None
    version, trace, span, flags, more = match.groups()
    if version == b"ff" or (version == b"00" and more is not None):
        return None
    parent = Parent(int(trace, 16), int(span, 16), bool(int(flags, 16) & _SAMPLED))
    return parent if parent.trace and parent.span else None


def traceparent(trace: int, span: int) -> bytes:
    """The field line that names this span as parent; sampled, for it is recorded."""
    return b"traceparent: 00-%032x-%016x-01\r\n" % (trace, span)


def new_trace() -> int:
    """A random trace id; never 0."""
    return getrandbits(128) or 1


def new_span() -> int:
    """A random span id; never 0."""
    return getrandbits(64) or 1
