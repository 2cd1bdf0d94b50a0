"""A pair: two versions' answers to one request, and its form in the pair log (one JSON object a line).

The fields are those of the design's pair log, and two more: `exchange`, unique for one request in one router
(`id` is the client's where it sent one, and one request may have several shadows), and `differences_more`, how
many differences were found beside those listed.

`headers` maps lower-case names to values, equal names joined by a comma. Bodies are logged without their content
coding (`pairs.content` says in which forms) while `size` is what travelled. An absent half has status 0 and the
error "missing"; where the primary's is absent there is no request either.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec

from router.channel import Capture, CapturedRequest, Message
from router.pairs.comparators import Comparator
from router.pairs.comparators.base import Answer, Difference, Verdict
from router.pairs.content import Content
from router.pairs.joining import Joined
from router.pairs.redaction import Redactor

MISSING = "missing"

_encoder = msgspec.json.Encoder()


class LoggedRequest(msgspec.Struct, frozen=True):
    """The client's request."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    body_encoding: str
    size: int
    truncated: bool


class LoggedAnswer(msgspec.Struct, frozen=True):
    """One version's answer. `error` is null where nothing went wrong; times in milliseconds."""

    version: str
    endpoint: str
    status: int
    headers: dict[str, str]
    body: Any
    body_encoding: str
    size: int
    truncated: bool
    latency_ms: float | None
    first_byte_ms: float | None
    error: str | None


class Pair(msgspec.Struct, frozen=True):
    """One pair, compared and redacted; `time` is RFC 3339 in UTC."""

    id: str
    time: str
    deployment: str
    generation: int
    request: LoggedRequest | None
    primary: LoggedAnswer
    shadow: LoggedAnswer
    verdict: Verdict
    score: float | None
    differences: tuple[Difference, ...]
    differences_more: int
    exchange: str

    def line(self) -> bytes:
        """The pair as a line of the log, its newline included."""
        return _encoder.encode(self) + b"\n"


def build(joined: Joined, comparator: Comparator, redactor: Redactor) -> Pair:
    """Compares and redacts two halves. Needs at least one of them."""
    known = joined.primary or joined.shadow
    if known is None:
        raise ValueError("a pair needs at least one half")
    primary = _open(joined.primary, redactor)
    shadow = _open(joined.shadow, redactor)
    comparison = comparator.compare(primary, shadow)
    request = None if joined.primary is None else joined.primary.request
    return Pair(
        id=known.id,
        time=_timestamp(known.time),
        deployment=known.deployment,
        generation=known.generation,
        request=None if request is None else _request(request, redactor),
        primary=_answer(joined.primary, "", primary.content, redactor),
        shadow=_answer(joined.shadow, joined.version, shadow.content, redactor),
        verdict=comparison.verdict,
        score=comparison.score,
        differences=comparison.differences,
        differences_more=comparison.more,
        exchange=known.exchange,
    )


def _open(half: Capture | None, redactor: Redactor) -> Answer:
    if half is None:
        return Answer(0, Content(b""), MISSING)
    answer = half.answer
    content = redactor.response_content(answer.message)
    return Answer(answer.status, content, answer.error, answer.message.truncated)


def _request(request: CapturedRequest, redactor: Redactor) -> LoggedRequest:
    message = request.message
    body, encoding = redactor.request_content(message).logged()
    return LoggedRequest(
        method=request.method.decode("latin-1"),
        path=request.target.decode("latin-1"),
        headers=_headers(message, redactor),
        body=body,
        body_encoding=encoding,
        size=message.size,
        truncated=message.truncated,
    )


def _answer(half: Capture | None, version: str, content: Content, redactor: Redactor) -> LoggedAnswer:
    if half is None:
        return _absent(version)
    answer, message = half.answer, half.answer.message
    body, encoding = content.logged()
    return LoggedAnswer(
        version=answer.version,
        endpoint=answer.endpoint,
        status=answer.status,
        headers=_headers(message, redactor),
        body=body,
        body_encoding=encoding,
        size=message.size,
        truncated=message.truncated,
        latency_ms=_ms(answer.latency_ms),
        first_byte_ms=_ms(answer.first_byte_ms),
        error=answer.error or None,
    )


def _absent(version: str) -> LoggedAnswer:
    return LoggedAnswer(
        version=version,
        endpoint="",
        status=0,
        headers={},
        body=None,
        body_encoding="none",
        size=0,
        truncated=False,
        latency_ms=None,
        first_byte_ms=None,
        error=MISSING,
    )


def _headers(message: Message, redactor: Redactor) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in redactor.headers(message.headers):
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _ms(value: float) -> float | None:
    """Negative stands for "never came" in a capture."""
    return None if value < 0 else round(value, 3)


def _timestamp(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"
