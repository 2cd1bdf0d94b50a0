"""Tensors as rows: the batch of a V2 output by its `shape`, nested lists by their nesting."""

from collections.abc import Iterator
from math import prod
from typing import Any

from router.pairs.comparators.place import Found

_NUMBERS = frozenset((int, float))

MAX_AXES = 32
"""Axes that a tensor has at most: the product of a hundred thousand sizes alone would take minutes."""


def rows_along_last_axis(found: Found, *, lone: bool) -> Iterator[Any]:
    """The rows of a tensor, whose last axis holds what belongs together.

    `lone` says what the numbers of a tensor with one axis are: each a row of its own, or together one row.
    """
    data, shape = found.value, _shape(found)
    if shape is None:
        yield from _nested(data, lone=lone)
        return
    flat = list(_leaves(data))
    width = shape[-1] if len(shape) > 1 or not lone else 1
    for start in range(0, len(flat), max(width, 1)):
        yield flat[start : start + width]


def single_values(found: Found) -> Iterator[Any]:
    """The values of a tensor, each for itself; of nested lists, the innermost ones."""
    return _leaves(found.value)


def numbers_of(row: Any) -> tuple[tuple[str, ...], list[float]]:
    """The numbers of a row and, where it is a mapping, their names in order; no numbers where it holds others."""
    names: tuple[str, ...] = ()
    if isinstance(row, dict):
        names = tuple(sorted(row))
        row = [row[name] for name in names]
    numbers = row if isinstance(row, list) else [row]
    if any(type(number) not in _NUMBERS for number in numbers):
        return (), []
    return names, numbers


def _shape(found: Found) -> list[int] | None:
    """The shape beside the data, where it is one of a tensor of so many elements."""
    parent = found.parent
    shape = parent.get("shape") if isinstance(parent, dict) and isinstance(found.value, list) else None
    if not isinstance(shape, list) or not 0 < len(shape) <= MAX_AXES:
        return None
    if any(type(size) is not int or size < 0 for size in shape):
        return None
    return shape if prod(shape) == sum(1 for _ in _leaves(found.value)) else None


def _nested(data: Any, *, lone: bool) -> Iterator[Any]:
    if not isinstance(data, list):
        yield data
    elif data and all(isinstance(member, (list, dict)) for member in data):
        for member in data:
            yield from _nested(member, lone=False)
    elif lone:
        yield from data
    else:
        yield data


def _leaves(data: Any) -> Iterator[Any]:
    if isinstance(data, list):
        for member in data:
            if isinstance(member, list):
                yield from _leaves(member)
            else:
                yield member
    else:
        yield data
