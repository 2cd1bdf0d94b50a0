"""Rows of tensors: by shape where there is one that fits, otherwise by nesting."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.comparators.place import Found
from router.pairs.comparators.rows import numbers_of, rows_along_last_axis, single_values


def rows(data: Any, shape: Any = None, *, lone: bool = False) -> list[Any]:
    parent = {"data": data} if shape is None else {"data": data, "shape": shape}
    return list(rows_along_last_axis(Found(data, parent, False), lone=lone))


@pytest.mark.parametrize(
    ("data", "shape", "found"),
    [
        ([1, 2, 3, 4], [2, 2], [[1, 2], [3, 4]]),
        ([1, 2, 3, 4], [1, 4], [[1, 2, 3, 4]]),
        ([1, 2, 3, 4], [4], [[1, 2, 3, 4]]),
        ([1, 2, 3, 4], [4, 1], [[1], [2], [3], [4]]),
        ([1, 2, 3, 4], [2, 1, 2], [[1, 2], [3, 4]]),
        ([[1, 2], [3, 4]], [2, 2], [[1, 2], [3, 4]]),
        ([[[1, 2]], [[3, 4]]], None, [[1, 2], [3, 4]]),
        ([1, 2, 3, 4], None, [[1, 2, 3, 4]]),
        ([1, 2, 3], [2, 2], [[1, 2, 3]]),
        ([1, 2], [-1, 2], [[1, 2]]),
        ([1, 2], [-1, -2], [[1, 2]]),
        ([1, 2], ["1", 2], [[1, 2]]),
        ([1, 2], [], [[1, 2]]),
        ([], [0, 3], []),
        ([[1, 2], {"a": 3}], None, [[1, 2], {"a": 3}]),
        ({"a": 1}, None, [{"a": 1}]),
        (5, None, [5]),
    ],
)
def test_the_last_axis_makes_a_row(data: Any, shape: Any, found: list[Any]) -> None:
    assert rows(data, shape) == found


@pytest.mark.parametrize(
    ("data", "shape", "found"),
    [
        ([1, 2], [2], [[1], [2]]),
        ([1, 2], [2, 1], [[1], [2]]),
        ([1, 2], [1, 2], [[1, 2]]),
        ([1, 2], None, [1, 2]),
        ([[1], [2]], None, [[1], [2]]),
        (1, None, [1]),
    ],
)
def test_numbers_of_one_axis_may_be_a_row_each(data: Any, shape: Any, found: list[Any]) -> None:
    assert rows(data, shape, lone=True) == found


def test_a_shape_of_very_many_axes_is_none_and_costs_nothing() -> None:
    began = time.perf_counter()
    assert rows([1, 2], [10**18] * 100_000) == [[1, 2]]
    assert time.perf_counter() - began < 1.0, "their product has two million digits"
    assert rows([1, 2], [1] * 31 + [2]) == [[1, 2]]


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_flat_and_nested_data_have_the_same_rows(batch: int, length: int, classes: int) -> None:
    nested = [[[b * 100 + t * 10 + c for c in range(classes)] for t in range(length)] for b in range(batch)]
    flat = [number for steps in nested for row in steps for number in row]
    shape = [batch, length, classes]
    assert (
        rows(flat, shape) == rows(nested, shape) == rows(nested) == [row for steps in nested for row in steps]
    )


def test_single_values() -> None:
    assert list(single_values(Found([["a"], ["b", 1]], None, False))) == ["a", "b", 1]
    assert list(single_values(Found("a", None, False))) == ["a"]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ([1, 2.5], ((), [1, 2.5])),
        (3, ((), [3])),
        ({"dog": 0.1, "cat": 0.9}, (("cat", "dog"), [0.9, 0.1])),
        ([1, "2"], ((), [])),
        ([True], ((), [])),
        ({"a": None}, ((), [])),
        (None, ((), [])),
        ([], ((), [])),
    ],
)
def test_numbers_of_a_row(row: Any, found: Any) -> None:
    assert numbers_of(row) == found
