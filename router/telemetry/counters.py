"""What a worker counts for each request: cheap to add to, exact to merge.

Floor 1. Histograms are lists of log buckets with ratio GAMMA, so that a latency bound y and 1.2·y are both
bucket edges and exceedance counts are exact integers (DDSketch, arXiv:1908.10693, with exact merging).
"""

from math import ceil, exp, log
from typing import Final

from router.channel import Histogram, SeriesTally

GAMMA = 1.2 ** (1 / 9)
"""Ratio of neighbouring bucket edges: 2.05 % wide buckets."""

_SCALE: Final = 1 / log(GAMMA)
_MIN: Final = 1e-5
_OFFSET = -log(_MIN) * _SCALE
_SHIFT: Final = _OFFSET - 1e-9  # an edge, as `edge` computes it, lies in the bucket it ends
BUCKETS: Final = ceil(log(1e4 / _MIN) * _SCALE) + 1
"""From 10 µs to about 10,000 s; what lies outside counts in the first or last bucket."""


def bucket_of(seconds: float) -> int:
    """Index of the bucket (edge(i-1), edge(i)] that holds a duration."""
    if seconds <= _MIN:
        return 0
    index = ceil(log(seconds) * _SCALE + _SHIFT)
    return index if index < BUCKETS else BUCKETS - 1


def edge(index: int) -> float:
    """Upper edge of a bucket, in seconds."""
    return exp((index - _OFFSET) / _SCALE)


MAX_CAUSES = 10_000
"""Causes of failure remembered for one series; beyond, all are forgotten and count anew: to stop counting in one arm
before the other would speak against the other."""


class VersionCounter:
    """Counts for one (deployment, version, role, cohort, slice) in one worker; see `channel.SeriesTally`."""

    __slots__ = ("_at_once", "_at_once_sum", "_causes", "_duration", "_duration_sum", "_first_byte",
                 "_first_byte_sum", "_new_causes", "_told", "broken", "codes", "cohort", "deployment", "fallbacks",
                 "in_flight", "role", "slice", "version")  # fmt: skip

    def __init__(self, deployment: str, version: str, role: str, cohort: int = 0, slice: str = "") -> None:
        self.deployment = deployment
        self.version = version
        self.role = role
        self.cohort = cohort
        self.slice = slice
        self.fallbacks = 0
        self.broken = 0
        self._causes: set[int] = set()
        self._new_causes: list[int] = []
        self.codes: dict[int, int] = {}
        self.in_flight = 0
        # Answers that came in one read, whose first byte was their last: in neither of the two below.
        self._at_once: dict[int, int] = {}
        self._at_once_sum = 0.0
        self._duration: dict[int, int] = {}
        self._duration_sum = 0.0
        self._first_byte: dict[int, int] = {}
        self._first_byte_sum = 0.0
        self._told = (-1, -1)

    def start(self) -> None:
        self.in_flight += 1

    def abandon(self) -> None:
        """A started request is counted elsewhere from here on, and says nothing of this version."""
        self.in_flight -= 1

    def fall_back(self) -> None:
        """A started request was not answered: another version does it."""
        self.in_flight -= 1
        self.fallbacks += 1

    def blame(self, cause: int) -> None:
        """A failure has this cause: a hash of who met it, and how."""
        if cause not in self._causes:
            if len(self._causes) >= MAX_CAUSES:
                self._causes.clear()
            self._causes.add(cause)
            self._new_causes.append(cause)

    def finish(self, code: int, duration: float, first_byte: float) -> None:
        """One request is over: its status, seconds to the last byte, and to the first (negative: none)."""
        self.in_flight -= 1
        try:
            self.codes[code] += 1
        except KeyError:
            self.codes[code] = 1
        bucket = bucket_of(duration)
        if first_byte == duration:
            try:
                self._at_once[bucket] += 1
            except KeyError:
                self._at_once[bucket] = 1
            self._at_once_sum += duration
            return
        self._duration[bucket] = self._duration.get(bucket, 0) + 1
        self._duration_sum += duration
        if first_byte >= 0.0:
            bucket = bucket_of(first_byte)
            self._first_byte[bucket] = self._first_byte.get(bucket, 0) + 1
            self._first_byte_sum += first_byte

    def absorb(self, other: "VersionCounter") -> None:
        """Adds all counts of another one, which nobody counts with any more."""
        _add(self.codes, other.codes)
        _add(self._at_once, other._at_once)
        _add(self._duration, other._duration)
        _add(self._first_byte, other._first_byte)
        self._at_once_sum += other._at_once_sum
        self._duration_sum += other._duration_sum
        self._first_byte_sum += other._first_byte_sum
        self.fallbacks += other.fallbacks
        self.broken += other.broken

    def touch(self) -> None:
        """Lets the next `tally` tell the counts even if they have not changed."""
        self._told = (-1, -1)
        self._new_causes = list(self._causes)

    def tally(self) -> SeriesTally | None:
        """The counts in full, or None when nothing changed since the last call."""
        now = (sum(self.codes.values()) + self.fallbacks, self.in_flight)
        if now == self._told:
            return None
        self._told = now
        causes, self._new_causes = tuple(self._new_causes), []
        at_once = Histogram(self._at_once, self._at_once_sum)
        return SeriesTally(
            self.deployment,
            self.version,
            self.role,
            dict(self.codes),
            merge(at_once, Histogram(self._duration, self._duration_sum)),
            merge(at_once, Histogram(self._first_byte, self._first_byte_sum)),
            self.in_flight,
            self.cohort,
            self.slice,
            self.fallbacks,
            self.broken,
            causes,
        )


def _add(counts: dict[int, int], more: dict[int, int]) -> None:
    for key, count in more.items():
        counts[key] = counts.get(key, 0) + count


def merge(one: Histogram, other: Histogram) -> Histogram:
    """Both together; exact, in any order."""
    counts = dict(one.counts)
    _add(counts, other.counts)
    return Histogram(counts, one.sum + other.sum)


def quantile(histogram: Histogram, q: float) -> float | None:
    """The upper bucket edge, in seconds, below which at least q of the observations lie; None without any."""
    total = sum(histogram.counts.values())
    if not total:
        return None
    rank, seen = q * total, 0
    for index in sorted(histogram.counts):
        seen += histogram.counts[index]
        if seen >= rank:
            return edge(index)
    return edge(BUCKETS - 1)
