"""Running sums over pairs of numbers, mergeable: means, correlation, and quantiles of their distance.

Means and sums of squares are updated as Welford (1962) and merged as Chan, Golub and LeVeque (1983) have it: plain
sums of squares lose all their digits when numbers are large and differ little. Distances are kept in log buckets,
so a quantile is right within 5 %.
"""

from math import ceil, exp, inf, log, sqrt

from router.channel import ValueSums

_WIDTH = log(1.05)
_LEAST, _MOST = 1e-12, 1e12
EQUAL = -(10**6)
"""The bucket of distances of at most 1e-12."""

LARGEST = 1e150
"""Beyond it a square is no finite number any more, and one such pair would spoil all sums for good."""


class Moments:
    """The sums. Numbers that are not finite, or beyond LARGEST, are left out: a comparator has judged them already."""

    __slots__ = ("distance", "distances", "n", "primary_mean", "primary_squares", "products", "shadow_mean",
                 "shadow_squares")  # fmt: skip

    def __init__(self, sums: ValueSums | None = None) -> None:
        known = sums or ValueSums(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, {})
        self.n = known.n
        self.primary_mean, self.shadow_mean = known.primary_mean, known.shadow_mean
        self.primary_squares, self.shadow_squares = known.primary_squares, known.shadow_squares
        self.products, self.distance = known.products, known.distance
        self.distances = dict(known.distances)

    def add(self, primary: float, shadow: float) -> None:
        """One pair."""
        if not (abs(primary) <= LARGEST and abs(shadow) <= LARGEST):
            return
        self.n += 1
        off_primary, off_shadow = primary - self.primary_mean, shadow - self.shadow_mean
        self.primary_mean += off_primary / self.n
        self.shadow_mean += off_shadow / self.n
        self.primary_squares += off_primary * (primary - self.primary_mean)
        self.shadow_squares += off_shadow * (shadow - self.shadow_mean)
        self.products += off_primary * (shadow - self.shadow_mean)
        distance = abs(primary - shadow)
        self.distance += distance
        bucket = bucket_of(distance)
        self.distances[bucket] = self.distances.get(bucket, 0) + 1

    def sums(self) -> ValueSums | None:
        """As they travel; None when nothing was added."""
        if not self.n:
            return None
        return ValueSums(
            self.n,
            self.primary_mean,
            self.shadow_mean,
            self.primary_squares,
            self.shadow_squares,
            self.products,
            self.distance,
            dict(self.distances),
        )


def bucket_of(distance: float) -> int:
    """The bucket of a distance; what lies beyond 1e12 counts in the last one."""
    return EQUAL if distance <= _LEAST else ceil(log(min(distance, _MOST)) / _WIDTH)


def merge(one: ValueSums, other: ValueSums) -> ValueSums:
    """The sums of both."""
    n = one.n + other.n
    off_primary = other.primary_mean - one.primary_mean
    off_shadow = other.shadow_mean - one.shadow_mean
    weight = one.n * other.n / n
    distances = dict(one.distances)
    for bucket, count in other.distances.items():
        distances[bucket] = distances.get(bucket, 0) + count
    return ValueSums(
        n,
        one.primary_mean + off_primary * other.n / n,
        one.shadow_mean + off_shadow * other.n / n,
        one.primary_squares + other.primary_squares + off_primary * off_primary * weight,
        one.shadow_squares + other.shadow_squares + off_shadow * off_shadow * weight,
        one.products + other.products + off_primary * off_shadow * weight,
        one.distance + other.distance,
        distances,
    )


def correlation(sums: ValueSums) -> float | None:
    """Pearson's; None where one side never changes."""
    spread = sqrt(sums.primary_squares) * sqrt(sums.shadow_squares)
    if not 0.0 < spread < inf:
        return None
    return max(-1.0, min(1.0, sums.products / spread))


def distance_quantile(sums: ValueSums, q: float) -> float:
    """The distance that a part `q` of the pairs does not exceed, within 5 %."""
    rest = ceil(q * sums.n)
    for bucket in sorted(sums.distances):
        rest -= sums.distances[bucket]
        if rest <= 0:
            return 0.0 if bucket == EQUAL else exp((bucket - 0.5) * _WIDTH)
    return 0.0
