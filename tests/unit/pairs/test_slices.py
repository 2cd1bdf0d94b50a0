"""The value of each slice, within bounds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.settings import PairSettings
from router.pairs.slices import MAX_LENGTH, MAX_VALUES, NONE, OTHER, Slicer, Values, member
from router.pairs.values import Hidden


def slicer(**sources: dict[str, str]) -> Slicer:
    return Slicer(PairSettings.model_validate({"slices": sources}).slices)


SLICER = slicer(region={"header": "X-Region"}, long={"json": "/parameters/long"})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (10**30, "1" + "0" * 30),
        (0.5, "0.5"),
        (float("nan"), "nan"),
        ("yes", "yes"),
        ("", NONE),
        (None, NONE),
        ([1], NONE),
        ({"a": 1}, NONE),
        ("x" * 100, "x" * MAX_LENGTH),
        (Hidden("secret", "hmac-sha256:ab"), "hmac-sha256:ab"),
        (Hidden("secret"), "[redacted]"),
        ("\ud800", "\\ud800"),
    ],
)
def test_values_of_a_body(value: Any, shown: str) -> None:
    assert SLICER.of({}, {"parameters": {"long": value}}) == {"region": NONE, "long": shown}


def test_values_of_a_header() -> None:
    assert SLICER.of({"x-region": "north"}, None) == {"region": "north", "long": NONE}
    assert SLICER.of_nothing() == {"region": NONE, "long": NONE}


@pytest.mark.parametrize(
    ("segments", "expected"),
    [(("a", "0"), 1), (("a", "2"), None), (("a", "x"), None), (("b",), None), ((), {"a": [1, 2]})],
)
def test_members(segments: tuple[str, ...], expected: Any) -> None:
    assert member({"a": [1, 2]}, segments) == expected


@given(st.lists(st.text(max_size=3), max_size=200))
def test_the_number_of_values_is_bounded_and_the_first_stay_told_apart(values: list[str]) -> None:
    bounded = Values()
    rows = [bounded.rows({"s": value})[0].removeprefix("s=") for value in values]
    assert len(set(rows) - {OTHER, NONE}) <= MAX_VALUES
    assert all(row in (value, OTHER) for row, value in zip(rows, values, strict=True))
    assert rows[:MAX_VALUES] == values[:MAX_VALUES]
