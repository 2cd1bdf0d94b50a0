"""Turns a pair log back into requests, and sums up how a new version answered them. No network here.

A logged pair is restored to the capture of its live half, as the recorder once got it. With the new version's
answer as the other half it goes through the same `pair.build` as any pair: compared, redacted, in the log's form.

What stands in a log is not always what was sent: bodies were cut, secrets replaced. A request that can't be sent
as it was, or whose recorded answer is nothing to compare with, is not sent, and counted by its reason.
"""

import base64
import re
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec.structs import replace

from router.channel import Capture, CapturedAnswer, CapturedRequest, Message
from router.pairs.comparators import Comparator
from router.pairs.comparators.base import FAILED_FROM
from router.pairs.content import open_message
from router.pairs.joining import Joined
from router.pairs.pair import Pair, build
from router.pairs.redaction import Redactor
from router.pairs.settings import PairSettings
from router.pairs.slices import Slicer
from router.pairs.values import ABSENT, REDACTED, dump, parse

Headers = tuple[tuple[bytes, bytes], ...]

_MARK = re.compile(re.escape(REDACTED) + "|hmac-sha256:[0-9a-f]{64}")
"""What stands for a hidden value (`pairs.redaction`)."""

_REMEMBERED = 100_000
"""Exchanges remembered to send each once. Pairs of one exchange are written within seconds of each other."""

# RFC 9110 §7.6.1 and what the connection to the new version decides for itself.
_OF_THE_HOP = frozenset((
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    b"host", b"content-length", b"expect", b"proxy-authorization", b"proxy-authenticate",
))  # fmt: skip
# The trace of the recorded request is over; an answer's coding is nothing that is compared.
_OF_THEN = frozenset((b"traceparent", b"tracestate", b"baggage", b"accept-encoding", b"x-request-id",
                      b"x-router-shadow"))  # fmt: skip


class _Side(msgspec.Struct):
    headers: dict[str, str]
    body: msgspec.Raw
    body_encoding: str
    size: int
    truncated: bool


class _Request(_Side):
    method: str
    path: str


class _Answer(_Side):
    version: str
    endpoint: str
    status: int
    latency_ms: float | None
    first_byte_ms: float | None
    error: str | None


class _Line(msgspec.Struct):
    id: str
    time: str
    deployment: str
    generation: int
    exchange: str
    request: _Request | None
    primary: _Answer
    subject: str | None = None


_OF_THE_FORM = (b"content-encoding", b"inference-header-content-length")
"""Headers that are no longer true of a body that was written anew."""

_lines = msgspec.json.Decoder(_Line)
_texts = msgspec.json.Decoder(str)


class Outgoing(msgspec.Struct, frozen=True):
    """A request as it leaves, but for `host` and `content-length`."""

    method: str
    target: bytes
    headers: Headers
    body: bytes


class Selector:
    """Picks out of a log's lines what can be sent, each exchange once, and counts the rest.

    `given` are the header names for which the caller has values of his own, so that it does no harm when the log
    holds none. `primary` takes only what that version answered. `pruned` are the deployments of whose requests the
    log keeps only parts (`keep_only`), which nothing in a line tells. `unfit` counts by reason what can't be sent,
    `repeated` the further copies of an exchange, `others` what other versions answered.
    """

    def __init__(
        self,
        given: frozenset[bytes] = frozenset(),
        primary: str | None = None,
        pruned: frozenset[str] = frozenset(),
    ) -> None:
        self._given = given
        self._primary = primary
        self._pruned = pruned
        self._seen: OrderedDict[str, None] = OrderedDict()
        self.unfit: Counter[str] = Counter()
        self.repeated = 0
        self.others = 0

    def fit(self, lines: Iterable[bytes]) -> Iterator[Capture]:
        """The live halves of those pairs whose request can be sent, in order."""
        for line in lines:
            pair = _decoded(line)
            if pair is None:
                self.unfit["line damaged"] += 1
            elif self._primary not in (None, pair.primary.version):
                self.others += 1
            elif self._is_known(pair.exchange):
                self.repeated += 1
            elif reason := _unfit(pair, self._given, pruned=pair.deployment in self._pruned):
                self.unfit[reason] += 1
            else:
                yield _capture(pair)

    def _is_known(self, exchange: str) -> bool:
        if exchange in self._seen:
            return True
        self._seen[exchange] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return False


def outgoing(capture: Capture, own: Headers) -> Outgoing:
    """The recorded request, with these headers instead of those of the same names; one with an empty value is
    left out. Raises ValueError for a capture without a request."""
    request = capture.request
    if request is None:
        raise ValueError(f"the capture of exchange {capture.exchange} has no request")
    recorded = request.message.headers
    left_out = _OF_THE_HOP | _OF_THEN | _named_in_connection(recorded) | {name for name, _ in own}
    headers = [(name, value) for name, value in recorded if name not in left_out]
    standing = (
        (b"accept-encoding", b"identity"),
        (b"x-request-id", capture.id.encode("latin-1", "replace")),
        (b"x-router-shadow", b"replay"),
    )
    headers += [each for each in standing if each[0] not in {name for name, _ in own}]
    headers += [each for each in own if each[1]]
    return Outgoing(request.method.decode("latin-1"), request.target, tuple(headers), request.message.body)


class Rules(NamedTuple):
    """How the pairs of one deployment are compared, and what is kept of them."""

    comparator: Comparator
    redactor: Redactor
    slicer: Slicer

    @classmethod
    def of(cls, settings: PairSettings, comparator: Comparator | None = None) -> "Rules":
        """Those of a `pairs` section, perhaps with another comparator."""
        return cls(comparator or settings.compare, Redactor.of(settings), Slicer(settings.slices))


