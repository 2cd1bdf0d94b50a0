"""A pair: two versions' answers to one request, and its form in the pair log (one JSON object a line).

The fields are those of the design's pair log, and more: `exchange`, unique for one request in one router
(`id` is the client's where it sent one, and one request may have several shadows), `differences_more`, how
many differences were found beside those listed, `slices`, `subject` (`pairs.subject`), `cohort` (of the exposure
under which the request came, 0: no evidence), `labels` and `values` (what comparators of labels and numbers saw).

`headers` maps lower-case names to values, equal names joined by a comma. Bodies are logged without their content
coding (`pairs.content` says in which forms) while `size` is what travelled. An absent half has status 0 and the
error "missing"; where the primary's is absent there is no request either.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from router.channel import Capture, CapturedAnswer, Message
from router.pairs.comparators import Comparator
from router.pairs.comparators.base import Answer, Comparison, Difference, Verdict, incomparable
from router.pairs.content import Content
from router.pairs.joining import Joined
from router.pairs.redaction import Redactor, lower_name
from router.pairs.slices import NO_SLICES, Slicer
from router.pairs.streams import Pace, pace

MISSING = "missing"

CONCEALED = "redacted before it was compared"
"""The error of a pair whose halves come from the spool, where redaction has taken from an answer what nobody can
compare any more: such a pair neither matches nor differs."""

MAX_POINTER = 200
"""Characters of a pointer in `differences`: whoever answers chooses the names in it, tallies keep them in memory."""

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


class LoggedAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One version's answer. `error` is null where nothing went wrong; times in milliseconds. `stream` stands only
    in answers that were streamed completions."""

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
    stream: Pace | None = None


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
    slices: dict[str, str] = {}
    subject: str | None = None
    cohort: int = 0
    labels: tuple[str, str] | None = None
    values: tuple[float, float] | None = None

    def line(self) -> bytes:
        """The pair as a line of the log, its newline included."""
        return _encoder.encode(self) + b"\n"


def build(joined: Joined, comparator: Comparator, redactor: Redactor, slicer: Slicer = NO_SLICES) -> Pair:
    """Compares and redacts two halves. Needs at least one of them."""
    known = joined.primary or joined.shadow
    if known is None:
        raise ValueError("a pair needs at least one half")
    primary = _open(joined.primary, redactor)
    shadow = _open(joined.shadow, redactor)
    comparison = _compare(joined, comparator, redactor, primary, shadow)
    request, slices = _request(joined.primary, redactor, slicer)
    return Pair(
        id=redactor.id(known),
        time=timestamp(known.time),
        deployment=known.deployment,
        generation=known.generation,
        request=request,
        primary=_answer(joined.primary, "", primary.content, redactor),
        shadow=_answer(joined.shadow, joined.version, shadow.content, redactor),
        verdict=comparison.verdict,
        score=comparison.score,
        differences=comparison.differences,
        differences_more=comparison.more,
        exchange=known.exchange,
        slices=slices,
        subject=(joined.primary.subject or None) if joined.primary else None,
        cohort=known.cohort,
        labels=comparison.labels,
        values=comparison.values,
    )


def _compare(
    joined: Joined, comparator: Comparator, redactor: Redactor, primary: Answer, shadow: Answer
) -> Comparison:
    comparison = comparator.compare(primary, shadow)
    halves = (joined.primary, joined.shadow)
    concealed = [half is not None and half.answer.message.concealed for half in halves]
    if any(concealed) and comparison.verdict != "incomparable":
        return incomparable(*(CONCEALED if each else None for each in concealed))
    return _short(redactor.comparison(comparison, getattr(comparator, "at", None)))


def _short(comparison: Comparison) -> Comparison:
    """With pointers of bounded length. After redaction, which has to know the whole of them."""
    if all(len(each.at) <= MAX_POINTER for each in comparison.differences):
        return comparison
    differences = tuple(
        replace(each, at=each.at[: MAX_POINTER - 1] + "…") if len(each.at) > MAX_POINTER else each
        for each in comparison.differences
    )
    return replace(comparison, differences=differences)


def _open(half: Capture | None, redactor: Redactor) -> Answer:
    if half is None:
        return Answer(0, Content(b""), MISSING)
    answer = half.answer
    content = redactor.response_content(answer.message)
    return Answer(answer.status, content, answer.error, answer.message.truncated)


def _request(
    half: Capture | None, redactor: Redactor, slicer: Slicer
) -> tuple[LoggedRequest | None, dict[str, str]]:
    """The request as the log has it, and its slices, which are read from that."""
    if half is None or half.request is None:
        return None, slicer.of_nothing()
    request, message = half.request, half.request.message
    content = redactor.request_content(message)
    headers = _headers(message, redactor)
    slices = slicer.of(headers, content.value)
    body, encoding = content.logged()
    logged = LoggedRequest(
        method=request.method.decode("latin-1"),
        path=redactor.target(request.target).decode("latin-1"),
        headers=headers,
        body=body,
        body_encoding=encoding,
        size=message.size,
        truncated=message.truncated,
    )
    return logged, slices


def _answer(half: Capture | None, version: str, content: Content, redactor: Redactor) -> LoggedAnswer:
    if half is None:
        return _absent(version)
    answer, message = half.answer, half.answer.message
    body, encoding = redactor.logged(content)
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
        stream=_pace(content, answer),
    )


def _pace(content: Content, answer: CapturedAnswer) -> Pace | None:
    """How a streamed completion came, by what may be seen of it."""
    if content.form != "events":
        return None
    return pace(content.value, content.chunks, _ms(answer.latency_ms), _ms(answer.first_byte_ms))


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
        name, value = lower_name(raw_name), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _ms(value: float) -> float | None:
    """Negative stands for "never came" in a capture."""
    return None if value < 0 else round(value, 3)


def timestamp(seconds: float) -> str:
    """Unix seconds as the log writes them: RFC 3339 in UTC, so that they sort as text."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"
