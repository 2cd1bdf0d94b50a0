"""What both parsers share: the fields of one head as llhttp tells them, and the limits of a head. Floor 1."""

from router.http1.framing import HeadTooLarge, Malformed
from router.http1.head import Field, HeadLimits, field_of


class Collector:
    """Collects the fields of one head; the state both directions share.

    `_head_size` counts what was read of a head, or in a chunked body since the last of its data: chunk extensions and
    trailers, which nobody wants, are bounded like a head. (Of extensions that come in one read with data or with the
    end nothing is known: then it is the size of a read that bounds them.) `_trailer_size` counts the bytes
    of trailers, however they come.
    """

    __slots__ = ("_fields", "_head_size", "_in_head", "_index", "_limits", "_max_head", "_refused", "_rest",
                 "_trailer_size")  # fmt: skip

    def __init__(self, limits: HeadLimits | None) -> None:
        self._limits = limits = limits or HeadLimits()
        self._max_head = limits.size
        self._fields: list[Field] = []
        self._index: dict[bytes, bytes] = {}
        self._in_head = True
        self._head_size = 0
        self._rest = 0
        self._trailer_size = 0
        self._refused: Malformed | None = None

    def on_headers_complete(self) -> None:
        if not self._in_head:
            return  # of a parser that is led into a body
        self._trailer_size = 0
        try:
            self._take_head()
        except Malformed as error:
            # httptools hands an error over as the context of its own, where any error handled by a caller hides it.
            self._refused = error
            raise

    def _take_head(self) -> None:
        raise NotImplementedError

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if not self._in_head:
            self._trailer_size += len(name) + len(value) + 4
            if self._trailer_size > self._max_head:
                self._refused = HeadTooLarge(f"the trailers are over {self._max_head} bytes")
                raise self._refused
            self._drop_trailer(lower)
            return
        value = value.rstrip(b" \t")  # llhttp leaves the white space behind a value
        self._fields.append(field_of(lower, name, value))
        self._index[lower] = value

    def _drop_trailer(self, lower: bytes) -> None:
        """No trailer is passed on (RFC 9110 §6.5.1)."""

    def _check_size(self, first_line: int) -> None:
        """What was read so far is over a limit: is it the head, whose first line has so many bytes?"""
        limits = self._limits
        if self._head_size > limits.size:
            size = first_line + sum(len(field[1]) + len(field[2]) + 4 for field in self._fields)
            if size > limits.size:
                raise HeadTooLarge(f"the head is over {limits.size} bytes")
        if len(self._fields) > limits.fields:
            raise HeadTooLarge(f"the head has more than {limits.fields} fields")

    def _refuse_endless(self) -> None:
        """More was read than a head may have, and it is still no whole one, or no data of a chunked body."""
        what = "head" if self._in_head else "part of the chunked body that is no data"
        raise HeadTooLarge(f"the {what} is over {self._max_head} bytes")