def compared(capture: Capture, answer: CapturedAnswer, rules: Rules) -> Pair:
    """The pair that a recorded exchange makes with the new version's answer.

    The answer is redacted first, because the recorded one was. Where that was hidden by other rules than these,
    what stands there now is hidden too, and counts as equal.
    """
    half = replace(capture, role="shadow", answer=answer, request=None, copies=())
    answer = rules.redactor.capture(half).answer
    half = replace(half, answer=replace(answer, message=_veiled(capture.answer.message, answer.message)))
    return build(Joined(capture, half, answer.version, ()), rules.comparator, rules.redactor, rules.slicer)


def _veiled(recorded: Message, message: Message) -> Message:
    """The message with those places hidden that are hidden in the recorded one; nothing of its body where there
    are some and no JSON in which to find them."""
    body = message.body
    if body and _is_marked(recorded.body):
        left, right = parse(recorded.body)[0], open_message(message).value
        body = b"" if left is ABSENT or right is ABSENT else dump(_veil(left, right))
    if body is message.body and not message.concealed:
        return message
    headers = tuple(each for each in message.headers if each[0].lower() not in _OF_THE_FORM)
    return replace(
        message, headers=headers, body=body, concealed=False
    )  # both sides are, so that they compare


def _veil(left: Any, right: Any) -> Any:
    if isinstance(left, str) and _MARK.fullmatch(left):
        digests = isinstance(right, str) and left != REDACTED and _MARK.fullmatch(right)
        return right if digests else left
    if isinstance(left, dict) and isinstance(right, dict):
        return {key: _veil(left.get(key), value) for key, value in right.items()}
    if isinstance(left, list) and isinstance(right, list):
        return [_veil(*both) for both in zip(left, right, strict=False)] + right[len(left) :]
    return right


def _is_marked(text: bytes) -> bool:
    return _MARK.search(text.decode("latin-1")) is not None


def _decoded(line: bytes) -> _Line | None:
    try:
        return _lines.decode(line)
    except msgspec.DecodeError:
        return None


def _unfit(pair: _Line, given: frozenset[bytes], *, pruned: bool) -> str:
    """Why the request of this pair can't be sent, or would be for nothing; empty if neither."""
    request, answer = pair.request, pair.primary
    if request is None:
        return "request missing"
    if answer.error:
        return f"recorded answer failed: {answer.error}"
    if answer.status >= FAILED_FROM:
        return f"recorded answer failed: status_{answer.status}"
    if not request.path.startswith("/"):
        return "request target is no path"
    for name, side in (("request", request), ("recorded answer", answer)):
        if side.truncated:
            return f"{name} truncated"
        if side.body_encoding == "redacted":
            return f"{name} redacted"
    if _is_marked(bytes(request.body)):
        return "request redacted"
    if _is_altered(request, pruned):
        return "request not logged as it was sent"
    if _is_marked(unquote_to_bytes(request.path)):
        return "request path redacted"
    for header, value in request.headers.items():
        if _MARK.search(value) and _is_sent(header.encode("latin-1", "replace"), given):
            return f"header {header} redacted"
    return ""


def _is_altered(side: _Side, pruned: bool) -> bool:
    """Whether the body is another than the one that travelled, beyond its coding and the layout of its JSON."""
    if "content-encoding" in side.headers or (side.body_encoding == "json" and not pruned):
        return False
    return len(_body(side)) != side.size


def _is_sent(name: bytes, given: frozenset[bytes]) -> bool:
    return name not in given and name not in _OF_THE_HOP and name not in _OF_THEN


def _capture(pair: _Line) -> Capture:
    assert pair.request is not None
    request, answer = pair.request, pair.primary
    return Capture(
        exchange=pair.exchange,
        role="primary",
        id=pair.id,
        time=datetime.fromisoformat(pair.time).timestamp(),
        deployment=pair.deployment,
        generation=pair.generation,
        answer=CapturedAnswer(
            version=answer.version,
            endpoint=answer.endpoint,
            status=answer.status,
            message=_message(answer),
            latency_ms=-1.0 if answer.latency_ms is None else answer.latency_ms,
            first_byte_ms=-1.0 if answer.first_byte_ms is None else answer.first_byte_ms,
        ),
        request=CapturedRequest(
            request.method.encode("latin-1"), request.path.encode("latin-1"), _message(request)
        ),
        subject=pair.subject or "",
    )


def _message(side: _Side) -> Message:
    """Headers and body as they travelled, but for the content coding that the log has removed."""
    body = _body(side)
    left_out = set()
    if len(body) != side.size:
        left_out.add("content-encoding")
        if side.body_encoding == "json":  # laid out anew, so that the length of the JSON part is another
            left_out.add("inference-header-content-length")
    headers = tuple(
        (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, value in side.headers.items()
        if name not in left_out
    )
    return Message(headers, body, side.size, side.truncated)


def _body(side: _Side) -> bytes:
    if side.body_encoding == "none":
        return b""
    if side.body_encoding == "json":
        return bytes(side.body)
    text = _texts.decode(side.body)
    return base64.b64decode(text) if side.body_encoding == "base64" else text.encode()


def _named_in_connection(headers: Headers) -> frozenset[bytes]:
    values = b",".join(value for name, value in headers if name == b"connection")
    return frozenset(name.strip().lower() for name in values.split(b",")) - {b""}
