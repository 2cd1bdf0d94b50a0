"""Lines of a pair log as lines of another format: JSON lines with chosen columns, or CSV (RFC 4180).

Only what the columns name is taken out of a line, and it is not read any further than needed: numbers and JSON
come out in the very characters they have in the log.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from router.pairs.columns import Column

_NULL = msgspec.Raw(b"null")
_texts = msgspec.json.Decoder(str)


def as_json_lines(lines: Iterable[bytes], columns: Sequence[Column]) -> Iterator[bytes]:
    """One flat object a line, with these columns as its members."""
    names = [column.name for column in columns]
    for values in _rows(lines, columns):
        yield msgspec.json.encode(dict(zip(names, values, strict=True))) + b"\n"


def as_csv(lines: Iterable[bytes], columns: Sequence[Column]) -> Iterator[bytes]:
    """A header line, then one row for each pair. Null is an empty field; a JSON column holds JSON text."""
    row = io.StringIO()
    writer = csv.writer(row, lineterminator="\r\n")
    writer.writerow([column.name for column in columns])
    yield _taken(row)
    for values in _rows(lines, columns):
        writer.writerow(map(_cell, values, columns))
        yield _taken(row)


def _rows(lines: Iterable[bytes], columns: Sequence[Column]) -> Iterator[list[msgspec.Raw]]:
    """For each line the JSON of what the columns name; null where there is nothing, as in lines of older versions."""
    decoder = msgspec.json.Decoder(_picker([column.path for column in columns]))
    paths = [column.path for column in columns]
    for line in lines:
        pair = decoder.decode(line)
        yield [_at(pair, path) for path in paths]


def _picker(paths: Sequence[tuple[str, ...]]) -> Any:
    """A struct type with only the members on these paths; where one ends, its JSON as it stands."""
    members: dict[str, list[tuple[str, ...]]] = {}
    for name, *rest in paths:
        members.setdefault(name, []).append(tuple(rest))
    fields = [
        (name, msgspec.Raw, _NULL) if () in rests else (name, _picker(rests) | None, None)
        for name, rests in members.items()
    ]
    return msgspec.defstruct("Picked", fields)


def _at(pair: Any, path: tuple[str, ...]) -> msgspec.Raw:
    for name in path:
        if pair is None:
            return _NULL
        pair = getattr(pair, name)
    found: msgspec.Raw = pair
    return found


def _cell(value: msgspec.Raw, column: Column) -> str:
    text = bytes(value)
    if text == b"null":
        return ""
    if text[:1] == b'"' and not column.is_json:
        return _texts.decode(text)
    return text.decode()


def _taken(row: io.StringIO) -> bytes:
    data = row.getvalue().encode()
    row.seek(0)
    row.truncate()
    return data
