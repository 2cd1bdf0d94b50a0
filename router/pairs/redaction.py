"""Keeps secrets out of everything the recorder writes: dropped, hashed, or not among what is kept.

Headers are named without regard to case, query parameters by their decoded name, body values by JSON pointer. When
pointers are set for a side, its bodies are written only as parsed JSON with those values hidden; a body that is no
JSON, or only part of one, is withheld whole, because nobody can tell where in it the secret lies.

What is dropped or hashed stays in the tree inside `Hidden`, so that it is compared all the same. `keep_only` leaves
the tree whole for the comparator: what it drops goes when the body is written, and out of the differences.
"""

import hmac
import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple, Self
from urllib.parse import unquote_plus

from msgspec.structs import replace

from router.channel import Capture, CapturedRequest, Message
from router.pairs.comparators.base import Comparison, Difference
from router.pairs.content import Content, open_message
from router.pairs.pointer import covers, join, overlap, split
from router.pairs.settings import HashSpec, KeepSpec, PairSettings, RedactSpec
from router.pairs.values import ABSENT, REDACTED, Hidden, parse

Headers = tuple[tuple[bytes, bytes], ...]
Put = Callable[[Any, str], Any]
"""What stands for a secret, of it and of what may be seen of it."""

Segments = tuple[str, ...]

_HASHED = "hmac-sha256:"
_IS_HASHED = re.compile(_HASHED + "[0-9a-f]{64}")
_REQUEST_ID = "x-request-id"
_canonical = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), default=lambda hidden: hidden.shown
).encode
_ALWAYS_SHOWN = ("status", "error")
"""Differences that lie outside of the bodies: nothing of a secret is in them."""


def digest(key: bytes, value: Any) -> str:
    """What stands for a hashed value: HMAC-SHA256 of its canonical JSON (keys sorted, no spaces, ASCII).

    A value that is a digest already is left alone: what comes from the spool was hashed before.
    """
    if isinstance(value, str) and _IS_HASHED.fullmatch(value):
        return value
    return _HASHED + hmac.digest(key, _canonical(value).encode(), "sha256").hex()


@lru_cache(maxsize=1024)
def lower_name(name: bytes) -> str:
    """The name of a header as it is compared and logged. The same few come with every message."""
    return name.lower().decode("latin-1")


def field_text(value: bytes) -> str:
    """A header's value as people write it: in UTF-8, where it is that, so that it equals the same text in a body."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class Redactor:
    """Applies one deployment's `redact`, `hash` and `keep_only`."""

    def __init__(
        self, redact: RedactSpec, hashed: HashSpec | None = None, kept: KeepSpec | None = None
    ) -> None:
        kept = kept or KeepSpec()
        key = b"" if hashed is None else hashed.key.get_secret_value().encode()
        self._request = _Side.of(redact.request, hashed.request if hashed else (), kept.request, key)
        self._response = _Side.of(redact.response, hashed.response if hashed else (), kept.response, key)
        self._headers = _Names.of(redact.headers, hashed.headers if hashed else (), kept.headers, key)
        self._query = _Names(redact.query, hashed.query if hashed else (), kept.query, key)

    @classmethod
    def of(cls, settings: PairSettings) -> Self:
        """The redactor of a deployment's `pairs` section."""
        return cls(settings.redact, settings.hash, settings.keep_only)

    def headers(self, headers: Headers) -> Headers:
        """The headers as they may be seen."""
        touches = self._headers.touches
        if not any(touches(lower_name(name)) for name, _ in headers):
            return headers
        return tuple([seen for header in headers if (seen := self._header(header)) is not None])

    def target(self, target: bytes) -> bytes:
        """The request's target with its query as it may be seen."""
        path, mark, query = target.decode("latin-1").partition("?")
        if not mark or not self._query.active:
            return target
        parts = [seen for part in query.split("&") if (seen := self._parameter(part)) is not None]
        return (path + ("?" if parts else "") + "&".join(parts)).encode("latin-1")

    def id(self, capture: Capture) -> str:
        """The request's id, which the client may have chosen, under the rules for the header it comes in."""
        if not self._headers.touches(_REQUEST_ID):
            return capture.id
        seen = self._headers.shown(_REQUEST_ID, capture.id)
        return capture.exchange if seen in (None, REDACTED) else str(seen)

    def request_content(self, message: Message) -> Content:
        """The request's body with its secrets hidden."""
        return _pruned(self._request.conceal(message), self._request)

    def response_content(self, message: Message) -> Content:
        """An answer's body with its secrets hidden, for comparing; `logged` says what may be written of it."""
        return self._response.conceal(message)

    def logged(self, content: Content) -> tuple[Any, str]:
        """`Content.logged` of an answer that was compared, without what is not kept."""
        return _pruned(content, self._response).logged()

    def comparison(self, comparison: Comparison, at: str | None) -> Comparison:
        """The comparison as it may be seen; `at` is where the comparator found labels or values, if it says so."""
        if not self._response.active:
            return comparison
        comparison = replace(
            comparison, differences=tuple(map(self._response.difference, comparison.differences))
        )
        if at is None or self._response.conceals(at):
            return replace(comparison, labels=None, values=None)
        return comparison

    def capture(self, capture: Capture) -> Capture:
        """The capture as it may lie in a file: the secrets themselves are gone, not only marked.

        A withheld body is left empty, its size kept, so that redacting once more withholds it again.
        """
        answer, request = capture.answer, capture.request
        safe_answer = self._message(answer.message, self._response)
        safe_request = None if request is None else self._safe_request(request)
        name = self.id(capture)
        if safe_answer is answer.message and safe_request is request and name == capture.id:
            return capture
        return replace(capture, id=name, answer=replace(answer, message=safe_answer), request=safe_request)

    def _safe_request(self, request: CapturedRequest) -> CapturedRequest:
        message, target = self._message(request.message, self._request), self.target(request.target)
        if message is request.message and target == request.target:
            return request
        return CapturedRequest(request.method, target, message)

    def _message(self, message: Message, side: "_Side") -> Message:
        headers, body = self.headers(message.headers), message.body
        concealed = message.concealed
        if side.active and message.size:
            body, concealed = _pruned(side.erase(message), side).rewritten(), True
        if headers is message.headers and body is message.body and concealed is message.concealed:
            return message
        return Message(headers, body, message.size, message.truncated, concealed)

    def _header(self, header: tuple[bytes, bytes]) -> tuple[bytes, bytes] | None:
        name, value = header
        lower = lower_name(name)
        if not self._headers.touches(lower):
            return header
        seen = self._headers.shown(lower, field_text(value))
        return None if seen is None else (name, seen.encode())

    def _parameter(self, part: str) -> str | None:
        name, _, value = part.partition("=")
        plain = unquote_plus(name)
        if not self._query.touches(plain):
            return part
        seen = self._query.shown(plain, unquote_plus(value))
        return None if seen is None else f"{name}={seen}"


