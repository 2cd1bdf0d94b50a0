"""Tests that may be looked at as often as one likes: one kernel, and its faces. Floor 2, pure, `math` only.

A bettor who holds an **e-value** E bets against a hypothesis H0: E starts at 1, and whatever the data, however often
one looks and whenever one stops, P(E ever reaches 1/alpha) <= alpha as long as H0 is true (Ville's inequality for
nonnegative supermartingales). So "act when E >= 1/alpha" errs with probability alpha in all, not per look.

**The kernel.** An event happens or not; under H0 its probability is at most theta. For one odds multiplier rho > 1,

    ln E_rho = (events) ln rho - (trials) ln(1 + (rho - 1) theta)                                  (1)

is a fair bet at the bound, since theta rho + (1 - theta) is what the second term divides by, and a losing one below
it. Nobody knows the true odds, so eight bets stand side by side: E = mean over GRID. Multipliers below 1 (1/rho) bet
on the other side. With (1) linear in the counts, evidence is **additive**: every face below turns counts into
`Terms`, eight numbers that are added over workers, blocks, exposures and time, and `log_e` of a sum is the verdict's
number. Everything is in natural logarithms; nothing overflows.

    face                  event                                      theta                        H0 of `above`
    event split           the failing request is the candidate's    w r / (w r + 1 - w)          p_c <= r p_s
    block split           the same, in one block of time            n_c r / (n_c r + n_s)        p_c <= r p_s
    absolute bound        a request fails                            the bound                    p <= bound
    tail exceedance       the slow request is the candidate's        as the splits                q_c <= r q_s
    bounded mean          y in [0, 1] in place of an event           the bound                    E y <= bound
    sample ratio          the request is the candidate's             the intended share           share <= intended

`side` is `above` for evidence that the candidate is over the bound (the failing side), `below` for evidence that it
is under it (the passing side, H0: p_c >= r p_s and so on).

Never let outcomes choose theta, blocks, thresholds or restarts; stamp arm and weight when a request is routed; count
causes, not failures, where one client may fail many times. docs/statistics.md has the sources, the measurements and
the ways to get it wrong. Grid and weights are priors, and the smallest multiplier is the knob for the smallest effect
that matters: a true ratio below about 1.12 never gathers evidence.
"""

from collections.abc import Iterable, Sequence
from math import exp, inf, log, log1p
from typing import Literal

import msgspec

from router.telemetry.grid import GRID

Side = Literal["above", "below"]
"""Evidence that the truth is above the bound (fails), or below it (passes)."""

Terms = tuple[float, ...]
"""ln E for each multiplier of a grid; terms of disjoint data are added."""

NOTHING: Terms = (0.0,) * len(GRID)
"""The terms of no data: E = 1."""

RESTART_EVERY = 300.0
"""Seconds after which `Restarts` begins a segment; it also begins one with each change of the share."""

_ABOVE = tuple((log(rho), rho - 1.0) for rho in GRID)
_BELOW = tuple((-log(rho), 1.0 / rho - 1.0) for rho in GRID)


# The kernel


def odds_terms(events: float, trials: float, theta: float, side: Side = "above") -> Terms:
    """Equation (1): `events` of `trials`, each at most (`below`: at least) `theta` probable under H0."""
    if not (trials or events):
        return NOTHING
    pairs = _ABOVE if side == "above" else _BELOW
    return tuple([events * log_rho - trials * log1p(less * theta) for log_rho, less in pairs])


def plus(one: Terms, other: Terms) -> Terms:
    """The terms of both data together."""
    return tuple([a + b for a, b in zip(one, other, strict=True)])


def total(terms: Iterable[Terms]) -> Terms:
    """The terms of all the data together; of none, no evidence."""
    summed = NOTHING
    for each in terms:
        summed = plus(summed, each)
    return summed


def log_e(terms: Terms) -> float:
    """ln E of summed terms: the average over the grid."""
    return mean_log_e(terms)


