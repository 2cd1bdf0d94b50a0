"""Streamed answers put together: server-sent events, and the OpenAI completions that arrive in them as deltas.

Pure and bounded: the work and the memory are a small multiple of the body. A stream that cannot be read gives
None and never raises, since what a hostile model sends must not stop a recorder.

Events are read as WHATWG says (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream):
lines end with CR, LF or both, an event ends with an empty line, and one that is cut off does not count. Deltas are
joined as in OpenAI's own client: strings are appended, members of lists meet by their `index`.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import msgspec

from router.pairs.values import parse

_BOM = b"\xef\xbb\xbf"
_DONE = b"[DONE]"
_CHUNK = ".chunk"

_WHOLE = frozenset(("role", "type", "id", "index"))
"""Members of deltas that are said whole each time they are said."""


class Event(NamedTuple):
    """One server-sent event: its name, `message` where it has none, and its data, lines joined by LF."""

    name: bytes
    data: bytes


class Stream(NamedTuple):
    """A completion put together as it would have been without streaming.

    `strict` says that all of it was strict JSON; `chunks` counts the events that brought something of the answer.
    """

    value: dict[str, Any]
    strict: bool
    chunks: int


class Pace(msgspec.Struct, frozen=True):
    """How a streamed answer came. Times in milliseconds; None where it is not known.

    `tokens` are those of `usage` where the server told it, otherwise the chunks (`counted`), which are tokens with
    most servers. Time to the first token is time to the first byte: when each chunk came is not recorded. Tokens
    per second are tokens over the time from the first byte to the last.
    """

    finish_reason: str | None
    tokens: int
    counted: Literal["usage", "chunks"]
    first_token_ms: float | None
    tokens_per_second: float | None


def events(data: bytes) -> Iterator[Event]:
    """The events of a stream. What comes after its last empty line is not one."""
    name = b"message"
    lines: list[bytes] = []
    for line in data.removeprefix(_BOM).splitlines():  # of bytes: at CR, LF and CRLF, nowhere else
        if not line:
            if lines:
                yield Event(name, b"\n".join(lines))
            name, lines = b"message", []
            continue
        field, _, value = line.partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")


def assemble(data: bytes) -> Stream | None:
    """The OpenAI completion (chat or not) that a stream carries; None when it carries none, or not only that.

    All choices by `index`, with message or text, tool calls, refusal, log probabilities and finish reason; beside
    them what the chunks say of the whole (`usage`, `id`, `error`), the last word counting.
    """
    assembly = _Assembly()
    strict, chunks = True, 0
    try:
        for event in events(data):
            if event.data == _DONE:
                break
            chunk, kept = parse(event.data)
            strict = strict and kept
            chunks += assembly.add(chunk)
        value = assembly.value()
    except (_Unlike, RecursionError):
        return None
    return None if value is None else Stream(value, strict, chunks)


def pace(value: Any, chunks: int, latency_ms: float | None, first_byte_ms: float | None) -> Pace | None:
    """How the answer `value`, streamed in so many chunks, came; None for a value that is no completion."""
    if not isinstance(value, dict) or not isinstance(value.get("choices"), list):
        return None
    told = _completion_tokens(value.get("usage"))
    tokens = chunks if told is None else told
    seconds = None
    if latency_ms is not None and first_byte_ms is not None and latency_ms > first_byte_ms:
        seconds = (latency_ms - first_byte_ms) / 1000
    return Pace(
        finish_reason=_finish_reason(value["choices"]),
        tokens=tokens,
        counted="chunks" if told is None else "usage",
        first_token_ms=first_byte_ms,
        tokens_per_second=None if seconds is None else round(tokens / seconds, 3),
    )


def evened(left: dict[str, Any], right: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A completion that was streamed and one that was not, without what only one of the two forms says.

    A stream leaves out members that are null or an empty list, and its `usage` unless it was asked for.
    """
    silent = {"usage"} if left.get("usage") is None or right.get("usage") is None else set()
    return _evened(left, silent), _evened(right, silent)


def _evened(value: dict[str, Any], silent: set[str]) -> dict[str, Any]:
    said = {key: member for key, member in value.items() if key not in silent and member is not None}
    return {**said, "choices": _lean(said["choices"])} if "choices" in said else said


def _lean(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _lean(member) for key, member in node.items() if member is not None and member != []}
    if isinstance(node, list):
        return [_lean(member) for member in node]
    return node


