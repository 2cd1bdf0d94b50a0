"""The score comparator: how far two numbers are apart."""

from math import inf, nan
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.pairs.comparators.base import Answer, Comparison
from router.pairs.comparators.score import NO_NUMBER, ScoreComparator
from router.pairs.content import open_message
from router.pairs.redaction import Redactor
from router.pairs.settings import RedactSpec
from tests.support.captures import message


def compare(left: Any, right: Any, **settings: Any) -> Comparison:
    comparator = ScoreComparator(at="/y", **settings)
    return comparator.compare(*(Answer(200, open_message(message({"y": value}))) for value in (left, right)))


@pytest.mark.parametrize(
    ("left", "right", "settings", "verdict", "score"),
    [
        (0.75, 0.75, {}, "match", 1.0),
        (0.75, 0.5, {"tolerance": 0.25, "scale": 1}, "match", 0.75),
        (0.75, 0.5, {"tolerance": 0.125, "scale": 1}, "mismatch", 0.75),
        (1.0, 0.0, {"scale": 0.5}, "mismatch", 0.0),
        (3, 1, {}, "mismatch", 0.5),
        (1, -1, {}, "mismatch", 0.0),
        (100, 101, {"relative": 0.01}, "match", 1 - 1 / 201),
        (100, 102, {"relative": 0.01}, "mismatch", 1 - 2 / 202),
        ([[0.5]], 0.5, {}, "match", 1.0),
        (1, 1.0, {}, "match", 1.0),
        (nan, nan, {}, "match", 1.0),
        (nan, 1, {"tolerance": 9, "relative": 9, "scale": 9}, "mismatch", 0.0),
        (inf, inf, {}, "match", 1.0),
        (inf, 1.0, {"tolerance": 9, "relative": 9, "scale": 9}, "mismatch", 0.0),
        (inf, -inf, {"relative": 9}, "mismatch", 0.0),
        (1.7e308, -1.7e308, {}, "mismatch", 0.0),
        (0.0, 5e-324, {}, "mismatch", 0.0),
    ],
)
def test_verdict_and_score(
    left: Any, right: Any, settings: dict[str, Any], verdict: str, score: float
) -> None:
    found = compare(left, right, **settings)
    assert found.verdict == verdict
    assert found.score == pytest.approx(score)


def test_the_numbers_are_told_of_every_pair() -> None:
    assert compare(0.5, 0.5).values == (0.5, 0.5)
    found = compare(2, 1)
    assert found.values == (2.0, 1.0)
    assert [(d.at, d.primary, d.shadow) for d in found.differences] == [("/y", 2.0, 1.0)]


@pytest.mark.parametrize(("left", "right"), [(nan, nan), (inf, inf), (inf, 1), (nan, 1)])
def test_what_would_spoil_a_sum_is_not_told(left: float, right: float) -> None:
    assert compare(left, right).values is None


@pytest.mark.parametrize("other", ["1", True, None, [], [1, 2], {"a": 1}, 10**400])
def test_a_side_without_a_number_is_a_mismatch(other: Any) -> None:
    found = compare(1, other)
    assert (found.verdict, found.score, found.values) == ("mismatch", 0.0, None)
    assert found.differences[0].shadow == NO_NUMBER
    assert compare(other, 1).verdict == "mismatch"


def test_two_sides_without_a_number_have_nothing_to_compare_even_if_they_are_equal() -> None:
    assert compare("x", "x").verdict == compare("x", "y").verdict == "incomparable"


def test_a_hidden_number_is_compared_and_not_told() -> None:
    redactor = Redactor(RedactSpec(response=("/y",)))
    one, two = (Answer(200, redactor.response_content(message({"y": number}))) for number in (1, 2))
    found = ScoreComparator(at="/y").compare(one, two)
    assert (found.verdict, found.values) == ("mismatch", None)
    assert [(d.primary, d.shadow) for d in found.differences] == [("[redacted]", "[redacted]")]
    assert ScoreComparator(at="/y").compare(one, one).values is None


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(FINITE, FINITE, st.none() | st.floats(1e-300, 1e300))
@example(0.0, 5e-324, None)
@example(1.7e308, -1.7e308, 5e-324)
def test_the_score_is_one_only_where_nothing_differs(left: float, right: float, scale: float | None) -> None:
    found = compare(left, right, scale=scale)
    assert found.score is not None
    assert 0.0 <= found.score <= 1.0
    assert (found.score == 1.0) == (left == right) == (found.verdict == "match")


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 10), st.floats(0, 1))
def test_tolerance(left: float, right: float, tolerance: float, relative: float) -> None:
    within = abs(left - right) <= max(tolerance, relative * max(abs(left), abs(right)))
    found = compare(left, right, tolerance=tolerance, relative=relative)
    assert (found.verdict == "match") == within
