"""A captured body, opened once: its content coding removed and its JSON parsed.

The comparators read it, redaction hides parts of it, and the pair log writes what is left. A hidden value stays
in the parsed tree inside `Hidden`: it can still be compared, and no encoder here writes it.
"""

import codecs
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

import msgspec
import zstandard

from router.channel import Message

REDACTED = "[redacted]"
MAX_DECODED = 16 << 20
"""Bytes a body may grow to when its content coding is removed."""

_MAX_CODINGS = 3
_MAX_MEMBERS = 64
_BINARY = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Hidden:
    """A redacted value: compared like any other, written as REDACTED."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class _Absent:
    """The type of ABSENT, which stands where a body is no JSON (null is JSON)."""


ABSENT = _Absent()


def _enc_hook(value: Any) -> Any:
    if isinstance(value, Hidden):
        return REDACTED
    raise NotImplementedError(type(value).__name__)


_encoder = msgspec.json.Encoder(enc_hook=_enc_hook)
_decoder = msgspec.json.Decoder()


@dataclass(slots=True)
class Content:
    """`data` is the body without its content coding; `value` its JSON, or ABSENT.

    `strict` says that the JSON keeps to RFC 8259 (no bare NaN or Infinity, no lone surrogates). `problem` names
    what kept the body from being decoded. `exposed` is False once redaction has touched it: then only `value`,
    where hidden parts are marked, may be written, and of a body without a value nothing at all.
    """

    data: bytes
    value: Any = ABSENT
    strict: bool = True
    problem: str = ""
    exposed: bool = True

    def logged(self) -> tuple[Any, str]:
        """What the pair log holds as `body`, and its `body_encoding`.

        `json`: the value itself. `text`: a string; also JSON that strict readers refuse (NaN, Infinity), since
        one such value would make the whole line unreadable. `base64`: anything else. `none`: there is no body.
        `redacted`: there is one, but the pointers to redact could not be applied to it.
        """
        if not self.exposed:
            return self._logged_hidden()
        if not self.data:
            return None, "none"
        if self.value is not ABSENT and self.strict:
            return msgspec.Raw(_one_line(self.data)), "json"
        text = _text(self.data)
        return (self.data, "base64") if text is None else (text, "text")

    def _logged_hidden(self) -> tuple[Any, str]:
        if self.value is ABSENT:
            return None, "redacted"
        if self.strict:
            return msgspec.Raw(_encoder.encode(self.value)), "json"
        return dump(self.value).decode(), "text"


def open_message(message: Message) -> Content:
    """The body of a captured message. Never raises: what can't be read has a `problem` or no value.

    A body that is not in the coding its head names is taken as it is, when it is JSON.
    """
    data, problem = message.body, ""
    codings = _codings(message.headers) if data else []
    try:
        if len(codings) > _MAX_CODINGS:
            raise ValueError(f"more than {_MAX_CODINGS} of them")
        for coding in reversed(codings):
            data = _decode(coding, data, message.truncated)
    except (ValueError, zlib.error, zstandard.ZstdError) as error:
        data, problem = message.body, f"content-encoding {', '.join(codings)}: {error}"
    if message.truncated or not data:
        return Content(data, problem=problem)
    value, strict = parse(data)
    return Content(data, value, strict, problem if value is ABSENT else "")


def parse(data: bytes) -> tuple[Any, bool]:
    """The JSON value of a body and whether it is strict JSON; ABSENT when it is none."""
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
    """The value as JSON, hidden parts redacted. NaN and Infinity come out bare, as Python writes them."""
    return json.dumps(value, default=_enc_hook, separators=(",", ":")).encode()


def _codings(headers: tuple[tuple[bytes, bytes], ...]) -> list[str]:
    named = [value for name, value in headers if name.lower() == b"content-encoding"]
    codings = [part.strip().lower() for part in b",".join(named).decode("latin-1").split(",")]
    return [coding for coding in codings if coding not in ("", "identity")]


def _decode(coding: str, data: bytes, truncated: bool) -> bytes:
    if coding in ("gzip", "x-gzip"):
        return _inflate(data, 16 + zlib.MAX_WBITS, truncated)
    if coding == "deflate":
        # The name means zlib's format (RFC 9110 §8.4.1.2), yet some servers send the bare stream.
        bare = data[0] & 0x0F != 8 or int.from_bytes(data[:2], "big") % 31
        return _inflate(data, -zlib.MAX_WBITS if bare else zlib.MAX_WBITS, truncated)
    if coding == "zstd":
        with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
            data, read_across_frames=True
        ) as reader:
            return _bounded(reader.read(MAX_DECODED + 1))
    raise ValueError("not known here")


def _inflate(data: bytes, window: int, truncated: bool) -> bytes:
    out = b""
    for _ in range(_MAX_MEMBERS):
        inflater = zlib.decompressobj(window)
        out = _bounded(out + inflater.decompress(data, MAX_DECODED + 1 - len(out)))
        if not inflater.eof and not truncated:
            raise ValueError("ends too early")
        data = inflater.unused_data
        if not data:
            return out
    raise ValueError(f"has more than {_MAX_MEMBERS} members")


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_DECODED:
        raise ValueError(f"grows over {MAX_DECODED} bytes")
    return data


def _one_line(data: bytes) -> bytes:
    if b"\n" in data or b"\r" in data:
        return msgspec.json.format(data, indent=-1)
    return data


def _text(data: bytes) -> str | None:
    """The body as text, a character cut at the end left out; None when it is binary."""
    try:
        text, used = codecs.utf_8_decode(data, "strict", False)
    except UnicodeDecodeError:
        return None
    if len(data) - used > 3 or _BINARY.search(text):
        return None
    return text
