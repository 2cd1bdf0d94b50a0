"""Simulated requests, told the way a worker tells them: cumulative tallies, second by second, from a seed.

Arrivals are Poisson, each request is routed by an independent draw and fails by itself. It counts as routed at once,
and as answered when its answer is there. No clock and no sleep.
"""

from bisect import bisect
from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, log, log1p
from random import Random
from statistics import NormalDist
from typing import NamedTuple

from router.channel import Histogram, SeriesTally
from router.telemetry.counters import BUCKETS, bucket_of, edge

Rate = Callable[[float], float]
"""A probability at a time (seconds of the rollout)."""

DEPLOYMENT = "loan"
STABLE = "v1"
CANDIDATE = "v2"


def steadily(p: float) -> Rate:
    """The same at all times."""
    return lambda _: p


class Latency:
    """A lognormal distribution over the buckets a worker counts in."""

    def __init__(self, median: float, sigma: float, factor: float = 1.0) -> None:
        """`median` and `factor` times it in seconds; `sigma` of the logarithm."""
        normal = NormalDist(log(median * factor), sigma)
        self._below = [normal.cdf(log(edge(index))) for index in range(BUCKETS - 1)]

    def draw(self, rng: Random) -> int:
        """The bucket of one request."""
        return bisect(self._below, rng.random())


class AlwaysFast:
    """Every request in one bucket: for what asks for no latency."""

    bucket = bucket_of(0.01)

    def draw(self, rng: Random) -> int:
        return self.bucket


@dataclass(frozen=True)
class Service:
    """How one version behaves: what fails, and how many seconds later answers and failures are there.

    `tries`: whose request fails comes back at once, to the same side, until so many have failed.
    """

    errors: Rate
    latency: Latency | AlwaysFast = field(default_factory=AlwaysFast)
    answers_after: float = 0.0
    fails_after: float = 0.0
    tries: int = 1


@dataclass
class _Series:
    """What one version was asked and has answered under one cohort so far."""

    asked: int = 0
    answered: int = 0
    failed: int = 0
    durations: dict[int, int] = field(default_factory=dict)
    causes: tuple[int, ...] = ()
    """Of failures since the last tally: one for each client."""

    def tally(self, version: str, cohort: int) -> SeriesTally:
        codes = {200: self.answered, 500: self.failed}
        under_way = self.asked - self.answered - self.failed
        durations = Histogram(dict(self.durations), 0.0)
        nothing = Histogram({}, 0.0)
        causes, self.causes = self.causes, ()
        return SeriesTally(
            DEPLOYMENT, version, "live", codes, durations, nothing, under_way, cohort, causes=causes
        )


class _Due(NamedTuple):
    """So many requests of one series that end at some time."""

    at: float
    series: tuple[str, int]
    requests: int
    failed: bool


class Traffic:
    """The requests of one deployment, `rate` a second, to a stable version and a candidate.

    `skew`: how many times its share the candidate really gets (a hash that is not even).
    """

    def __init__(
        self, seed: int, rate: float, stable: Service, candidate: Service, skew: float = 1.0
    ) -> None:
        self._rng = Random(seed)
        self._rate = rate
        self._skew = skew
        self._services = {STABLE: stable, CANDIDATE: candidate}
        self._series: dict[tuple[str, int], _Series] = {}
        self._under_way: list[_Due] = []
        self.served = {STABLE: 0, CANDIDATE: 0}
        self.failed = {STABLE: 0, CANDIDATE: 0}

    def during(self, now: float, seconds: float, share: float, cohort: int) -> list[SeriesTally]:
        """What a worker tells after so many seconds more; only the series that changed, each in full."""
        arrived = poisson(self._rng, self._rate * seconds)
        to_candidate = binomial(self._rng, arrived, min(share * self._skew, 1.0))
        split = {STABLE: arrived - to_candidate, CANDIDATE: to_candidate}
        changed = {self._route(version, n, now, cohort): None for version, n in split.items() if n}
        changed |= dict.fromkeys(self._ended(now + seconds))
        return [self._series[key].tally(*key) for key in changed]

    def _route(self, version: str, count: int, now: float, cohort: int) -> tuple[str, int]:
        service, key = self._services[version], (version, cohort)
        clients = binomial(self._rng, count, service.errors(now))
        failing = clients * service.tries
        asked = count - clients + failing
        self._series.setdefault(key, _Series()).asked += asked
        self._under_way.append(_Due(now + service.answers_after, key, count - clients, failed=False))
        self._under_way.append(_Due(now + service.fails_after, key, failing, failed=True))
        self.served[version] += asked
        self.failed[version] += failing
        return key

    def _ended(self, now: float) -> list[tuple[str, int]]:
        """Ends what is due; tells in which series."""
        due = [each for each in self._under_way if each.at < now and each.requests]
        self._under_way = [each for each in self._under_way if each.at >= now]
        for each in due:
            self._end(each)
        return [each.series for each in due]

    def _end(self, due: _Due) -> None:
        series, latency = self._series[due.series], self._services[due.series[0]].latency
        if due.failed:
            series.failed += due.requests
            clients = due.requests // self._services[due.series[0]].tries
            series.causes += tuple(self._rng.getrandbits(63) for _ in range(clients))
        else:
            series.answered += due.requests
        if isinstance(latency, AlwaysFast):
            series.durations[AlwaysFast.bucket] = series.answered + series.failed
            return
        for _ in range(due.requests):
            bucket = latency.draw(self._rng)
            series.durations[bucket] = series.durations.get(bucket, 0) + 1


def poisson(rng: Random, mean: float) -> int:
    """How many arrive; `mean` below about 700."""
    bar, product, count = exp(-mean), rng.random(), 0
    while product > bar:
        product *= rng.random()
        count += 1
    return count


def binomial(rng: Random, n: int, p: float) -> int:
    """How many of `n` it happens to; rare ones are skipped to, others are drawn each."""
    if p <= 0.0 or n == 0:
        return 0
    if p >= 1.0:
        return n
    if p > 0.3:
        draw = rng.random
        return sum([draw() < p for _ in range(n)])
    scale, count = 1.0 / log1p(-p), 0
    position = int(log(1.0 - rng.random()) * scale)
    while position < n:
        count += 1
        position += 1 + int(log(1.0 - rng.random()) * scale)
    return count