class _Names:
    """Rules for what has a name: headers, query parameters."""

    __slots__ = ("_dropped", "_hashed", "_kept", "_key", "active")

    def __init__(
        self, dropped: tuple[str, ...], hashed: tuple[str, ...], kept: tuple[str, ...] | None, key: bytes
    ) -> None:
        self._hashed = frozenset(hashed)
        self._dropped = frozenset(dropped) - self._hashed
        self._kept = None if kept is None else frozenset(kept)
        self._key = key
        self.active = bool(dropped or hashed or kept is not None)

    @classmethod
    def of(
        cls, dropped: tuple[str, ...], hashed: tuple[str, ...], kept: tuple[str, ...] | None, key: bytes
    ) -> Self:
        """For names without regard to case."""
        return cls(_lower(dropped), _lower(hashed), None if kept is None else _lower(kept), key)

    def touches(self, name: str) -> bool:
        return (
            name in self._dropped
            or name in self._hashed
            or (self._kept is not None and name not in self._kept)
        )

    def shown(self, name: str, value: str) -> str | None:
        """What is seen of the value of a name that is touched; None: not even the name."""
        if self._kept is not None and name not in self._kept:
            return None
        return REDACTED if name in self._dropped else digest(self._key, value)


class _Side(NamedTuple):
    """The pointers for the bodies of requests, or those of answers; `kept` None keeps everything."""

    dropped: tuple[Segments, ...]
    hashed: tuple[Segments, ...]
    kept: tuple[Segments, ...] | None
    key: bytes

    @classmethod
    def of(
        cls, dropped: tuple[str, ...], hashed: tuple[str, ...], kept: tuple[str, ...] | None, key: bytes
    ) -> Self:
        return cls(_split(dropped), _split(hashed), None if kept is None else _split(kept), key)

    @property
    def active(self) -> bool:
        return bool(self.dropped or self.hashed or self.kept is not None)

    def conceal(self, message: Message) -> Content:
        """The body with what is dropped or hashed hidden, but there to be compared."""
        return self._without_secrets(message, Hidden)

    def erase(self, message: Message) -> Content:
        """The body with what is dropped or hashed gone from it."""
        return self._without_secrets(message, _shown)

    def _without_secrets(self, message: Message, put: Put) -> Content:
        if message.concealed:  # what its head says of its form is no longer so
            value, strict = parse(message.body)
            content = Content(message.body, value, strict, exposed=False)
        else:
            content = open_message(message)
        if self.active and message.size:
            content.exposed = False
            for segments in self.dropped:
                _replace(content.value, segments, lambda value: put(value, REDACTED))
            for segments in self.hashed:
                _replace(content.value, segments, lambda value: put(value, digest(self.key, value)))
        return content

    def conceals(self, at: str) -> bool:
        """Whether anything at, in or around this place is not to be seen as it is."""
        segments = split(at)
        hidden = any(overlap(each, segments) for each in (*self.dropped, *self.hashed))
        return hidden or not self._keeps(segments)

    def difference(self, found: Difference) -> Difference:
        """The difference as it may be seen: names of what is not kept are cut off, values there are hidden."""
        if found.at in _ALWAYS_SHOWN:
            return found
        segments = split(found.at)
        hidden = Difference(
            self._cut(segments) if found.at[:1] in ("", "/") else found.at, REDACTED, REDACTED
        )
        if found.at and found.at[0] != "/":
            return hidden
        covered = any(covers(each, segments) for each in (*self.dropped, *self.hashed))
        return hidden if covered or not self._shows(segments) else found

    def _keeps(self, segments: Segments) -> bool:
        return self.kept is None or any(covers(each, segments) for each in self.kept)

    def _shows(self, segments: Segments) -> bool:
        """Whether values here may be shown. A comparator may match elements of lists that stand at different
        positions in the two answers, so that what a pointer to one position keeps says nothing of the other."""
        if self.kept is None:
            return True
        return any(covers(each, segments) and not any(map(str.isdigit, each)) for each in self.kept)

    def _cut(self, segments: Segments) -> str:
        """The pointer up to where it leaves what is kept."""
        kept = self.kept
        if kept is None or any(overlap(each, segments) for each in kept):
            return join(segments)
        known = max(
            (n for n in range(len(segments)) if any(overlap(each, segments[:n]) for each in kept)), default=0
        )
        return join((*segments[:known], REDACTED))


