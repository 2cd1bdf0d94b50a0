"""What the recorder counts: pairs by verdict, where they differ, and what was dropped. Cumulative."""

import re
from typing import NamedTuple

from router.channel import PairTally, RecorderTally
from router.pairs.pair import Pair

MAX_FIELDS = 100
"""Fields counted by themselves for one pair of versions; differences elsewhere count under OTHER."""

OTHER = "other"

# A batch of answers differs at as many positions as it has rows. Only which output of a V2 answer it is says
# something, and an output has a name, so its position is kept.
_POSITION = re.compile(r"(?<!^/outputs)/\d+(?=/|$)")


def field(at: str) -> str:
    """The field a difference belongs to: its pointer with `*` for positions in lists."""
    return _POSITION.sub("/*", at)


class Series(NamedTuple):
    """The versions whose pairs are counted together."""

    deployment: str
    primary: str
    shadow: str


class Tallies:
    """Counts since this process started. `frame` gives them for the controller when they changed."""

    def __init__(self) -> None:
        self._verdicts: dict[Series, dict[str, int]] = {}
        self._fields: dict[Series, dict[str, int]] = {}
        self._dropped: dict[tuple[str, str], int] = {}
        self._changed = False

    def pair(self, pair: Pair) -> None:
        """Counts a pair that was written; each field once, however often it differs in this pair."""
        self._changed = True
        series = Series(pair.deployment, pair.primary.version, pair.shadow.version)
        verdicts = self._verdicts.setdefault(series, {})
        verdicts[pair.verdict] = verdicts.get(pair.verdict, 0) + 1
        if pair.verdict == "mismatch":
            count_fields(self._fields.setdefault(series, {}), {field(each.at) for each in pair.differences})

    def drop(self, deployment: str, reason: str, count: int = 1) -> None:
        """Counts captures that could not be kept."""
        self._changed = True
        key = (deployment, reason)
        self._dropped[key] = self._dropped.get(key, 0) + count

    def frame(self) -> RecorderTally | None:
        """All counts, or None when nothing changed since the last call."""
        if not self._changed:
            return None
        self._changed = False
        pairs = tuple(
            PairTally(*series, dict(verdicts), dict(self._fields.get(series, {})))
            for series, verdicts in self._verdicts.items()
        )
        return RecorderTally(pairs, tuple(self._dropped.items()))


def count_fields(counts: dict[str, int], fields: set[str]) -> None:
    """Adds one to each field; a new one beyond MAX_FIELDS counts as OTHER."""
    known = {name if name in counts or len(counts) < MAX_FIELDS else OTHER for name in fields}
    for name in known:
        counts[name] = counts.get(name, 0) + 1
