"""Compares the labels that answers give: which class, not how sure."""

from collections.abc import Callable, Iterator
from functools import cached_property
from heapq import nlargest
from math import isnan
from typing import Any, Literal

from pydantic import Field

from router.pairs.comparators.base import ComparatorSpec, Comparison, Difference, incomparable
from router.pairs.comparators.place import Found, OnePlace, find_both
from router.pairs.comparators.rows import numbers_of, rows_along_last_axis, single_values
from router.pairs.content import Content
from router.pairs.pointer import split
from router.pairs.values import ABSENT, REDACTED, dump

NO_LABEL = "[no label]"
"""Stands for the label of a side that gives none."""

_SHOWN = 64
"""Characters of a label that are kept."""


class LabelComparator(ComparatorSpec):
    """`{label: {at: /outputs/0/data, kind: argmax}}`: the labels at one place match, row by row.

    `argmax`: the class with the highest number. `top_k`: the `k` classes with the highest ones, in any order.
    `threshold`: which numbers are at least `threshold`. `value`: what stands there is the label. With `shape`
    beside it (V2), the last axis are the classes and all others rows; without one, each innermost list is a row.
    A mapping of class to number is a row too. `labels` names the classes by position.

    The score is the part of the rows that match; `labels` of the Comparison are those of the first row that
    differs, or of the first. A side without labels there is a mismatch, two such sides are incomparable.
    """

    tag: Literal["label"] = "label"
    at: OnePlace
    kind: Literal["argmax", "threshold", "top_k", "value"] = "argmax"
    threshold: float = Field(0.5, allow_inf_nan=False)
    k: int = Field(3, ge=1, le=100)
    labels: tuple[str, ...] = ()

    def compare_contents(self, primary: Content, shadow: Content) -> Comparison:
        left, right = find_both(primary, shadow, self._segments)
        ours, theirs = self.labels_of(left), self.labels_of(right)
        if not ours and not theirs:
            reason = f"no label at {self.at}"
            return incomparable(reason, reason)
        return self._verdict(ours or [NO_LABEL], theirs or [NO_LABEL], secret=left.secret or right.secret)

    def labels_of(self, found: Found) -> list[str]:
        """The label of each row; none where a row is not of the kind that has one."""
        if found.value is ABSENT:
            return []
        labels = [self._label(row) for row in self._rows(found)]
        return [] if None in labels else [label for label in labels if label is not None]

    def _verdict(self, ours: list[str], theirs: list[str], *, secret: bool) -> Comparison:
        rows = max(len(ours), len(theirs))
        differing = [row for row in range(rows) if _at(ours, row) != _at(theirs, row)]
        first = differing[0] if differing else 0
        pair = _cut(_at(ours, first)), _cut(_at(theirs, first))
        labels = None if secret else pair
        if not differing:
            return Comparison("match", 1.0, labels=labels)
        difference = Difference(self.at, *((REDACTED, REDACTED) if secret else pair))
        score = 1.0 - len(differing) / rows
        return Comparison("mismatch", score, (difference,), len(differing) - 1, labels)

    def _rows(self, found: Found) -> Iterator[Any]:
        """The rows at a place, each as the rule for a label takes it."""
        if self.kind == "value":
            return single_values(found)
        return rows_along_last_axis(found, lone=self.kind == "threshold")

    def _label(self, row: Any) -> str | None:
        """The label of one row, None where it has none."""
        if self.kind == "value":
            return _text(row)
        names, numbers = numbers_of(row)
        if not numbers:
            return None
        if any(type(number) is float and isnan(number) for number in numbers):
            return "nan"
        return self._rule(numbers, names or self.labels)

    @cached_property
    def _rule(self) -> Callable[[list[float], tuple[str, ...]], str]:
        rules = {"argmax": self._argmax, "top_k": self._top_k, "threshold": self._over_threshold}
        return rules[self.kind]

    def _argmax(self, numbers: list[float], names: tuple[str, ...]) -> str:
        return _name(numbers.index(max(numbers)), names)

    def _top_k(self, numbers: list[float], names: tuple[str, ...]) -> str:
        best = nlargest(self.k, range(len(numbers)), key=numbers.__getitem__)
        return ", ".join(_name(index, names) for index in sorted(best))

    def _over_threshold(self, numbers: list[float], names: tuple[str, ...]) -> str:
        if len(numbers) == 1:
            return _name(int(numbers[0] >= self.threshold), names)
        over = [_name(index, names) for index, number in enumerate(numbers) if number >= self.threshold]
        return ", ".join(over) or "none"

    @cached_property
    def _segments(self) -> tuple[str, ...]:
        return split(self.at)


def _at(labels: list[str], row: int) -> str:
    return labels[row] if row < len(labels) else NO_LABEL


def _name(index: int, names: tuple[str, ...]) -> str:
    return names[index] if index < len(names) else str(index)


def _text(value: Any) -> str:
    """A value as a label: 1 and 1.0 are the same one."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return dump(value).decode()


def _cut(label: str) -> str:
    label = label.encode("utf-8", "backslashreplace").decode()  # lone surrogates cannot be written
    return label if len(label) <= _SHOWN else label[: _SHOWN - 1] + "…"
