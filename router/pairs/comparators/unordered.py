"""Pairs up the members of two lists whose order says nothing.

Lists of numbers are sorted and met in one sweep, lists of other scalars need equal ones: O(n log n). Of other lists
as many members as possible find one that is alike (a maximum matching, by augmenting paths): O(n²) comparisons of
members, so at most CAP of them are taken up, and fewer where they are large or lie in other such lists. Of longer
lists, equal members go together first, in O(n log n); if more than CAP are left, they meet in the order of their
JSON, and a better pairing may be missed.
"""

import json
from collections.abc import Callable
from math import isnan
from typing import Any

from router.pairs.values import Hidden

CAP = 64
"""Members of a list for which the best pairing is looked for."""

MAX_COMPARISONS = 50_000
"""Comparisons of members of all unordered lists in one pair of answers, scalars apart; small ones take half a second
together."""

_INNER = 8
"""The cap is divided by this for lists in members of such lists, which are compared that often."""

_SIZE = 1 << 16
"""Characters of JSON that so many members may have together; of larger ones, fewer are taken up."""

_NUMBERS = frozenset((int, float))
_EXACT = frozenset((str, bool, type(None)))

Alike = Callable[[Any, Any], bool]
Pairing = list[tuple[int, int]]


class TooMuch(Exception):
    """MAX_COMPARISONS did not suffice."""


class Budget:
    """What may be spent on the unordered lists of one pair of answers, also on those within others."""

    __slots__ = ("_spent", "cap")

    def __init__(self, cap: int = CAP, spent: list[int] | None = None) -> None:
        self.cap = cap
        self._spent = [0] if spent is None else spent

    def within(self) -> "Budget":
        """For lists in the members of a list: the same purse, a lower cap."""
        return Budget(self.cap // _INNER, self._spent)

    def spend(self) -> None:
        """One comparison. Raises TooMuch."""
        self._spent[0] += 1
        if self._spent[0] > MAX_COMPARISONS:
            raise TooMuch


def pair_up(left: list[Any], right: list[Any], alike: Alike, most: int = CAP) -> Pairing:
    """Positions (left, right) of members that are alike, each used once; `most` stands for CAP."""
    kinds = {*map(type, left), *map(type, right)}
    if kinds <= _NUMBERS:
        return _sweep(left, right, alike)
    ours, theirs = list(map(_canonical, left)), list(map(_canonical, right))
    if kinds <= _EXACT:
        return _equal(ours, theirs)
    size = sum(map(len, ours)) + sum(map(len, theirs))
    cap = min(most, most * _SIZE // (1 + size))
    matching = _Matching(left, right, ours, theirs, alike)
    if max(len(left), len(right)) <= cap:
        return matching.largest(range(len(left)), range(len(right)))
    pairs = _equal(ours, theirs)
    lonely = _without(len(left), {i for i, _ in pairs}), _without(len(right), {j for _, j in pairs})
    if max(map(len, lonely)) <= cap:
        return pairs + matching.largest(*lonely)
    in_order = zip(
        sorted(lonely[0], key=ours.__getitem__), sorted(lonely[1], key=theirs.__getitem__), strict=False
    )
    return pairs + [(i, j) for i, j in in_order if alike(left[i], right[j])]


class _Matching:
    """A maximum matching of two lists' members (Kuhn's algorithm)."""

    def __init__(
        self,
        left: list[Any],
        right: list[Any],
        ours: list[str],
        theirs: list[str],
        alike: Alike,
    ) -> None:
        self._left = left
        self._right = right
        self._ours = ours
        self._theirs = theirs
        self._alike = alike
        self._known: dict[tuple[int, int], bool] = {}
        self._owner: dict[int, int] = {}

    def largest(self, lefts: "range | list[int]", rights: "range | list[int]") -> Pairing:
        """The largest set of pairs among these positions."""
        for i in lefts:
            # Equal members first: mostly nothing else has to be compared then.
            order = sorted(rights, key=lambda j: self._theirs[j] != self._ours[i])
            self._augment(i, order, set())
        return sorted((i, j) for j, i in self._owner.items())

    def _augment(self, i: int, rights: list[int], seen: set[int]) -> bool:
        for j in rights:
            if j in seen or not self._are_alike(i, j):
                continue
            seen.add(j)
            if j not in self._owner or self._augment(self._owner[j], rights, seen):
                self._owner[j] = i
                return True
        return False

    def _are_alike(self, i: int, j: int) -> bool:
        known = self._known.get((i, j))
        if known is None:
            known = self._known[i, j] = self._alike(self._left[i], self._right[j])
        return known


def _sweep(left: list[Any], right: list[Any], alike: Alike) -> Pairing:
    """The most pairs of numbers: whoever of the two smallest is too small for the other is too small for all."""
    ours, theirs = _sorted(left), _sorted(right)
    pairs = list(zip(_without(len(left), set(ours)), _without(len(right), set(theirs)), strict=False))  # NaNs
    i = j = 0
    while i < len(ours) and j < len(theirs):
        a, b = left[ours[i]], right[theirs[j]]
        if alike(a, b):
            pairs.append((ours[i], theirs[j]))
            i, j = i + 1, j + 1
        elif a < b:
            i += 1
        else:
            j += 1
    return pairs


def _sorted(numbers: list[Any]) -> list[int]:
    """Positions of the numbers in their order, without those of NaN."""
    places = [place for place, number in enumerate(numbers) if type(number) is int or not isnan(number)]
    return sorted(places, key=numbers.__getitem__)


def _equal(ours: list[str], theirs: list[str]) -> Pairing:
    places: dict[str, list[int]] = {}
    for j in reversed(range(len(theirs))):
        places.setdefault(theirs[j], []).append(j)
    return [(i, places[text].pop()) for i, text in enumerate(ours) if places.get(text)]


def _without(count: int, used: set[int]) -> list[int]:
    return [place for place in range(count) if place not in used]


def _canonical(value: Any) -> str:
    """One text for equal values, whatever the order of their keys, and with nothing hidden: it is not kept."""
    return json.dumps(value, sort_keys=True, default=_revealed)


def _revealed(value: Hidden) -> Any:
    return value.value
