"""Compares one number of each answer by its distance."""

from functools import cached_property
from math import isfinite, isnan
from typing import Any, Literal, NamedTuple

from pydantic import Field

from router.pairs.comparators.base import BELOW_ONE, ComparatorSpec, Comparison, Difference, incomparable
from router.pairs.comparators.place import OnePlace, find_both
from router.pairs.content import Content
from router.pairs.pointer import split
from router.pairs.values import REDACTED

NO_NUMBER = "[no number]"
"""Stands in a difference for a side that has no number there."""


class ScoreComparator(ComparatorSpec):
    """`{score: {at: /score, tolerance: 0.05}}`: the numbers p and s at one place are near enough.

    They match when |p - s| ≤ `tolerance`, or ≤ `relative` · max(|p|, |s|). The score is 1 - |p - s| / `scale`,
    at least 0; without a `scale` it is 1 - |p - s| / (|p| + |s|). A list with one number, as in V2 `data`, is that
    number. NaN equals NaN; an infinity equals itself and is infinitely far from the rest. `values` of the
    Comparison are p and s, where both are finite.

    A side without a number there is a mismatch, two such sides are incomparable.
    """

    tag: Literal["score"] = "score"
    at: OnePlace
    tolerance: float = Field(0.0, ge=0, allow_inf_nan=False)
    relative: float = Field(0.0, ge=0, allow_inf_nan=False)
    scale: float | None = Field(None, gt=0, allow_inf_nan=False)

    def compare_contents(self, primary: Content, shadow: Content) -> Comparison:
        left, right = find_both(primary, shadow, self._segments)
        ours, theirs = _number(left.value), _number(right.value)
        if ours is None and theirs is None:
            reason = f"no number at {self.at}"
            return incomparable(reason, reason)
        pair = _Pair(ours, theirs, left.secret or right.secret)
        if ours is None or theirs is None:
            return Comparison("mismatch", 0.0, self._difference(pair))
        score = self._score(ours, theirs)
        if self._near(ours, theirs):
            return Comparison("match", score, values=pair.told())
        return Comparison("mismatch", min(score, BELOW_ONE), self._difference(pair), values=pair.told())

    def _near(self, ours: float, theirs: float) -> bool:
        if ours == theirs or (isnan(ours) and isnan(theirs)):
            return True
        if not (isfinite(ours) and isfinite(theirs)):
            return False
        return abs(ours - theirs) <= max(self.tolerance, self.relative * max(abs(ours), abs(theirs)))

    def _score(self, ours: float, theirs: float) -> float:
        if ours == theirs or (isnan(ours) and isnan(theirs)):
            return 1.0
        if not (isfinite(ours) and isfinite(theirs)):
            return 0.0
        # Halves, so that the largest floats do not overflow.
        distance = abs(ours / 2 - theirs / 2)
        whole = abs(ours / 2) + abs(theirs / 2) if self.scale is None else self.scale / 2
        return max(0.0, 1.0 - distance / whole) if whole else 0.0

    def _difference(self, pair: "_Pair") -> tuple[Difference]:
        return (Difference(self.at, *pair.shown()),)

    @cached_property
    def _segments(self) -> tuple[str, ...]:
        return split(self.at)


class _Pair(NamedTuple):
    """The two numbers, None where there is none."""

    primary: float | None
    shadow: float | None
    secret: bool

    def told(self) -> tuple[float, float] | None:
        """Both, where they may be told and are fit for sums."""
        if self.secret or self.primary is None or self.shadow is None:
            return None
        return (self.primary, self.shadow) if isfinite(self.primary) and isfinite(self.shadow) else None

    def shown(self) -> tuple[Any, Any]:
        """Both as a difference may show them."""
        return (REDACTED, REDACTED) if self.secret else (_shown(self.primary), _shown(self.shadow))


def _number(value: Any) -> float | None:
    """The number that a value is; none for one beyond the range of floats."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if type(value) not in (int, float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _shown(number: float | None) -> Any:
    if number is None:
        return NO_NUMBER
    return number if isfinite(number) else str(number)
