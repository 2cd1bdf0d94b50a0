"""What a person wants to know of many pairs of two versions: where they differ, which labels flip, how far numbers
lie apart. Bounded, however many pairs there are; the recorder keeps it running, and `stats` makes it of a log."""

import re
from collections.abc import Collection, Iterable
from datetime import datetime

from router.channel import FieldTally, PairDetail, ValueSums
from router.telemetry.moments import Moments

MAX_FIELDS = 100
"""Fields counted by themselves for one pair of versions; differences elsewhere count under OTHER."""

MAX_FLIPS = 400
"""Pairs of labels counted by themselves; the others count under OTHER."""

MAX_EXAMPLES = 3
"""Ids of pairs kept as examples for one field: the first ones."""

OTHER = "other"

_MAX_LABEL = 64

# A batch of answers differs at as many positions as it has rows. Only which output of a V2 answer it is says
# something, and an output has a name, so its position is kept.
_POSITION = re.compile(r"(?<!^/outputs)/\d+(?=/|$)")


def field(at: str) -> str:
    """The field a difference belongs to: its pointer with `*` for positions in lists."""
    return _POSITION.sub("/*", at)


def count_fields(counts: dict[str, int], fields: Iterable[str]) -> None:
    """Adds one to each field; a new one beyond MAX_FIELDS counts as OTHER."""
    for name in _bounded(fields, counts):
        counts[name] = counts.get(name, 0) + 1


def _bounded(fields: Iterable[str], known: Collection[str]) -> set[str]:
    return {name if name in known or len(known) < MAX_FIELDS else OTHER for name in fields}


class _Field:
    __slots__ = ("count", "examples", "first", "last")

    def __init__(self) -> None:
        self.count = 0
        self.examples: list[str] = []
        self.first = self.last = 0.0

    def add(self, pair_id: str, when: float) -> None:
        self.first = min(self.first, when) if self.count else when
        self.last = max(self.last, when)
        self.count += 1
        if len(self.examples) < MAX_EXAMPLES and pair_id not in self.examples:
            self.examples.append(pair_id)

    def tally(self) -> FieldTally:
        return FieldTally(self.count, tuple(self.examples), self.first, self.last)


class Details:
    """The sums over the pairs of one (primary, shadow)."""

    __slots__ = ("_fields", "_moments", "flips")

    def __init__(self) -> None:
        self._fields: dict[str, _Field] = {}
        self._moments = Moments()
        self.flips: dict[str, int] = {}

    def differ(self, pair_id: str, time: str, fields: Iterable[str]) -> None:
        """A mismatch that was found in these fields; `time` as the pair log has it."""
        when = datetime.fromisoformat(time).timestamp()
        for name in _bounded(fields, self._fields):
            if name not in self._fields:
                self._fields[name] = _Field()
            self._fields[name].add(pair_id, when)

    def label(self, primary: str, shadow: str) -> None:
        """What both sides called the same request."""
        name = f"{primary[:_MAX_LABEL]} -> {shadow[:_MAX_LABEL]}"
        if name not in self.flips and len(self.flips) >= MAX_FLIPS:
            name = OTHER
        self.flips[name] = self.flips.get(name, 0) + 1

    def value(self, primary: float, shadow: float) -> None:
        """The numbers both sides said."""
        self._moments.add(primary, shadow)

    @property
    def values(self) -> ValueSums | None:
        return self._moments.sums()

    @property
    def fields(self) -> dict[str, FieldTally]:
        return {name: each.tally() for name, each in self._fields.items()}

    def detail(self, deployment: str, primary: str, shadow: str) -> PairDetail:
        """As it travels."""
        return PairDetail(deployment, primary, shadow, self.fields, dict(self.flips), self.values)
