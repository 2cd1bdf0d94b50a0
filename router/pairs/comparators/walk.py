"""The walk over two JSON values side by side: what differs, where, and how much of the whole that is."""

from collections.abc import Iterable
from math import isfinite, isinf, isnan
from typing import Any

from router.pairs.comparators.base import MATCH, Comparison, Difference
from router.pairs.comparators.unordered import Budget, pair_up
from router.pairs.pointer import join
from router.pairs.values import ABSENT, REDACTED, Hidden, dump

MISSING = "[missing]"
"""Stands in a difference for the side that does not have the value."""

KEPT = 20
"""Differences kept of one pair; the others are only counted."""

_SHOWN = 200
_SCALARS = frozenset((str, int, float, bool, type(None)))
_NUMBERS = frozenset((int, float))


class Rules:
    """What pointers say of places, as a tree that is walked along with the values: one look-up for each.

    What stands at a place is `ignored`, or is a list that is `unordered`.
    """

    __slots__ = ("every", "ignored", "named", "unordered")

    def __init__(self) -> None:
        self.named: dict[str, Rules] = {}
        self.every: Rules | None = None
        self.ignored = False
        self.unordered = False

    @classmethod
    def compile(
        cls, ignored: Iterable[tuple[str, ...]], unordered: Iterable[tuple[str, ...]] = ()
    ) -> "Rules | None":
        """The tree of these pointers; None where there are none."""
        root = cls()
        for segments in ignored:
            root._at(segments).ignored = True
        for segments in unordered:
            root._at(segments).unordered = True
        root._spread()
        return root if root.named or root.every else None

    def below(self, key: str) -> "Rules | None":
        """The rules for what stands under this key."""
        return self.named.get(key, self.every)

    def _at(self, segments: tuple[str, ...]) -> "Rules":
        """The node at these segments, made where there is none."""
        node = self
        for segment in segments:
            if segment == "*":
                node.every = node.every or Rules()
                node = node.every
            else:
                node = node.named.setdefault(segment, Rules())
        return node

    def _spread(self) -> None:
        """Copies what `*` says into the named branches, so that a look-up needs to follow only one."""
        for child in self.named.values():
            if self.every is not None:
                child._absorb(self.every)
            child._spread()
        if self.every is not None:
            self.every._spread()

    def _absorb(self, other: "Rules") -> None:
        self.ignored = self.ignored or other.ignored
        self.unordered = self.unordered or other.unordered
        for key, child in other.named.items():
            self.named.setdefault(key, Rules())._absorb(child)
        if other.every is not None:
            self.every = self.every or Rules()
            self.every._absorb(other.every)


