"""The label comparator: which class each side names."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.comparators.base import Answer, Comparison
from router.pairs.comparators.label import NO_LABEL, LabelComparator
from router.pairs.content import open_message
from router.pairs.redaction import Redactor
from router.pairs.settings import RedactSpec
from tests.support.captures import message

AT = "/outputs/0/data"


def v2(data: Any, shape: Any = None, name: str = "scores") -> dict[str, Any]:
    return {"outputs": [{"name": name, "data": data, **({} if shape is None else {"shape": shape})}]}


def compare(left: Any, right: Any, at: str = AT, **settings: Any) -> Comparison:
    comparator = LabelComparator(at=at, **settings)
    return comparator.compare(*(Answer(200, open_message(message(value))) for value in (left, right)))


def label(value: Any, at: str = "/y", **settings: Any) -> str:
    """The label that one answer has."""
    found = compare({"y": value}, {"y": value}, at, **settings)
    assert found.labels is not None
    assert found.labels[0] == found.labels[1]
    return found.labels[0]


@pytest.mark.parametrize(
    ("settings", "value", "named"),
    [
        ({}, [0.1, 0.7, 0.2], "1"),
        ({}, [0.5, 0.5], "0"),
        ({}, [-3, -1, 10**400], "2"),
        ({}, [float("nan"), 1.0], "nan"),
        ({}, [float("-inf"), float("inf")], "1"),
        ({"labels": ["cat", "dog"]}, [0.1, 0.9], "dog"),
        ({"labels": ["cat"]}, [0.1, 0.9], "1"),
        ({}, {"dog": 0.1, "cat": 0.9}, "cat"),
        ({}, [[[0.1, 0.9]]], "1"),
        ({"kind": "top_k", "k": 2}, [0.1, 0.5, 0.2, 0.4], "1, 3"),
        ({"kind": "top_k", "k": 3}, [0.1, 0.5], "0, 1"),
        ({"kind": "top_k", "k": 1, "labels": ["a", "b"]}, [1, 1], "a"),
        ({"kind": "threshold"}, 0.5, "1"),
        ({"kind": "threshold"}, 0.49, "0"),
        ({"kind": "threshold", "threshold": 0.9, "labels": ["no", "yes"]}, [0.95], "yes"),
        ({"kind": "threshold"}, [[0.6, 0.1, 0.7]], "0, 2"),
        ({"kind": "threshold"}, [[0.1, 0.1]], "none"),
        ({"kind": "threshold"}, {"rain": 0.8, "snow": 0.1}, "rain"),
        ({"kind": "value"}, "approved", "approved"),
        ({"kind": "value"}, 1, "1"),
        ({"kind": "value"}, 1.0, "1"),
        ({"kind": "value"}, 0.5, "0.5"),
        ({"kind": "value"}, True, "true"),
        ({"kind": "value"}, None, "null"),
        ({"kind": "value"}, {"a": 1}, '{"a":1}'),
        ({"kind": "value"}, float("nan"), "NaN"),
        ({"kind": "value"}, "x" * 1000, "x" * 63 + "…"),
        ({"kind": "value"}, "\ud800", "\\ud800"),
    ],
)
def test_labels(settings: dict[str, Any], value: Any, named: str) -> None:
    assert label(value, **settings) == named


def test_a_flip_is_told() -> None:
    found = compare(v2([0.8, 0.2]), v2([0.3, 0.7]), labels=("good", "bad"))
    assert (found.verdict, found.score, found.labels) == ("mismatch", 0.0, ("good", "bad"))
    assert [(d.at, d.primary, d.shadow) for d in found.differences] == [(AT, "good", "bad")]


def test_how_sure_a_model_is_makes_no_difference() -> None:
    found = compare(v2([0.8, 0.2]), v2([0.51, 0.49]))
    assert (found.verdict, found.score, found.labels) == ("match", 1.0, ("0", "0"))


def test_the_rows_of_a_batch_count_each_and_the_first_that_differs_is_named() -> None:
    left = v2([0.9, 0.1, 0.9, 0.1, 0.2, 0.8, 0.7, 0.3], [4, 2])
    right = v2([0.9, 0.1, 0.2, 0.8, 0.9, 0.1, 0.7, 0.3], [4, 2])
    found = compare(left, right)
    assert (found.verdict, found.score, found.labels, found.more) == ("mismatch", 0.5, ("0", "1"), 1)


def test_rows_without_the_other_side_s_differ() -> None:
    found = compare(v2([1, 2, 3], [3]), v2([1, 2], [2]), kind="value")
    assert (found.score, found.labels) == (1 - 1 / 3, ("3", NO_LABEL))


def test_outputs_meet_by_name() -> None:
    left = {"outputs": [{"name": "a", "data": [1, 0]}, {"name": "b", "data": [0, 1]}]}
    right = {"outputs": left["outputs"][::-1]}
    assert compare(left, right).verdict == "match"
    assert compare(left, right, "/outputs/b/data").labels == ("1", "1")


@pytest.mark.parametrize(
    "other",
    [{}, v2([]), v2(["a", "b"]), v2([None]), v2([True, False]), v2([[1, 2], ["x"]]), v2([0, 1], name="z")],
)
def test_a_side_without_a_label_is_a_mismatch(other: Any) -> None:
    whole = v2([0.1, 0.9])
    found = compare(whole, other)
    assert (found.verdict, found.labels) == ("mismatch", ("1", NO_LABEL))


def test_two_sides_without_a_label_have_nothing_to_compare_even_if_they_are_equal() -> None:
    for right in ({"error": "a"}, {"error": "b"}):
        found = compare({"error": "a"}, right)
        assert (found.verdict, found.labels) == ("incomparable", None)
        assert found.differences[0].primary == f"no label at {AT}"


@pytest.mark.parametrize("pointer", [AT, "/outputs/0/data/1", "/outputs", "/outputs/*/data"])
def test_a_hidden_label_is_compared_and_not_told(pointer: str) -> None:
    redactor = Redactor(RedactSpec(response=(pointer,)))
    one, two = (
        Answer(200, redactor.response_content(message(v2(data)))) for data in ([0.9, 0.1], [0.1, 0.9])
    )
    comparator = LabelComparator(at=AT)
    assert comparator.compare(one, one).verdict == "match"
    assert comparator.compare(one, one).labels is None
    found = comparator.compare(one, two)
    assert (found.verdict, found.labels) == ("mismatch", None)
    assert [(d.primary, d.shadow) for d in found.differences] == [("[redacted]", "[redacted]")]


NUMBERS = st.lists(st.floats(), min_size=1, max_size=6)


@given(NUMBERS, st.integers(1, 6))
def test_the_best_class_is_among_the_best(numbers: list[float], k: int) -> None:
    best, several = label(numbers), label(numbers, kind="top_k", k=k)
    assert best in several.split(", ")
    assert several == "nan" or len(several.split(", ")) == min(k, len(numbers))


@given(NUMBERS, NUMBERS)
def test_a_match_is_equal_labels(left: list[float], right: list[float]) -> None:
    found = compare({"y": left}, {"y": right}, "/y")
    assert found.labels is not None
    assert (found.verdict == "match") == (found.labels[0] == found.labels[1])


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_the_shape_says_what_nesting_says(rows: list[list[float]]) -> None:
    flat = v2([number for row in rows for number in row], [len(rows), 3])
    assert compare(flat, v2(rows)).verdict == "match"
