"""Simulated clients that stay on one side: each has a place between 0 and 1, and the candidate gets those below its
share, as a hash of the key would do."""

from dataclasses import dataclass, field
from random import Random

from router.channel import Histogram, SeriesTally
from router.telemetry.counters import bucket_of
from tests.simulation.traffic import CANDIDATE, DEPLOYMENT, STABLE, poisson


@dataclass
class _Counted:
    """What one version answered under one cohort, and who failed there: `fresh` since the last tally."""

    answered: int = 0
    failed: int = 0
    durations: dict[int, int] = field(default_factory=dict)
    causes: set[int] = field(default_factory=set)
    fresh: list[int] = field(default_factory=list)

    def fail(self, client: int) -> None:
        self.failed += 1
        if client not in self.causes:
            self.causes.add(client)
            self.fresh.append(client)

    def tally(self, version: str, cohort: int) -> SeriesTally:
        codes, nothing = {200: self.answered, 500: self.failed}, Histogram({}, 0.0)
        causes, self.fresh = tuple(self.fresh), []
        took = Histogram(dict(self.durations), 0.0)
        return SeriesTally(DEPLOYMENT, version, "live", codes, took, nothing, 0, cohort, causes=causes)

    def time(self, seconds: float) -> None:
        bucket = bucket_of(seconds)
        self.durations[bucket] = self.durations.get(bucket, 0) + 1


class ClientTraffic:
    """`rate` requests a second of so many clients, which fail with `errors` at either side.

    `heavy`: the part of the requests that the first client makes, who stays with stable longest. `spread`: the
    clients' median latencies are log-normal with this sigma around 50 ms, each request's around its client's with
    0.2; 0: nobody asks for latencies.
    """

    def __init__(
        self, seed: int, rate: float, errors: float, clients: int, heavy: float = 0.0, spread: float = 0.0
    ) -> None:
        self._rng = Random(seed)
        self._rate = rate
        self._errors = errors
        self._heavy = heavy
        self._places = [self._rng.random() for _ in range(clients)]
        if heavy:
            self._places[0] = 1.0
        self._medians = [
            0.05 * self._rng.lognormvariate(0.0, spread) for _ in range(clients if spread else 0)
        ]
        self._counted: dict[tuple[str, int], _Counted] = {}
        self.served = {STABLE: 0, CANDIDATE: 0}
        self.failed = {STABLE: 0, CANDIDATE: 0}

    def during(self, now: float, seconds: float, share: float, cohort: int) -> list[SeriesTally]:
        changed: dict[tuple[str, int], _Counted] = {}
        for _ in range(poisson(self._rng, self._rate * seconds)):
            client = self._client()
            version = CANDIDATE if self._places[client] < share else STABLE
            key = (version, cohort)
            counted = changed[key] = self._counted.setdefault(key, _Counted())
            self.served[version] += 1
            if self._medians:
                counted.time(self._medians[client] * self._rng.lognormvariate(0.0, 0.2))
            if self._rng.random() < self._errors:
                counted.fail(client)
                self.failed[version] += 1
            else:
                counted.answered += 1
        return [counted.tally(*key) for key, counted in changed.items()]

    def _client(self) -> int:
        if self._heavy and self._rng.random() < self._heavy:
            return 0
        return int(self._rng.random() * len(self._places))
