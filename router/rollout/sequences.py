"""Confidence sequences, for people to look at: intervals that hold at all times at once. Floor 2, pure, `math` only.

A 95 % confidence sequence contains the truth at every look together with probability 0.95; it is about twice as wide
as the interval for one look planned beforehand. Gates do not decide by these (`rollout.inference` does); they say
what is known of a rate, a ratio, a quantile or a mean. Each is the set of values that an e-process has not rejected:
{x : E(x) < 1/alpha}. `alpha` is the probability that the truth is ever outside.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf, lgamma, log, log1p
from typing import NamedTuple

from router.rollout.inference import Terms, score_log_e, weighted_log_e
from router.telemetry.grid import GRID

Interval = tuple[float, float]

_JEFFREYS = 0.5
"""Both parameters of the Beta prior on a rate."""

_RANK_STRENGTH = 50.0
"""How many observations' worth the prior of a quantile is."""

_OCTAVES = 40.0
"""How far a ratio is looked for: 2^-40 to 2^40."""

_HALVINGS = 100
"""At most so many halvings of a bracket; most end earlier, where floats do."""


# One rate, two rates


def bernoulli_cs(n: int, k: int, alpha: float) -> Interval:
    """The rate of `k` events in `n` trials.

    {p : M(p) < 1/alpha} with M = B(1/2 + k, 1/2 + n - k) / B(1/2, 1/2) / (p^k (1 - p)^(n - k)): Robbins' method of
    mixtures with a Beta(1/2, 1/2) prior (Howard & Ramdas 2022).
    """
    if not n:
        return 0.0, 1.0
    rate = _Rate(n, k)

    def inside(p: float) -> bool:
        return rate.log_e(p) < -log(alpha)

    return _reach(inside, k / n, 0.0), _reach(inside, k / n, 1.0)


class TwoRates(NamedTuple):
    """What is known of p1 - p2 and of p1 / p2, and ln E against p1 <= p2."""

    difference: Interval
    ratio: Interval
    log_e_greater: float


def two_proportion_cs(n1: int, k1: int, n2: int, k2: int, alpha: float) -> TwoRates:
    """Difference and ratio of two rates, after `k1` events in `n1` trials and `k2` in `n2`.

    The joint region {(p1, p2) : M1(p1) M2(p2) < 1/alpha}, a Beta(1/2, 1/2) prior each, projected. Valid only while
    both rates are constant: from one step's counts, never across a ramp, and never to decide.
    """
    first, second = _Rate(n1, k1), _Rate(n2, k2)
    bar = -log(alpha)

    def apart(difference: float) -> bool:
        return _least(first, second, difference, 1.0) < bar

    def times(octaves: float) -> bool:
        return _least(first, second, 0.0, 2.0**octaves) < bar

    gap = first.seen - second.seen
    difference = _reach(apart, gap, -1.0), _reach(apart, gap, 1.0)
    octaves = _log2_ratio(first, second)
    low = 2.0 ** _reach(times, octaves, -_OCTAVES) if k1 else 0.0
    high = 2.0 ** _reach(times, octaves, _OCTAVES) if k2 else inf
    if gap > 0.0:
        greater = _least(first, second, 0.0, 1.0)
    else:
        greater = first.log_e(first.seen) + second.log_e(second.seen)
    return TwoRates(difference, (low, high), greater)


def rate_ratio_cs(epochs: Iterable[tuple[float, int, int]], alpha: float) -> Interval:
    """p_c / p_s from failures alone: epochs `(weight, kc, ks)` as the event split takes them, or, for one block with
    realised counts, the candidate's part of the requests as its weight.

    The mixture of the likelihood of "the failing request is the candidate's" over log2 of the ratio, with a Cauchy
    prior of one octave on 241 points from -10 to 10. Holds while the rates drift, as long as their ratio does not.
    """
    seen = [(weight, kc, ks) for weight, kc, ks in epochs if 0.0 < weight < 1.0 and (kc or ks)]

    def log_likelihood(octaves: float) -> float:
        return sum(_split_likelihood(weight, kc, ks, 2.0**octaves) for weight, kc, ks in seen)

    points = [(step - 120) / 12 for step in range(241)]
    prior = [1.0 / (1.0 + point * point) for point in points]
    mixture = weighted_log_e([log_likelihood(point) for point in points], prior)

    def inside(octaves: float) -> bool:
        return mixture - log_likelihood(octaves) < -log(alpha)

    best = _peak(log_likelihood, -_OCTAVES, _OCTAVES)
    low = 2.0 ** _reach(inside, best, -_OCTAVES) if any(kc for _, kc, _ in seen) else 0.0
    high = 2.0 ** _reach(inside, best, _OCTAVES) if any(ks for _, _, ks in seen) else inf
    return low, high


# A quantile, a mean


def quantile_ranks(n: int, q: float, alpha: float) -> tuple[int, int]:
    """Between which counts of `n` observations the number that is not above the true `q` quantile lies.

    The ranks k that a mixture test of Bernoulli(q) with a Beta(50 q, 50 (1 - q)) prior does not reject (Howard &
    Ramdas 2022, fixed quantile). A low of 0 or a high of `n` bounds nothing on that side.
    """
    evidence = _mixture(_RANK_STRENGTH * q, _RANK_STRENGTH * (1.0 - q))

    def inside(k: int) -> bool:
        return evidence(n, k) - k * log(q) - (n - k) * log1p(-q) < -log(alpha)

    middle = round(n * q)
    return _last(inside, middle, 0), _last(inside, middle, n)