class Walk:
    """One comparison under way. Counts every leaf it compares and keeps the first differences.

    Raises TooMuch where unordered lists would take too long.
    """

    __slots__ = ("_absolute", "_budget", "_compared", "_differences", "_differing", "_path", "_relative")

    def __init__(self, relative: float, absolute: float, budget: Budget | None = None) -> None:
        self._relative = relative
        self._absolute = absolute
        self._budget = budget or Budget()
        self._path: list[str | int] = []
        self._differences: list[Difference] = []
        self._compared = 0
        self._differing = 0

    def comparison(self) -> Comparison:
        """The verdict on what was walked so far."""
        if not self._differing:
            return MATCH
        score = 1.0 - self._differing / self._compared
        more = self._differing - len(self._differences)
        return Comparison("mismatch", score, tuple(self._differences), more)

    def answers_by_name(self, left: dict[str, Any], right: dict[str, Any], rules: Rules | None) -> None:
        """Two V2 answers: like `values`, but each output meets the one of its name."""
        rest_left = {key: value for key, value in left.items() if key != "outputs"}
        rest_right = {key: value for key, value in right.items() if key != "outputs"}
        self._objects(rest_left, rest_right, rules)
        below = None if rules is None else rules.below("outputs")
        if below is not None and below.ignored:
            return
        self._path.append("outputs")
        self._outputs(left["outputs"], right["outputs"], below)
        self._path.pop()

    def values(self, left: Any, right: Any, rules: Rules | None) -> None:
        """Any two values at the present path."""
        kind, other = type(left), type(right)
        if kind is dict and other is dict:
            self._objects(left, right, rules)
        elif kind is list and other is list:
            if rules is not None and rules.unordered:
                self._unordered(left, right, rules)
            else:
                self._lists(left, right, rules)
        elif kind is Hidden or other is Hidden:
            self._hidden(left, right, rules)
        else:
            self._compared += 1
            if not self._alike(left, right):
                self._differ(left, right)

    def _outputs(self, left: list[Any], right: list[Any], rules: Rules | None) -> None:
        others = {output["name"]: (index, output) for index, output in enumerate(right)}
        for index, output in enumerate(left):
            # A pair of outputs has two positions; the pointer names the primary's.
            _, other = others.pop(output["name"], (0, ABSENT))
            self._member(index, output, other, rules)
        for index, other in others.values():
            self._member(index, ABSENT, other, rules)

    def _objects(self, left: dict[str, Any], right: dict[str, Any], rules: Rules | None) -> None:
        for key, value in left.items():
            if key not in right:
                self._member(key, value, ABSENT, rules)
                continue
            other = right[key]
            if rules is None and type(value) is type(other) and type(value) in _SCALARS and value == other:
                self._compared += 1
            else:
                self._member(key, value, other, rules)
        if left.keys() != right.keys():
            for key, other in right.items():
                if key not in left:
                    self._member(key, ABSENT, other, rules)

    def _lists(self, left: list[Any], right: list[Any], rules: Rules | None) -> None:
        for index, (value, other) in enumerate(zip(left, right, strict=False)):
            if rules is None and type(value) is type(other) and type(value) in _SCALARS and value == other:
                self._compared += 1
            else:
                self._member(index, value, other, rules)
        for index in range(len(right), len(left)):
            self._member(index, left[index], ABSENT, rules)
        for index in range(len(left), len(right)):
            self._member(index, ABSENT, right[index], rules)

    def _unordered(self, left: list[Any], right: list[Any], rules: Rules) -> None:
        """Each member of such a list counts as one value; its place says nothing, so only `*` speaks of it."""
        below = rules.every
        if below is not None and below.ignored:
            return
        if len(left) == len(right) and all(map(self._same, left, right, [below] * len(left))):
            self._compared += len(left)
            return
        pairs = pair_up(left, right, lambda one, two: self._same(one, two, below), self._budget.cap)
        ours, theirs = {i for i, _ in pairs}, {j for _, j in pairs}
        self._compared += len(pairs)
        for index in range(len(left)):
            if index not in ours:
                self._lone(index, left[index], ABSENT)
        for index in range(len(right)):
            if index not in theirs:
                self._lone(index, ABSENT, right[index])

    def _same(self, left: Any, right: Any, rules: Rules | None) -> bool:
        """Whether nothing differs; stops at the first difference."""
        if type(left) in _SCALARS and type(right) in _SCALARS:
            return self._alike(left, right)
        self._budget.spend()
        try:
            _Glance(self._relative, self._absolute, self._budget.within()).values(left, right, rules)
        except _Differs:
            return False
        return True

    def _lone(self, key: str | int, left: Any, right: Any) -> None:
        self._path.append(key)
        self._compared += 1
        self._differ(left, right)
        self._path.pop()

    def _member(self, key: str | int, left: Any, right: Any, rules: Rules | None) -> None:
        below = None if rules is None else rules.below(str(key))
        if below is not None and below.ignored:
            return
        if left is ABSENT or right is ABSENT:
            self._lone(key, left, right)
            return
        self._path.append(key)
        self.values(left, right, below)
        self._path.pop()

    def _hidden(self, left: Any, right: Any, rules: Rules | None) -> None:
        """A secret is compared by itself, and only whether it differs gets out."""
        one, other = _unveiled(left), _unveiled(right)
        self._compared += 1
        if type(one) in _SCALARS and type(other) in _SCALARS:
            differs = not self._alike(one, other)
        else:
            inner = Walk(self._relative, self._absolute, self._budget)
            inner.values(one, other, rules)
            differs = inner._differing > 0
        if differs:
            self._differ(REDACTED, REDACTED)

    def _alike(self, left: Any, right: Any) -> bool:
        if type(left) in _NUMBERS and type(right) in _NUMBERS:
            return left == right or self._close(left, right)
        return type(left) is type(right) and bool(left == right)

    def _close(self, left: float, right: float) -> bool:
        try:
            if isnan(left) or isnan(right):
                return isnan(left) and isnan(right)
            if isinf(left) or isinf(right):
                return False
            return abs(left - right) <= max(self._absolute, self._relative * max(abs(left), abs(right)))
        except OverflowError:  # an integer beyond the range of floats
            return False

    def _differ(self, left: Any, right: Any) -> None:
        self._differing += 1
        if len(self._differences) < KEPT:
            self._differences.append(Difference(join(tuple(self._path)), _shown(left), _shown(right)))


class _Differs(Exception):
    """A difference was found, which is all that is asked."""


class _Glance(Walk):
    """A walk that ends at the first difference."""

    __slots__ = ()

    def _differ(self, left: Any, right: Any) -> None:
        raise _Differs


def _unveiled(value: Any) -> Any:
    return value.value if type(value) is Hidden else value


def _shown(value: Any) -> Any:
    """A value as a difference holds it: strict JSON, short, secrets left out; containers as JSON text."""
    if type(value) is Hidden:
        return REDACTED
    if value is ABSENT:
        return MISSING
    if isinstance(value, (dict, list)):
        value = dump(value).decode()
    elif isinstance(value, float) and not isfinite(value):
        return str(value)
    elif isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str):
        value = value.encode("utf-8", "backslashreplace").decode()
        return value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
    return value
