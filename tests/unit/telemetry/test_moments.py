"""Running sums against sums over all, added one by one or merged."""

import statistics
from math import inf, isfinite, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channel import ValueSums
from router.telemetry.moments import EQUAL, Moments, bucket_of, correlation, distance_quantile, merge

Pairs = list[tuple[float, float]]


def sums(pairs: Pairs) -> ValueSums:
    moments = Moments()
    for each in pairs:
        moments.add(*each)
    found = moments.sums()
    assert found is not None
    return found


def test_large_numbers_keep_their_small_differences() -> None:
    pairs = [(1e9 + x, 1e9 + x + (x % 3) / 10) for x in range(100)]
    found = sums(pairs)
    left, right = [each[0] - 1e9 for each in pairs], [each[1] - 1e9 for each in pairs]
    assert correlation(found) == pytest.approx(statistics.correlation(left, right), abs=1e-6)
    assert found.distance / found.n == pytest.approx(0.099, abs=1e-6)


def test_one_side_that_never_changes_has_no_correlation() -> None:
    assert correlation(sums([(1, 2), (1, 3)])) is None


def test_what_is_not_finite_is_left_out() -> None:
    moments = Moments()
    for each in ((nan, 1.0), (1.0, inf), (-inf, -inf)):
        moments.add(*each)
    assert moments.sums() is None


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=20))
def test_no_number_spoils_the_sums(pairs: Pairs) -> None:
    found = sums([(1.0, 2.0), *pairs, (1e308, -1e308), (-1e308, 1e308)])
    assert all(map(isfinite, (found.primary_mean, found.shadow_mean, found.distance, found.products)))
    assert all(map(isfinite, (found.primary_squares, found.shadow_squares)))
    assert (correlation(found) is None) or -1.0 <= (correlation(found) or 0.0) <= 1.0


def test_quantiles_of_the_distance() -> None:
    found = sums([(0.0, distance) for distance in (0.0, 0.0, 0.1, 1.0, 20.0)])
    assert distance_quantile(found, 0.4) == 0.0
    for q, expected in ((0.6, 0.1), (0.8, 1.0), (1.0, 20.0)):
        assert distance_quantile(found, q) == pytest.approx(expected, rel=0.05)


def test_there_are_not_more_than_so_many_buckets() -> None:
    assert bucket_of(0.0) == bucket_of(1e-300) == EQUAL
    assert bucket_of(1e300) == bucket_of(1e12)
    assert bucket_of(1e12) - bucket_of(1.1e-12) < 1200


NUMBERS = st.floats(-1e6, 1e6)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=30)


@given(PAIRS, PAIRS)
def test_merged_sums_are_the_sums_of_all(one: Pairs, other: Pairs) -> None:
    merged, whole = merge(sums(one), sums(other)), sums(one + other)
    assert (merged.n, merged.distances) == (whole.n, whole.distances)
    for name in ("primary_mean", "shadow_mean", "distance"):
        assert getattr(merged, name) == pytest.approx(getattr(whole, name), rel=1e-6, abs=1e-6)
    # What is summed may be of either sign and cancel: rounding is in proportion to what went in, not to what is left.
    largest = max(abs(number) for pair in one + other for number in pair)
    for name in ("primary_squares", "shadow_squares", "products"):
        rounding = 1e-9 * whole.n * largest**2
        assert getattr(merged, name) == pytest.approx(getattr(whole, name), rel=0, abs=rounding + 1e-12)
