"""Confidence intervals for shares of pairs and for what is left of a difference when noise is taken off.

For a share: Wilson's score interval (1927). For the difference of two shares: Newcombe's hybrid score interval
(Statistics in Medicine 17, 873-890, 1998, method 10), which is made of the two Wilson intervals. It takes the two
for independent; a noise pair and a pair of the same request are not, they go together, so that the true interval
is narrower than the one given.
"""

from math import sqrt
from statistics import NormalDist

import msgspec

Z95 = NormalDist().inv_cdf(0.975)


class Share(msgspec.Struct, frozen=True):
    """`count` of `of`, and the interval of that share; shares are None where there is nothing to look at."""

    count: int
    of: int
    share: float | None
    low: float | None
    high: float | None


class Net(msgspec.Struct, frozen=True):
    """A difference of two shares, from -1 to 1, and its interval."""

    share: float
    low: float
    high: float


def z_of(comparisons: int) -> float:
    """The quantile for each of so many intervals that together hold with 95 % (Bonferroni)."""
    return NormalDist().inv_cdf(1 - 0.025 / max(1, comparisons))


def wilson(count: int, of: int, z: float = Z95) -> Share:
    """The share of `count` in `of`."""
    if not of:
        return Share(count, of, None, None, None)
    ratio, z2 = count / of, z * z
    middle = (ratio + z2 / (2 * of)) / (1 + z2 / of)
    half = z * sqrt(ratio * (1 - ratio) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    # At 0 and 1 the bound is exact; rounding must not put the ratio outside of its interval.
    return Share(count, of, ratio, min(ratio, max(0.0, middle - half)), max(ratio, min(1.0, middle + half)))


def newcombe(one: Share, other: Share) -> Net | None:
    """How much larger the first share is; None where one of them is not known."""
    if one.share is None or one.low is None or one.high is None:
        return None
    if other.share is None or other.low is None or other.high is None:
        return None
    net = one.share - other.share
    below = sqrt((one.share - one.low) ** 2 + (other.high - other.share) ** 2)
    above = sqrt((one.high - one.share) ** 2 + (other.share - other.low) ** 2)
    return Net(net, max(-1.0, net - below), min(1.0, net + above))
