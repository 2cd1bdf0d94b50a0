"""The walk against simple oracles: ignoring is the same as removing, and counting is exact."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from router.pairs.comparators.walk import KEPT, Rules, Walk
from router.pairs.values import Hidden

KEYS = st.sampled_from(["a", "b", "0", "1"])
VALUES = st.recursive(
    st.integers(0, 2),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
POINTERS = st.lists(st.lists(KEYS | st.just("*"), min_size=1, max_size=3).map(tuple), max_size=4)


def verdict(left: Any, right: Any, pointers: list[tuple[str, ...]]) -> str:
    walk = Walk(0.0, 0.0)
    walk.values(left, right, Rules.compile(pointers))
    return walk.comparison().verdict


def removed(value: Any, pointers: list[tuple[str, ...]]) -> Any:
    """The value without what the pointers name."""
    if not isinstance(value, dict):
        return value
    rest = {}
    for key, inner in value.items():
        below = [pointer[1:] for pointer in pointers if pointer[0] in ("*", key)]
        if () not in below:
            rest[key] = removed(inner, below)
    return rest


@given(VALUES, VALUES, POINTERS)
def test_ignoring_is_removing(left: Any, right: Any, pointers: list[tuple[str, ...]]) -> None:
    alike = removed(left, pointers) == removed(right, pointers)
    assert verdict(left, right, pointers) == ("match" if alike else "mismatch")


@given(VALUES, VALUES, POINTERS)
def test_the_walk_changes_nothing(left: Any, right: Any, pointers: list[tuple[str, ...]]) -> None:
    before = copy.deepcopy((left, right))
    verdict(left, right, pointers)
    assert (left, right) == before


@given(VALUES, VALUES)
def test_a_hidden_document_differs_when_its_content_does(left: Any, right: Any) -> None:
    assert verdict(Hidden(left), Hidden(right), []) == verdict(left, right, [])
    assert verdict([Hidden(left)], [right], []) == verdict(left, right, [])


@given(st.lists(st.booleans(), min_size=1, max_size=100))
def test_every_leaf_is_counted(flags: list[bool]) -> None:
    walk = Walk(0.0, 0.0)
    walk.values([0] * len(flags), [int(flag) for flag in flags], None)
    comparison = walk.comparison()
    differing = sum(flags)
    assert comparison.score == 1.0 - differing / len(flags)
    assert len(comparison.differences) == min(differing, KEPT)
    assert len(comparison.differences) + comparison.more == differing


def test_no_rules_cost_nothing() -> None:
    assert Rules.compile([]) is None