def quantile_cs(ordered: Sequence[float], q: float, alpha: float) -> Interval:
    """The `q` quantile of nonnegative observations, sorted."""
    low, high = quantile_ranks(len(ordered), q, alpha)
    return (ordered[low - 1] if low else 0.0), (ordered[high] if high < len(ordered) else inf)


def quantile_cs_hist(
    counts: Mapping[int, int], edge: Callable[[int], float], q: float, alpha: float
) -> Interval:
    """The `q` quantile from a histogram whose bucket i is (edge(i - 1), edge(i)]: the edges outside of it."""
    n = sum(counts.values())
    low, high = quantile_ranks(n, q, alpha)
    lower = edge(_bucket_at(counts, low) - 1) if low else 0.0
    return lower, (edge(_bucket_at(counts, high + 1)) if high < n else inf)


def bounded_mean_cs(
    n: int, log_scores: Sequence[float], log_losses: Sequence[float], alpha: float, grid: Terms = GRID
) -> Interval:
    """The mean of `n` scores in [0, 1], from their summed `inference.score_terms` and those of 1 - score.

    Two betting martingales over the same grid, alpha / 2 each (Waudby-Smith & Ramdas 2024).
    """
    bar = log(2.0 / alpha)

    def not_above(mean: float) -> bool:
        return score_log_e(n, log_scores, mean, grid) < bar

    def not_below(mean: float) -> bool:
        return score_log_e(n, log_losses, 1.0 - mean, grid) < bar

    return _reach(not_above, 1.0, 0.0), _reach(not_below, 0.0, 1.0)


def _bucket_at(counts: Mapping[int, int], rank: int) -> int:
    """The bucket of the observation of that rank, counted from 1."""
    below = 0
    for bucket in sorted(counts):
        below += counts[bucket]
        if below >= rank:
            return bucket
    raise IndexError(rank)


# The evidence against one rate, or a pair of them


def _mixture(a: float, b: float) -> Callable[[int, int], float]:
    """ln of the Beta(a, b) mixture of the likelihoods of k events in n trials, as a function of n and k."""

    def log_mixture(n: int, k: int) -> float:
        return (
            (lgamma(a + k) - lgamma(a))
            + (lgamma(b + n - k) - lgamma(b))
            - (lgamma(a + b + n) - lgamma(a + b))
        )

    return log_mixture


class _Rate:
    """`k` events in `n` trials: ln E against each value of the rate, convex in it."""

    def __init__(self, n: int, k: int) -> None:
        self.n = n
        self.k = k
        self.seen = k / n if n else 0.5
        self._log_mixture = _mixture(_JEFFREYS, _JEFFREYS)(n, k)

    def log_e(self, p: float) -> float:
        """ln M(p); infinite where p makes impossible what was seen."""
        misses = self.n - self.k
        if (self.k and p <= 0.0) or (misses and p >= 1.0):
            return inf
        events = self.k * log(p) if self.k else 0.0
        return self._log_mixture - events - (misses * log1p(-p) if misses else 0.0)

    def slope(self, p: float) -> float:
        """Its derivative; infinite at the ends where ln M is."""
        misses = self.n - self.k
        rising = misses / (1.0 - p) if p < 1.0 else (inf if misses else 0.0)
        return rising - (self.k / p if p > 0.0 else (inf if self.k else 0.0))


def _least(first: _Rate, second: _Rate, offset: float, factor: float) -> float:
    """The least ln M1(p1) + ln M2(p2) where p1 = offset + factor * p2."""
    low, high = max(0.0, -offset / factor), min(1.0, (1.0 - offset) / factor)

    def falling(p2: float) -> bool:
        return factor * first.slope(offset + factor * p2) + second.slope(p2) < 0.0

    p2 = _turn(falling, low, high)
    return first.log_e(min(1.0, max(0.0, offset + factor * p2))) + second.log_e(p2)


def _log2_ratio(first: _Rate, second: _Rate) -> float:
    """log2 of the ratio that was seen, within what is looked at."""
    if not first.seen:
        return -_OCTAVES if second.seen else 0.0
    if not second.seen:
        return _OCTAVES
    return log(first.seen / second.seen) / log(2.0)


def _split_likelihood(weight: float, kc: int, ks: int, ratio: float) -> float:
    expected = weight * ratio
    both = log(expected + 1.0 - weight)
    candidate = kc * (log(expected) - both) if kc else 0.0
    return candidate + (ks * (log1p(-weight) - both) if ks else 0.0)


# Where something ends


def _reach(inside: Callable[[float], bool], start: float, end: float) -> float:
    """How far from `start`, which is inside, one gets towards `end` without leaving."""
    return end if inside(end) else _turn(inside, start, end)


def _turn(holds: Callable[[float], bool], start: float, end: float) -> float:
    """Where what holds near `start` and not near `end` stops to hold; neither end itself is asked."""
    for _ in range(_HALVINGS):
        middle = (start + end) / 2
        if middle in (start, end):
            break
        start, end = (middle, end) if holds(middle) else (start, middle)
    return start


def _last(inside: Callable[[int], bool], start: int, end: int) -> int:
    """The last integer on the way from `start`, which is inside, to `end` that is inside too."""
    if inside(end):
        return end
    while abs(end - start) > 1:
        middle = (start + end) // 2
        start, end = (middle, end) if inside(middle) else (start, middle)
    return start


def _peak(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that rises, then falls, is highest, to 1e-6."""
    while high - low > 1e-6:
        third = (high - low) / 3
        if function(low + third) < function(high - third):
            low += third
        else:
            high -= third
    return (low + high) / 2