def _completion_tokens(usage: Any) -> int | None:
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return tokens if type(tokens) is int and tokens >= 0 else None


def _finish_reason(choices: list[Any]) -> str | None:
    first = choices[0] if choices else None
    reason = first.get("finish_reason") if isinstance(first, dict) else None
    return reason if isinstance(reason, str) else None


class _Unlike(Exception):
    """A chunk that is not one of a completion."""


class _Text:
    """A string that grows. Appending to a plain one in a tree copies it each time."""

    __slots__ = ("parts",)

    def __init__(self, part: str) -> None:
        self.parts = [part]


class _ByIndex(dict[int, dict[str, Any]]):
    """Members of a list that came in pieces, by the index they name."""


class _Assembly:
    """A completion under way."""

    __slots__ = ("_choices", "_seen", "_whole")

    def __init__(self) -> None:
        self._whole: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._seen = False

    def add(self, chunk: Any) -> bool:
        """Takes one event's data; says whether it brought something of the answer. Raises _Unlike."""
        if not isinstance(chunk, dict):
            raise _Unlike
        for key, member in chunk.items():
            if key != "choices" and member is not None:
                self._whole[key] = member
        choices = chunk.get("choices")
        if choices is None:
            return False
        self._seen = True
        if not isinstance(choices, list):
            raise _Unlike
        brought = [self._add_choice(choice) for choice in choices]
        return any(brought)

    def value(self) -> dict[str, Any] | None:
        """The completion; None when no chunk was of one."""
        if not self._seen:
            return None
        whole = dict(self._whole)
        if isinstance(whole.get("object"), str):
            whole["object"] = whole["object"].removesuffix(_CHUNK)
        whole["choices"] = [_finished_choice(self._choices[index]) for index in sorted(self._choices)]
        return whole

    def _add_choice(self, choice: Any) -> bool:
        index = choice.get("index", 0) if isinstance(choice, dict) else None
        if type(index) is not int:
            raise _Unlike
        into = self._choices.setdefault(index, {"index": index})
        brought = False
        for key, member in choice.items():
            if member is None:
                continue
            if key == "delta":
                brought = _add_delta(into, member) or brought
            elif key == "text":
                brought = bool(member)
                _append(into, key, member)
            elif isinstance(member, (dict, list)):
                _append(into, key, member)
            else:
                into[key] = member
        return brought


def _add_delta(choice: dict[str, Any], delta: Any) -> bool:
    if not isinstance(delta, dict):
        raise _Unlike
    _join(choice.setdefault("message", {}), delta)
    return any(member for key, member in delta.items() if key != "role")


def _join(into: dict[str, Any], delta: dict[str, Any]) -> None:
    for key, member in delta.items():
        if member is None:
            continue
        if key in _WHOLE:
            into[key] = member
        else:
            _append(into, key, member)


def _append(into: dict[str, Any], key: str, member: Any) -> None:
    """Lets a member of a growing object grow. Where its type changes, the later word counts."""
    old = into.get(key)
    if isinstance(member, str):
        if isinstance(old, _Text):
            old.parts.append(member)
        else:
            into[key] = _Text(member)
    elif isinstance(member, dict):
        if type(old) is not dict:
            old = into[key] = {}
        _join(old, member)
    elif isinstance(member, list):
        _extend(into, key, old, member)
    else:
        into[key] = member


def _extend(into: dict[str, Any], key: str, old: Any, members: list[Any]) -> None:
    if members and all(isinstance(each, dict) and type(each.get("index")) is int for each in members):
        if not isinstance(old, _ByIndex):
            old = into[key] = _ByIndex()
        for each in members:
            _join(old.setdefault(each["index"], {}), each)
    elif isinstance(old, list):
        old.extend(members)
    else:
        into[key] = list(members)


def _finished_choice(choice: dict[str, Any]) -> dict[str, Any]:
    """With the members that every choice of a whole answer has."""
    finished = {"index": choice["index"], "finish_reason": None}
    finished |= {key: _finished(member) for key, member in choice.items()}
    if "message" in finished:
        finished["message"] = {"role": "assistant", "content": None, **finished["message"]}
    return finished


def _finished(node: Any) -> Any:
    if isinstance(node, _Text):
        return "".join(node.parts)
    if isinstance(node, _ByIndex):
        return [
            {key: _finished(member) for key, member in node[index].items() if key != "index"}
            for index in sorted(node)
        ]
    if isinstance(node, dict):
        return {key: _finished(member) for key, member in node.items()}
    return node