def _lower(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)


def _split(pointers: tuple[str, ...]) -> tuple[Segments, ...]:
    return tuple(split(pointer) for pointer in pointers)


def _shown(_: Any, shown: str) -> str:
    return shown


def _replace(root: Any, segments: Segments, stand_in: Callable[[Any], Any]) -> None:
    """Replaces what the pointer names. What was replaced before stays as it is."""
    *way, last = segments
    nodes = [root]
    for segment in way:
        nodes = [node[name] for node in nodes for name in _matching(node, segment)]
    for node in nodes:
        for name in _matching(node, last):
            value = node[name]
            if value is not REDACTED and type(value) is not Hidden:
                node[name] = stand_in(value)


def _matching(node: Any, segment: str) -> Iterable[Any]:
    """Keys of an object or positions of a list that a pointer segment means."""
    if type(node) is dict:
        return list(node) if segment == "*" else (segment,) if segment in node else ()
    if type(node) is list:
        if segment == "*":
            return range(len(node))
        if segment.isascii() and segment.isdigit() and int(segment) < len(node):
            return (int(segment),)
    return ()


def _pruned(content: Content, side: _Side) -> Content:
    """The content without what is not kept; of a body in which nothing can be kept, nothing."""
    if side.kept is not None and content.value is not ABSENT:
        if isinstance(content.value, dict | list):
            _prune(content.value, side.kept)
        else:
            content.value = ABSENT
    return content


def _prune(node: Any, kept: tuple[Segments, ...]) -> None:
    """Takes out the members that no pointer names or leads to: of an object with their names; in a list their
    positions stay, so that the others keep theirs. A packed body of some kilobytes may have millions of them."""
    every = tuple(each[1:] for each in kept if each[0] == "*")
    named = frozenset(each[0] for each in kept) - {"*"}
    if () in every:
        return
    if isinstance(node, dict):
        for key in list(node):
            if not _is_kept(node[key], _below(kept, key) if key in named else every):
                del node[key]
    elif every or any(map(str.isdigit, named)):
        for index, member in enumerate(node):
            if not _is_kept(member, _below(kept, str(index)) if named and str(index) in named else every):
                node[index] = None
    else:
        node[:] = [None] * len(node)


def _below(kept: tuple[Segments, ...], key: str) -> tuple[Segments, ...]:
    return tuple(each[1:] for each in kept if each[0] in ("*", key))


def _is_kept(member: Any, below: tuple[Segments, ...]) -> bool:
    """Whether a member stays, itself pruned, where pointers lead on into it; `below` are the rests of these."""
    if () in below:
        return True
    if not below or not isinstance(member, dict | list):
        return False
    _prune(member, below)
    return True
