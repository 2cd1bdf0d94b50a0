"""A captured body, opened once: its content coding removed and its value read.

The comparators read it, redaction hides parts of it (`values.Hidden`), and the pair log writes what is left. The
value of a stream is the answer its events make (`streams`), that of a body with binary tensors is the one with
all of them in the JSON (`tensors`), so that pointers, comparators and redaction see one form of each message.
"""

import codecs
import re
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from router.channel import Message
from router.pairs import codings, streams, tensors
from router.pairs.values import ABSENT, dump, dump_strict, parse

Form = Literal["json", "events", "tensors"]
"""How a body is written: plainly (whether it is JSON or not), as server-sent events, with binary tensors."""

_BINARY = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_CODING, _TYPE, _HEAD_LENGTH = b"content-encoding", b"content-type", b"inference-header-content-length"
_NAMES = frozenset((_CODING, _TYPE, _HEAD_LENGTH))


@dataclass(slots=True)
class Content:
    """`data` is the body without its content coding; `value` what it says as JSON, or ABSENT.

    `strict` says that the JSON keeps to RFC 8259 (no bare NaN or Infinity, no lone surrogates). `problem` names
    what kept the body from being decoded. `exposed` is False once redaction has touched it: then only `value`,
    where hidden parts are marked, may be written, and of a body without a value nothing at all. `form` is how
    the body was written, `chunks` the events of a stream that brought something of the answer. `cut` says that the
    body is only a beginning.
    """

    data: bytes
    value: Any = ABSENT
    strict: bool = True
    problem: str = ""
    exposed: bool = True
    form: Form = "json"
    chunks: int = 0
    cut: bool = False

    def logged(self) -> tuple[Any, str]:
        """What the pair log holds as `body`, and its `body_encoding`.

        `json`: the value itself. `text`: a string; also JSON that strict readers refuse (NaN, Infinity), since
        one such value would make the whole line unreadable. `base64`: anything else. `none`: there is no body.
        `redacted`: there is one, but the pointers to redact could not be applied to it. Streams and binary
        tensors are logged as they came, so that they can be replayed; redacted ones as their value.
        """
        if not self.exposed:
            return self._logged_hidden()
        if not self.data:
            return None, "none"
        if self.value is not ABSENT and self.strict and self.form == "json":
            return msgspec.Raw(_one_line(self.data)), "json"
        text = _text(self.data, cut=self.cut)
        return (self.data, "base64") if text is None else (text, "text")

    def rewritten(self) -> bytes:
        """The value as JSON, hidden parts as they are shown; nothing where there is none."""
        if self.value is ABSENT:
            return b""
        return dump_strict(self.value) if self.strict else dump(self.value)

    def _logged_hidden(self) -> tuple[Any, str]:
        text = self.rewritten()
        if not text:
            return None, "redacted"
        return (msgspec.Raw(text), "json") if self.strict else (text.decode(), "text")


def open_message(message: Message) -> Content:
    """The body of a captured message. Never raises: what can't be read has a `problem` or no value.

    A body that is not in the coding or the form its head names is taken as it is, when it is JSON: redaction
    leaves such ones in the spool.
    """
    data, problem = message.body, ""
    if not data:
        return Content(data)
    told = _told(message.headers)
    if _CODING in told:
        try:
            data = codings.decode(told[_CODING], data, truncated=message.truncated)
        except codings.Undecodable as error:
            problem = str(error)
    if message.truncated:
        return Content(data, problem=problem, cut=True)
    if _HEAD_LENGTH in told:
        return _with_tensors(data, told[_HEAD_LENGTH], problem)
    if told.get(_TYPE, b"").lower().startswith(b"text/event-stream"):
        return _streamed(data, problem)
    return _plain(data, problem, "json")


def _told(headers: tuple[tuple[bytes, bytes], ...]) -> dict[bytes, bytes]:
    """What the head says of the body, equal names joined by a comma."""
    told: dict[bytes, bytes] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in _NAMES:
            told[lower] = told[lower] + b"," + value if lower in told else value
    return told


def _plain(data: bytes, problem: str, form: Form) -> Content:
    """A body that is JSON or nothing we can read; `form` is what it was taken for."""
    value, strict = parse(data)
    if value is ABSENT:
        return Content(data, problem=problem, form=form)
    return Content(data, value, strict)


def _streamed(data: bytes, problem: str) -> Content:
    stream = None if problem else streams.assemble(data)
    if stream is None:
        return _plain(data, problem, "events")
    return Content(data, stream.value, stream.strict, form="events", chunks=stream.chunks)


def _with_tensors(data: bytes, length: bytes, problem: str) -> Content:
    # No more digits than a body's length can have: int() of a megabyte of them takes minutes.
    size = int(length) if len(length) < 12 and length.isdigit() else len(data)
    if problem or size >= len(data):
        return _plain(data, problem, "tensors")
    head, strict = parse(data[:size])
    if head is ABSENT:
        return _plain(data, problem, "tensors")
    try:
        value, finite = tensors.merge(head, data[size:])
    except tensors.TooManyElements as error:
        return Content(data, problem=str(error), form="tensors")
    except tensors.BadTensors:
        return Content(data, form="tensors")
    return Content(data, value, strict and finite, form="tensors")


def _one_line(data: bytes) -> bytes:
    if b"\n" in data or b"\r" in data:
        return msgspec.json.format(data, indent=-1)
    return data


def _text(data: bytes, *, cut: bool) -> str | None:
    """The body as text; of one that was cut without the character that the cut went through. None when it is binary."""
    try:
        text, used = codecs.utf_8_decode(data, "strict", not cut)
    except UnicodeDecodeError:
        return None
    if len(data) - used > 3 or _BINARY.search(text):
        return None
    return text
