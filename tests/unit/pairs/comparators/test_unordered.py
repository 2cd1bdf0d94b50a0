"""Pairing against oracles: as many pairs as there can be, each member once."""

import random
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.comparators.unordered import CAP, MAX_COMPARISONS, Budget, TooMuch, pair_up
from router.pairs.values import Hidden


def near(one: Any, two: Any) -> bool:
    if isinstance(one, dict) or isinstance(two, dict):
        return isinstance(one, dict) and isinstance(two, dict) and near(one["n"], two["n"])
    return bool(one == two or abs(one - two) <= 1)


def most(left: list[Any], right: list[Any]) -> int:
    """The oracle: all ways to put the longer list beside the shorter."""
    short, long = sorted((left, right), key=len)
    return max(sum(map(near, short, way)) for way in permutations(long, len(short)))


NUMBERS = st.lists(st.integers(0, 8), max_size=5)


def sound(pairs: list[tuple[int, int]], left: list[Any], right: list[Any]) -> bool:
    lefts, rights = [i for i, _ in pairs], [j for _, j in pairs]
    once = len(set(lefts)) == len(lefts) and len(set(rights)) == len(rights)
    return once and all(near(left[i], right[j]) for i, j in pairs)


@given(NUMBERS, NUMBERS)
def test_numbers_find_the_most_pairs(left: list[int], right: list[int]) -> None:
    pairs = pair_up(left, right, near)
    assert sound(pairs, left, right)
    assert len(pairs) == most(left, right)


@given(NUMBERS, NUMBERS)
def test_objects_find_the_most_pairs(left: list[int], right: list[int]) -> None:
    ours, theirs = [{"n": number} for number in left], [{"n": number} for number in right]
    pairs = pair_up(ours, theirs, near)
    assert sound(pairs, ours, theirs)
    assert len(pairs) == most(left, right)


@given(st.lists(st.floats() | st.integers(), max_size=20), st.randoms())
def test_shuffled_numbers_all_find_their_own(numbers: list[float], order: random.Random) -> None:
    shuffled = numbers[:]
    order.shuffle(shuffled)
    same = lambda one, two: one == two or (one != one and two != two)  # noqa: E731, PLR0124
    assert len(pair_up(numbers, shuffled, same)) == len(numbers)


def test_beyond_the_cap_equal_members_go_together_and_the_rest_is_looked_at() -> None:
    left = [{"n": 10 * number} for number in range(5 * CAP)]
    right = left[::-1]
    assert len(pair_up(left, right, near)) == len(left)
    moved = [{"n": each["n"] + (index < CAP)} for index, each in enumerate(left)][::-1]
    assert len(pair_up(left, moved, near)) == len(left)


def test_far_beyond_the_cap_the_work_stays_bounded() -> None:
    asked = 0

    def counting(one: Any, two: Any) -> bool:
        nonlocal asked
        asked += 1
        return near(one, two)

    left = [{"n": 10 * number} for number in range(1000)]
    right = [{"n": 10 * number + 5} for number in range(1000)]
    assert pair_up(left, right, counting) == []
    assert asked <= 1000
    asked = 0
    assert pair_up(left[:CAP], right[:CAP], counting) == []
    assert asked == CAP * CAP


def test_large_members_are_not_all_compared_with_each_other() -> None:
    asked = 0

    def never(one: Any, two: Any) -> bool:
        nonlocal asked
        asked += 1
        return False

    left = [{"n": number, "text": "x" * 20_000} for number in range(CAP)]
    right = [{**each, "n": -1} for each in left]
    pair_up(left, right, never)
    assert asked == CAP


def test_equal_members_are_looked_for_first() -> None:
    asked = 0

    def counting(one: Any, two: Any) -> bool:
        nonlocal asked
        asked += 1
        return near(one, two)

    left = [{"n": 10 * number} for number in range(CAP)]
    assert len(pair_up(left, left[::-1], counting)) == CAP
    assert asked == CAP


def test_hidden_members_are_told_apart() -> None:
    left = [Hidden(number) for number in range(CAP + 10)]
    same = lambda one, two: one.value == two.value  # noqa: E731
    pairs = pair_up(left, left[::-1], same)
    assert len(pairs) == len(left)
    assert all(left[i].value == left[::-1][j].value for i, j in pairs)


def test_scalars_that_are_no_numbers_are_never_compared_one_by_one() -> None:
    def unasked(one: Any, two: Any) -> bool:
        raise AssertionError

    left = ["a", "b", True, None, "a"]
    assert pair_up(left, ["a", "c", None, "a"], unasked) == [(0, 0), (3, 2), (4, 3)]


def test_what_may_be_spent_is_one_sum_at_all_depths() -> None:
    budget = Budget()
    for _ in range(MAX_COMPARISONS - 1):
        budget.spend()
    inner = budget.within()
    assert inner.cap < budget.cap == CAP
    inner.spend()
    for each in (budget, inner, inner.within()):
        with pytest.raises(TooMuch):
            each.spend()
