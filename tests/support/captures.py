"""Captures as a worker makes them, for the tests of the recorder and its parts."""

import json
from typing import Any

from router.channel import Capture, CapturedAnswer, CapturedRequest, Half, Message

HEADERS = ((b"Content-Type", b"application/json"), (b"Authorization", b"Bearer hunter2"))
TIME = 1_700_000_000.25


def message(
    value: Any, headers: tuple[tuple[bytes, bytes], ...] = HEADERS, *, truncated: bool = False
) -> Message:
    """A message with this body: bytes as they are, anything else as JSON."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Message(headers, body, len(body), truncated)


def answer(version: str, value: Any = 1, error: str = "") -> CapturedAnswer:
    """An answer with status 200, or the failed try to get one."""
    kept = value if isinstance(value, Message) else message(value)
    return CapturedAnswer(version, f"http://{version}.test", 0 if error else 200, kept, 2.0, 1.0, error)


def primary(
    name: str, value: Any = 1, copies: tuple[str, ...] = ("v2",), asked: Any = None, deployment: str = "loan"
) -> Capture:
    """The half of v1, which answered the client; `asked` is the request's body."""
    body = message({"card": "4111", "amount": 7} if asked is None else asked)
    request = CapturedRequest(b"POST", b"/v2/models/loan/infer", body)
    return Capture(name, "primary", f"id-{name}", TIME, deployment, 3, answer("v1", value), request, copies)


def shadow(
    name: str, value: Any = 1, version: str = "v2", error: str = "", deployment: str = "loan"
) -> Capture:
    """The half of a copy."""
    return Capture(name, "shadow", f"id-{name}", TIME, deployment, 3, answer(version, value, error))


def half(name: str, body: bytes = b"{}", deployment: str = "loan") -> Half:
    """The half of v1 as a worker sends it."""
    return Half(
        name.encode(), b"id", TIME, deployment, 3, 0, "v1", "http://v1.test", 200,
        b"Content-Type: application/json", body, len(body), False, 0.002, 0.001,
        asked=b"GET /v2/models/loan/ready HTTP/1.1\r\nHost: loan.test", copies=("v2",),
    )  # fmt: skip
