"""Spans: what a trace tells of one request.

Floor 1. Attributes follow the stable HTTP semantic conventions
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/); those of our own begin with `router.`.
"""

from collections.abc import Mapping
from typing import NamedTuple

Value = str | int | float | bool

_METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH", b"QUERY"))


class Span(NamedTuple):
    """One span that has ended. `began` and `ended` are of the monotonic clock, in seconds.

    `parent` is 0 for the root of a trace; `remote` says that the parent is somebody else's.
    """

    server: bool
    name: str
    trace: int
    span: int
    parent: int
    remote: bool
    began: float
    ended: float
    attributes: Mapping[str, Value]
    failed: bool


def asked(method: bytes) -> dict[str, Value]:
    """The attributes for a method. One that the conventions do not know is `_OTHER` (`name_of` needs few names)."""
    if method in _METHODS:
        return {"http.request.method": method.decode()}
    return {"http.request.method": "_OTHER", "http.request.method_original": method.decode("latin-1")}


def name_of(method: bytes, route: str = "") -> str:
    """The name of a span: the method and, on the server's side, the route; both are of few values."""
    name = method.decode() if method in _METHODS else "HTTP"
    return f"{name} {route}" if route else name


def answered(status: int, error: str, failed: bool) -> dict[str, Value]:
    """The attributes for an answer: its status where there is one (0: none), and what went wrong if anything did.

    `failed` is whether the span is one of an error: a status of 400 or more is for the client, 500 for the server.
    """
    said: dict[str, Value] = {"http.response.status_code": status} if status else {}
    if error or failed:
        said["error.type"] = error or str(status)
    return said


def place(host: str, port: int) -> dict[str, Value]:
    """The attributes for a server's address."""
    found: dict[str, Value] = {}
    if host:
        found["server.address"] = host
    if port:
        found["server.port"] = port
    return found
