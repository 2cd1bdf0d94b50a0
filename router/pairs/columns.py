"""A pair as columns: flat for tables (CSV, Parquet), nested for DuckDB. Both follow from `pairs.pair.Pair`.

A flat column is a field of the pair, or of its request and answers with their name before it: `verdict`,
`request_path`, `primary_latency_ms`. What is no single value (bodies, headers, differences) is JSON text.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec.inspect import (
    BoolType,
    DictType,
    Field,
    FloatType,
    IntType,
    ListType,
    LiteralType,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
    VarTupleType,
)

from router.pairs.pair import Pair

_JSON = "JSON"
_PLAIN: dict[type[Type], str] = {
    BoolType: "BOOLEAN",
    FloatType: "DOUBLE",
    IntType: "BIGINT",
    LiteralType: "VARCHAR",
    StrType: "VARCHAR",
}


class Column(NamedTuple):
    """`path` leads to the value in a pair; `type` is DuckDB's, JSON for what is written as JSON text."""

    name: str
    path: tuple[str, ...]
    type: str

    @property
    def is_json(self) -> bool:
        return self.type == _JSON


def _fields(struct: type[msgspec.Struct]) -> tuple[Field, ...]:
    kind = msgspec.inspect.type_info(struct)
    assert isinstance(kind, StructType)
    return kind.fields


def _present(kind: Type) -> Type:
    """The type of a value that may be null, when it is not."""
    if isinstance(kind, UnionType):
        others = [each for each in kind.types if not isinstance(each, NoneType)]
        return others[0] if len(others) == 1 else kind
    return kind


def _flat(fields: tuple[Field, ...], path: tuple[str, ...]) -> Iterator[Column]:
    for each in fields:
        kind, here = _present(each.type), (*path, each.encode_name)
        if isinstance(kind, StructType):
            yield from _flat(kind.fields, here)
        else:
            yield Column("_".join(here), here, _type(here, _PLAIN.get(type(kind), _JSON)))


def _type(path: tuple[str, ...], otherwise: str) -> str:
    """`time` is text in the pair, and a time for a database."""
    return "TIMESTAMP" if path == ("time",) else otherwise


def _nested(kind: Type) -> str:
    kind = _present(kind)
    if isinstance(kind, StructType):
        members = ", ".join(f'"{each.encode_name}" {_nested(each.type)}' for each in kind.fields)
        return f"STRUCT({members})"
    if isinstance(kind, (VarTupleType, ListType)):
        return f"{_nested(kind.item_type)}[]"
    if isinstance(kind, DictType):
        return f"MAP({_nested(kind.key_type)}, {_nested(kind.value_type)})"
    return _PLAIN.get(type(kind), _JSON)


FLAT: tuple[Column, ...] = tuple(_flat(_fields(Pair), ()))
"""Every flat column, in the order of the pair's fields."""

NESTED: dict[str, str] = {
    each.encode_name: _type((each.encode_name,), _nested(each.type)) for each in _fields(Pair)
}
"""The pair's fields with their DuckDB types, as they stand in the log."""


def chosen(names: list[str]) -> tuple[Column, ...]:
    """The flat columns of these names, in this order; all of them when there are none.

    Raises ValueError that names the wrong one and those there are.
    """
    known = {column.name: column for column in FLAT}
    for name in names:
        if name not in known:
            raise ValueError(f"there is no column {name!r}; there are {', '.join(known)}")
    return tuple(known[name] for name in names) or FLAT