# Two arms: which of them does the failing request belong to?


def split_terms(weight: float, kc: int, ks: int, ratio: float, side: Side = "above") -> Terms:
    """Event split, for independent draws: `kc` failures of the candidate, `ks` of stable, routed at one `weight`.

    Looks only at failures. Given that a request failed, it is the candidate's with probability
    w p_c / (w p_c + (1 - w) p_s) <= theta, whatever the rates do over time: Lindon & Malek's conditional test
    (NeurIPS 2022, arXiv 2011.03567) with a discrete prior. `weight` is the candidate's share as it was drawn, in
    [0, 1]; `ratio` the bound r on p_c / p_s. Without a draw (weight 0 or 1) there is no evidence. Copies that go to
    both sides: weight 1/2, the pairs where exactly one fails.
    """
    if not 0.0 < weight < 1.0:
        return NOTHING
    return odds_terms(kc, kc + ks, _theta(weight, 1.0 - weight, ratio), side)


def block_terms(nc: int, kc: int, ns: int, ks: int, ratio: float, side: Side = "above") -> Terms:
    """Block split, for sticky or hashed routing: one block's `nc` requests of the candidate with `kc` failures, `ns`
    and `ks` of stable.

    With a = rho / (1 + (rho - 1) theta) and b = a / rho, the block's E has the expectation
    prod(1 + p_i (a - 1)) prod(1 + p_i (b - 1)) <= exp(0) as soon as the mean p_c <= r * mean p_s inside the block:
    it needs no random assignment, and rates may change between blocks. Blocks close on time or arrivals, never on
    outcomes; one without both arms says nothing. Conservative where failures are frequent.
    """
    if not (nc and ns):
        return NOTHING
    return odds_terms(kc, kc + ks, _theta(nc, ns, ratio), side)


def event_split_log_e(epochs: Iterable[tuple[float, int, int]], ratio: float, side: Side = "above") -> float:
    """ln E of the event split over epochs `(weight, kc, ks)`."""
    return log_e(total(split_terms(weight, kc, ks, ratio, side) for weight, kc, ks in epochs))


def block_log_e(blocks: Iterable[tuple[int, int, int, int]], ratio: float, side: Side = "above") -> float:
    """ln E of the block split over blocks `(nc, kc, ns, ks)`."""
    return log_e(total(block_terms(nc, kc, ns, ks, ratio, side) for nc, kc, ns, ks in blocks))


def _theta(candidate: float, stable: float, ratio: float) -> float:
    """The largest probability that a failing request is the candidate's while its rate is within `ratio`."""
    expected = candidate * ratio
    return expected / (expected + stable)


# One arm against a bound


def rate_log_e(n: int, k: int, bound: float, side: Side = "above") -> float:
    """ln E that a rate is above (`below`: below) `bound`, after `k` events in `n` trials.

    Valid when every conditional mean obeys the bound. The passing side is the same as counting n - k against
    1 - bound.
    """
    return log_e(odds_terms(k, n, bound, side))


def score_terms(y: float, grid: Terms = GRID) -> Terms:
    """What one score y in [0, 1] adds to the sums of its side: ln(1 + (rho - 1) y). No bound is in it."""
    return tuple([log1p((rho - 1.0) * y) for rho in grid])


def mean_terms(n: int, sums: Sequence[float], bound: float, grid: Terms = GRID) -> Terms:
    """The bet that the mean of `n` scores in [0, 1] is above `bound`, from their summed `score_terms`.

    Linear in y, hence a fair bet at the bound (a betting martingale, Waudby-Smith & Ramdas 2024, with
    lambda = (rho - 1) / (1 + (rho - 1) bound)); for y in {0, 1} it is the bet on a rate. A gate `mean >= m` fails on
    the sums of the losses 1 - y against 1 - m, and passes on the sums of the scores y against m.
    """
    fair = score_terms(bound, grid)
    return tuple([bets - n * each for bets, each in zip(sums, fair, strict=True)])


