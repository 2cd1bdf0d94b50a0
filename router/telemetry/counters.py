"""What a worker counts for each request: cheap to add to, exact to merge.

Floor 1. Histograms are lists of log buckets with ratio GAMMA, so that a latency bound y and 1.2·y are both
bucket edges and exceedance counts are exact integers (DDSketch, arXiv:1908.10693, with exact merging).
"""

from math import ceil, exp, log

from router.channel import Histogram, SeriesTally

GAMMA = 1.2 ** (1 / 9)
"""Ratio of neighbouring bucket edges: 2.05 % wide buckets."""

_SCALE = 1 / log(GAMMA)
_MIN = 1e-5
_OFFSET = -log(_MIN) * _SCALE
BUCKETS = ceil(log(1e4 / _MIN) * _SCALE) + 1
"""From 10 µs to about 10,000 s; what lies outside counts in the first or last bucket."""


def bucket_of(seconds: float) -> int:
    """Index of the bucket (edge(i-1), edge(i)] that holds a duration."""
    if seconds <= _MIN:
        return 0
    index = ceil(log(seconds) * _SCALE + _OFFSET - 1e-9)
    return index if index < BUCKETS else BUCKETS - 1


def edge(index: int) -> float:
    """Upper edge of a bucket, in seconds."""
    return exp((index - _OFFSET) / _SCALE)


class VersionCounter:
    """Counts for one (deployment, version, role) in one worker."""

    __slots__ = ("_changed", "codes", "deployment", "duration", "duration_sum", "first_byte",
                 "first_byte_sum", "in_flight", "role", "version")  # fmt: skip

    def __init__(self, deployment: str, version: str, role: str) -> None:
        self.deployment = deployment
        self.version = version
        self.role = role
        self.codes: dict[int, int] = {}
        self.duration = [0] * BUCKETS
        self.duration_sum = 0.0
        self.first_byte = [0] * BUCKETS
        self.first_byte_sum = 0.0
        self.in_flight = 0
        self._changed = True

    def start(self) -> None:
        self.in_flight += 1
        self._changed = True

    def abandon(self) -> None:
        """A started request is counted elsewhere from here on: another version answers it."""
        self.in_flight -= 1
        self._changed = True

    def finish(self, code: int, duration: float, first_byte: float) -> None:
        """One request is over: its status, seconds to the last byte, and to the first (negative: none)."""
        self.in_flight -= 1
        self._changed = True
        codes = self.codes
        codes[code] = codes.get(code, 0) + 1
        bucket = bucket_of(duration)
        self.duration[bucket] += 1
        self.duration_sum += duration
        if first_byte >= 0.0:
            # A small answer comes in one read: its first and last byte have the same time, to the bit.
            self.first_byte[bucket if first_byte == duration else bucket_of(first_byte)] += 1
            self.first_byte_sum += first_byte

    def touch(self) -> None:
        """Lets the next `tally` tell the counts even if they have not changed."""
        self._changed = True

    def tally(self) -> SeriesTally | None:
        """The counts in full, or None when nothing changed since the last call."""
        if not self._changed:
            return None
        self._changed = False
        return SeriesTally(
            self.deployment,
            self.version,
            self.role,
            dict(self.codes),
            Histogram(_sparse(self.duration), self.duration_sum),
            Histogram(_sparse(self.first_byte), self.first_byte_sum),
            self.in_flight,
        )


def _sparse(counts: list[int]) -> dict[int, int]:
    return {index: count for index, count in enumerate(counts) if count}


class EventCounter:
    """Rare counters, by metric name and label values."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[tuple[str, ...], int] = {}

    def add(self, *key: str, by: int = 1) -> None:
        self.counts[key] = self.counts.get(key, 0) + by


def merge(one: Histogram, other: Histogram) -> Histogram:
    """Both together; exact, in any order."""
    counts = dict(one.counts)
    for index, count in other.counts.items():
        counts[index] = counts.get(index, 0) + count
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
