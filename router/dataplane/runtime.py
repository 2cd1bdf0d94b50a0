"""What outlives snapshots: connections, counters, places and budgets, found again by what they are for."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TYPE_CHECKING

from router.dataplane.budget import RetryBudget
from router.dataplane.lanes import Lane
from router.dataplane.pool import Endpoint
from router.patterns.limits import UpstreamTls
from router.telemetry.counters import VersionCounter

if TYPE_CHECKING:
    from router.dataplane.engine import Engine

COHORTS = 4
"""Cohorts of one version that are counted by themselves, the newest ones; older ones count as one."""

Address = tuple[str, str, UpstreamTls | None]
"""Role, URL, and how its certificate is checked: one connection is as good as another only where all are the same."""


class Runtime:
    """What outlives snapshots: endpoints by address, the counters by what they count, lanes and budgets by name."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.endpoints: dict[Address, Endpoint] = {}
        self.counters: dict[tuple[str, str, str, int, str], VersionCounter] = {}
        self._copying: dict[tuple[str, str], Copying] = {}
        self._families: dict[tuple[str, str, str], list[VersionCounter]] = {}
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._budgets: dict[str, RetryBudget] = {}
        self._down: frozenset[str] = frozenset()

    def endpoint(self, role: str, url: str, tls: UpstreamTls | None = None) -> Endpoint:
        key = (role, url, tls)
        endpoint = self.endpoints.get(key)
        if endpoint is None:
            endpoint = self.endpoints[key] = Endpoint(url, self._engine, tls)
            endpoint.down = url in self._down
        return endpoint

    def counter(
        self, deployment: str, version: str, role: str, cohort: int = 0, slice: str = ""
    ) -> VersionCounter:
        key = (deployment, version, role, cohort, slice)
        counter = self.counters.get(key)
        if counter is None:
            counter = self.counters[key] = VersionCounter(*key)
            self.family(deployment, version, role).append(counter)
        return counter

    def family(self, deployment: str, version: str, role: str) -> list[VersionCounter]:
        """The counters of all cohorts and slices, present and future: what is in flight is in all of them."""
        return self._families.setdefault((deployment, version, role), [])

    def copies(self, deployment: str, version: str) -> Copying:
        """The copies on their way to a version, of all cohorts."""
        return self._copying.setdefault((deployment, version), Copying())

    def lane(self, deployment: str, version: str) -> Lane:
        """The places of a version whose requests in flight are limited."""
        return self._lanes.setdefault((deployment, version), Lane())

    def budget(self, deployment: str) -> RetryBudget:
        """What the deployment may still retry."""
        if deployment not in self._budgets:
            self._budgets[deployment] = RetryBudget(lambda: self._requests(deployment), self._engine.time)
        return self._budgets[deployment]

    def _requests(self, deployment: str) -> int:
        """All requests of a deployment so far, copies aside."""
        return sum(
            counter.in_flight + counter.fallbacks + sum(counter.codes.values())
            for (name, _, role), family in self._families.items()
            if name == deployment and role == "live"
            for counter in family
        )

    @property
    def copying(self) -> bool:
        """Whether copies are on their way: their pairs are not whole yet."""
        return any(copying.count for copying in self._copying.values())

    def set_down(self, urls: frozenset[str]) -> None:
        """The endpoints whose active health check fails now."""
        self._down = urls
        for (_, url, _), endpoint in self.endpoints.items():
            endpoint.down = url in urls

    def retire(self, wanted: Set[Address]) -> None:
        """Closes the idle connections of all other endpoints."""
        for key in [key for key in self.endpoints if key not in wanted]:
            endpoint = self.endpoints[key]
            endpoint.discard_idle()
            if not endpoint.in_flight:
                del self.endpoints[key]

    def fold(self, present: Mapping[str, int]) -> list[VersionCounter]:
        """Adds what was counted for old cohorts to cohort 0: a version whose share changes a thousand times is not
        counted a thousand times. `present` has the cohort each deployment is in. Returns empty counters for the rows
        that are no more, to be told once."""
        gone: list[VersionCounter] = []
        for (deployment, version, role), family in self._families.items():
            cohorts = sorted({counter.cohort for counter in family}, reverse=True)
            if len(cohorts) <= COHORTS:
                continue
            kept = {0, *cohorts[:COHORTS], present.get(deployment, 0)}
            for counter in [each for each in family if each.cohort not in kept and not each.in_flight]:
                self.counter(deployment, version, role).absorb(counter)
                family.remove(counter)
                del self.counters[deployment, version, role, counter.cohort, counter.slice]
                gone.append(VersionCounter(deployment, version, role, counter.cohort, counter.slice))
        return gone

    def ejected(self, now: float) -> tuple[str, ...]:
        return tuple(
            sorted({url for (_, url, _), endpoint in self.endpoints.items() if endpoint.ejection.until > now})
        )


class Copying:
    """How many copies are on their way."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0