def score_log_e(n: int, sums: Sequence[float], bound: float, grid: Terms = GRID) -> float:
    """ln E that the mean of `n` scores in [0, 1] is above `bound`."""
    return log_e(mean_terms(n, sums, bound, grid))


# Evidence that does not grow old


class Restarts(msgspec.Struct, frozen=True):
    """The restart mixture: a bet begins anew with every segment of time, so that a long good past hides no change.

        E = sum_j E^(j) / ((j + 1)(j + 2)) + 1 / (J + 1)

    over the J segments begun so far, where E^(j) takes the data from segment j on (a mixture over the times of
    change; the weights telescope to 1, so it is still one e-process). `weighted[i]` is the logarithm of that sum for
    one multiplier alone: a look costs eight exponentials however many segments there were.

    Begin a segment with each change of the share and each RESTART_EVERY seconds, never because of what was seen.
    """

    segments: int = 1
    weighted: Terms = (-log(2.0),) * len(GRID)

    def add(self, terms: Terms) -> "Restarts":
        """With more data of the segment that runs."""
        return Restarts(self.segments, plus(self.weighted, terms))

    def begin(self) -> "Restarts":
        """With the next segment begun."""
        fresh = -log((self.segments + 1.0) * (self.segments + 2.0))
        return Restarts(self.segments + 1, tuple([_log_add(old, fresh) for old in self.weighted]))

    @property
    def log_e(self) -> float:
        """ln E, now."""
        return _log_add(mean_log_e(self.weighted), -log(self.segments + 1.0))


def restart_log_e(segments: Sequence[tuple[float, int, int]], ratio: float) -> float:
    """ln E of the restart mixture over segments `(weight, kc, ks)` of the event split, the oldest first."""
    mixture = Restarts()
    for index, (weight, kc, ks) in enumerate(segments):
        mixture = (mixture.begin() if index else mixture).add(split_terms(weight, kc, ks, ratio))
    return mixture.log_e


# Several e-values at once


def mean_log_e(log_es: Sequence[float]) -> float:
    """ln of the mean of E's given by their logarithms: an e-value again, however they depend on each other."""
    return _log_sum(log_es) - log(len(log_es))


def weighted_log_e(log_es: Sequence[float], weights: Sequence[float]) -> float:
    """ln of the weighted mean of E's. Weights are fixed beforehand; they are scaled to sum to 1."""
    whole = log(sum(weights))
    return _log_sum([e + log(w) for e, w in zip(log_es, weights, strict=True) if w > 0.0]) - whole


def e_bh(log_es: Sequence[float], alpha: float) -> list[int]:
    """Which of several to name, so that at most the part `alpha` of the named is named wrongly (in expectation).

    The largest k with E_(k) >= K / (k alpha), under any dependence: Wang & Ramdas, "False discovery rate control with
    e-values" (arXiv 2009.02824). Indices in ascending order.
    """
    count = len(log_es)
    ranked = sorted(range(count), key=lambda index: -log_es[index])
    named = 0
    for k, index in enumerate(ranked, start=1):
        if log_es[index] >= log(count / (k * alpha)):
            named = k
    return sorted(ranked[:named])


def e_bonferroni(log_es: Sequence[float], alpha: float) -> list[int]:
    """Which of several to name, so that any wrong name has probability at most `alpha`: E >= K / alpha."""
    bar = log(len(log_es) / alpha) if log_es else inf
    return [index for index, e in enumerate(log_es) if e >= bar]


def _log_sum(logs: Sequence[float]) -> float:
    top = max(logs)
    return top if top == -inf else top + log(sum([exp(each - top) for each in logs]))


def _log_add(one: float, other: float) -> float:
    high, low = (one, other) if one >= other else (other, one)
    return high + log1p(exp(low - high))
