"""Intervals against published tables, and against what they must hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.intervals import Share, newcombe, wilson, z_of


def test_wilson_agrees_with_published_values() -> None:
    # Newcombe 1998 (one sample), table I: 81 of 263, and 0 of 20.
    found = wilson(81, 263)
    assert found.low == pytest.approx(0.2553, abs=1e-4)
    assert found.high == pytest.approx(0.3662, abs=1e-4)
    none = wilson(0, 20)
    assert (none.low, none.share) == (0.0, 0.0)
    assert none.high == pytest.approx(0.1611, abs=1e-4)


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        # Newcombe 1998 (two samples), table II, method 10.
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_newcombe_agrees_with_published_values(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    found = newcombe(wilson(*one), wilson(*other))
    assert found is not None
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-4)


def test_nothing_is_said_of_nothing() -> None:
    assert wilson(0, 0) == Share(0, 0, None, None, None)
    assert newcombe(wilson(0, 0), wilson(1, 2)) is None
    assert newcombe(wilson(1, 2), wilson(0, 0)) is None


def test_more_comparisons_make_wider_intervals() -> None:
    assert z_of(0) == z_of(1) == pytest.approx(1.959964, abs=1e-6)
    assert z_of(20) == pytest.approx(3.023, abs=1e-3)


COUNTS = st.integers(1, 10**6).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))


@given(COUNTS, COUNTS)
def test_each_interval_holds_its_share_and_swapping_mirrors_it(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    first, second = wilson(*one), wilson(*other)
    net, back = newcombe(first, second), newcombe(second, first)
    assert first.low is not None
    assert first.share is not None
    assert first.high is not None
    assert 0.0 <= first.low <= first.share <= first.high <= 1.0
    assert net is not None
    assert back is not None
    assert -1.0 <= net.low <= net.share <= net.high <= 1.0
    assert [back.low, back.high] == pytest.approx([-net.high, -net.low])
