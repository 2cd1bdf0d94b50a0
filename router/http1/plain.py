"""The fast way through a plain head: one that came in a single read, with nothing in it that needs a second look.

Most heads repeat most of their lines from request to request, so each line is understood once and remembered. What
is not plain (an odd target, a repeated field, a transfer coding, an upgrade, anything llhttp might refuse) is left to
llhttp: what is accepted here is a strict part of what llhttp accepts, with the same meaning, which a test checks.
"""

import re
from typing import Final, TypeVar

from router.http1.framing import LENGTH, response_framing
from router.http1.head import Field, RequestHead, ResponseHead, field_of, is_host, is_lookalike

T = TypeVar("T")

KNOWN: Final = 4096
"""Lines, and heads of responses, remembered by one worker; beyond, all are forgotten."""

MAX_PLAIN_FIELDS: Final = 100
MAX_PLAIN_LINE = 1 << 10
"""Fields, and bytes of a request line; a head with more of them is llhttp's, and held against the limits there. No
limit may be set below these."""

LONGEST: Final = 512
"""Bytes; what is longer is understood anew each time."""

_REQUEST = re.compile(
    rb"(GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH) (/[A-Za-z0-9/._~!$&'()*+,;=:@%?-]*) HTTP/1\.1"
)
_STATUS = re.compile(rb"HTTP/1\.1 ([2-5]\d\d) ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)")
_FIELD = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)"
)
_LENGTH = re.compile(rb"\d{1,15}")

_NEVER_PLAIN = frozenset(
    (b"transfer-encoding", b"upgrade", b"proxy-connection", b"te", b"trailer", b"keep-alive", b"max-forwards")
)


class KnownLines:
    """What a worker remembers of the lines it has seen, and of whole response heads."""

    __slots__ = ("_fields", "_requests", "_responses")

    def __init__(self) -> None:
        self._fields: dict[bytes, Field] = {}
        self._requests: dict[bytes, tuple[bytes, bytes]] = {}
        self._responses: dict[bytes, ResponseHead] = {}

    def request(self, text: bytes) -> RequestHead | None:
        """The request head in `text` (without the empty line that ends it), or None if it is not plain."""
        lines = text.split(b"\r\n")
        first = lines[0]
        start = self._requests.get(first) or self._read_request_line(first)
        if start is None:
            return None
        fields = self._read_fields(lines)
        if fields is None:
            return None
        index = {field[0]: field[2] for field in fields}
        if len(index) != len(fields) or b"host" not in index:
            return None
        head = RequestHead(start[0], start[1], True, fields, index, text)
        length = index.get(b"content-length")
        if length is not None and (size := int(length)):
            head.framing = LENGTH
            head.length = size
        return head

    def response(self, text: bytes, to_head: bool) -> ResponseHead | None:
        """The response head in `text`, or None if it is not plain. `to_head`: it answers a HEAD.

        Heads of one server differ little, so a whole one is remembered; what is returned may be shared.
        """
        head = self._responses.get(text)
        if head is not None and not to_head:
            return head
        lines = text.split(b"\r\n")
        match = _STATUS.fullmatch(lines[0])
        fields = self._read_fields(lines) if match is not None else None
        if match is None or fields is None:
            return None
        index = {field[0]: field[2] for field in fields}
        if len(index) != len(fields) or b"content-length" not in index:
            return None
        head = ResponseHead(int(match[1]), match[2], True, fields, index)
        head.framing, head.length = response_framing(head.status, to_head, index)
        if not to_head:
            _remember(self._responses, text, head)
        return head

    def _read_fields(self, lines: list[bytes]) -> list[Field] | None:
        """The fields in all lines but the first; None if one is not plain, or if there are too many."""
        del lines[0]
        if len(lines) > MAX_PLAIN_FIELDS:
            return None
        fields = list(map(self._fields.get, lines))
        if not all(fields):
            for at, line in enumerate(lines):
                if fields[at] is None:
                    field = fields[at] = self._read_field(line)
                    if field is None:
                        return None
        return fields  # type: ignore[return-value]  # none of them is None any more

    def _read_field(self, line: bytes) -> Field | None:
        match = _FIELD.fullmatch(line)
        if match is None:
            return None
        name, value = match.groups()
        lower = name.lower()
        if not _is_plain(lower, value):
            return None
        field = field_of(lower, name, value)
        _remember(self._fields, line, field)
        return field

    def _read_request_line(self, line: bytes) -> tuple[bytes, bytes] | None:
        match = _REQUEST.fullmatch(line) if len(line) <= MAX_PLAIN_LINE else None
        if match is None:
            return None
        start = (match[1], match[2])
        _remember(self._requests, line, start)
        return start


def _remember(known: dict[bytes, T], text: bytes, meaning: T) -> None:
    if len(text) <= LONGEST:
        if len(known) >= KNOWN:
            known.clear()
        known[text] = meaning


def _is_plain(lower: bytes, value: bytes) -> bool:
    if lower == b"connection":
        return value.lower() == b"keep-alive"
    if lower == b"content-length":
        return _LENGTH.fullmatch(value) is not None
    if lower == b"host":
        return is_host(value)
    return lower not in _NEVER_PLAIN and not is_lookalike(lower)
