"""A snapshot made ready to execute: everything a request needs, looked up once and held as bytes.

Routes are immutable once built and swapped by one assignment; endpoints, counters and unchanged routes are carried
over from the ones before, so that a swap costs what changed.
"""

from __future__ import annotations

import random
from hashlib import blake2b
from typing import TYPE_CHECKING

from router.dataplane.budget import RetryBudget
from router.dataplane.lanes import Lane
from router.dataplane.pool import Endpoint
from router.http1.head import RequestHead
from router.patterns.assignment import bucket
from router.patterns.limits import UpstreamTls
from router.patterns.matching import Table
from router.patterns.plan import Copies, DeploymentPlan, Match, Segment, Snapshot, VersionSpec
from router.spec import SHARE_PARTS
from router.telemetry.counters import VersionCounter

if TYPE_CHECKING:
    from router.dataplane.engine import Engine

HASTY = 2.0
"""Seconds; a deployment with a shorter timeout has its deadlines met exactly, others within the wheel's patrol."""

NO_LIMIT = 1 << 62
"""Bytes nobody sends."""

FOUND_LIMIT = 4096
"""Paths whose deployment is remembered; beyond, all are looked up anew."""

SEGMENT_LENGTH = 64
"""Characters of a header's value that tell segments apart."""

COHORTS = 4
"""Cohorts of one version that are counted by themselves, the newest ones; older ones count as one."""

FOUND_LENGTH = 512
"""Bytes of host and target together, beyond which they are looked up each time: what is remembered is bounded."""


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

    def retire(self, routes: Routes) -> None:
        """Closes the idle connections of endpoints that these routes no longer name."""
        wanted = {address for route in routes.by_name.values() for address in route.addresses}
        for key in [key for key in self.endpoints if key not in wanted]:
            endpoint = self.endpoints[key]
            endpoint.discard_idle()
            if not endpoint.in_flight:
                del self.endpoints[key]

    def fold(self, routes: Routes) -> list[VersionCounter]:
        """Adds what was counted for old cohorts to cohort 0: a version whose share changes a thousand times is not
        counted a thousand times. Returns empty counters for the rows that are no more, to be told once."""
        gone: list[VersionCounter] = []
        for (deployment, version, role), family in self._families.items():
            cohorts = sorted({counter.cohort for counter in family}, reverse=True)
            if len(cohorts) <= COHORTS:
                continue
            route = routes.by_name.get(deployment)
            kept = {0, *cohorts[:COHORTS], route.plan.plan.cohort if route is not None else 0}
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


class Segments:
    """The counters of one version by the value of a header."""

    __slots__ = ("_by_value", "_key", "_runtime", "_segment")

    def __init__(self, segment: Segment, key: tuple[str, str, str, int], runtime: Runtime) -> None:
        self._segment = segment
        self._key = key
        self._runtime = runtime
        self._by_value: dict[bytes, VersionCounter] = {}

    def counter(self, head: RequestHead) -> VersionCounter:
        """Where a request with this head is counted."""
        value = head.index.get(self._segment.header.encode(), b"")
        counter = self._by_value.get(value)
        if counter is None:
            name = value.decode("latin-1")[:SEGMENT_LENGTH] if value else "none"
            if value and len(self._by_value) >= self._segment.values:
                name = "other"
            counter = self._runtime.counter(*self._key, f"{self._segment.name}={name}")
            if len(self._by_value) < FOUND_LIMIT:
                self._by_value[value] = counter
        return counter


class Version:
    """One version of a deployment: where it is, what it may carry, where it is counted.

    Of `cohort` 0 it is for the requests that are no evidence.
    """

    __slots__ = ("cohort", "copy_endpoints", "copy_targets", "copying", "counter", "endpoints", "label",
                 "lane", "lines", "name", "segments", "shadow_counter")  # fmt: skip

    def __init__(self, deployment: DeploymentPlan, spec: VersionSpec, cohort: int, runtime: Runtime) -> None:
        self.name = spec.name
        self.cohort = cohort
        self.label = spec.name.encode()
        self.copy_targets: tuple[Version, ...] = ()
        self.lane = _lane(deployment.name, spec, runtime)
        self.endpoints = [runtime.endpoint("live", url, spec.tls) for url in spec.urls]
        self.copy_endpoints = [runtime.endpoint("shadow", url, spec.tls) for url in spec.urls]
        for endpoint in self.endpoints:
            # The limit is the version's; copies have a budget of their own.
            endpoint.connection_limit = -(-spec.connections // len(spec.urls))
            endpoint.queue_limit = spec.queue
        for endpoint in (*self.endpoints, *self.copy_endpoints):
            endpoint.connect_timeout = deployment.timeouts.connect
            endpoint.answer_head = deployment.answer_head
        live, shadow = (deployment.name, spec.name, "live"), (deployment.name, spec.name, "shadow")
        self.counter = runtime.counter(*live, cohort)
        self.shadow_counter = runtime.counter(*shadow, cohort)
        self.copying = runtime.copies(deployment.name, spec.name)
        segment = deployment.segment if cohort else None
        self.segments = Segments(segment, (*live, cohort), runtime) if segment is not None else None
        self.lines = b"x-router-version: %b\r\nx-request-id: " % self.label


def _lane(deployment: str, spec: VersionSpec, runtime: Runtime) -> Lane | None:
    if not spec.in_flight:
        return None
    lane = runtime.lane(deployment, spec.name)
    lane.limit, lane.depth, lane.patience = spec.in_flight, spec.queue, spec.queue_timeout
    return lane


def choose(endpoints: list[Endpoint], now: float, tried: Endpoint | None = None) -> Endpoint | None:
    """The endpoint with fewer requests in flight of two random ones (Mitzenmacher, 2001); None if all are down.

    One that was `tried` for this request already is drawn again only where there is no other.
    """
    if len(endpoints) == 1:
        endpoint = endpoints[0]
        return None if endpoint.down else endpoint
    up = [endpoint for endpoint in endpoints if not endpoint.down]
    ready = [endpoint for endpoint in up if endpoint.ejection.until <= now] or up
    if tried is not None and len(ready) > 1:
        ready = [endpoint for endpoint in ready if endpoint is not tried]
    if len(ready) < 2:
        return ready[0] if ready else None
    one, other = random.sample(ready, 2)
    return one if one.in_flight <= other.in_flight else other


class Route:
    """One deployment, ready to execute."""

    __slots__ = ("_candidate", "_default", "_force_header", "_forced", "_key_kind", "_key_name", "_salt", "_share",
                 "addresses", "budget", "copies", "copied_to", "count_causes", "fallback", "hasty", "max_body", "name",
                 "plan", "retries", "timeouts")  # fmt: skip

    def __init__(self, plan: DeploymentPlan, runtime: Runtime) -> None:
        self.name = plan.name
        self.plan = plan
        self.timeouts = timeouts = plan.timeouts
        self.hasty = min(timeouts.first_byte, timeouts.idle, timeouts.total) < HASTY
        self.retries = plan.retries
        self.max_body = plan.max_body or NO_LIMIT
        self.budget = runtime.budget(plan.name)
        self.budget.parts = plan.retry_budget
        rules = plan.plan
        drawn = self._versions(rules.cohort, runtime)
        # What was not drawn is no evidence: requests that name their version, answers in place of another's.
        others = self._versions(0, runtime) if rules.cohort else drawn
        self._default = drawn[rules.default]
        self._candidate = drawn[rules.candidate] if rules.candidate else self._default
        self._share = rules.share if rules.candidate else 0
        self._key_kind = rules.key.kind if rules.key else ""
        self._key_name = rules.key.name.encode() if rules.key else b""
        self._salt = rules.salt
        self._force_header = rules.force.header.encode() if rules.force else b""
        self._forced = (
            {value.encode("latin-1", "replace"): others[name] for value, name in rules.force.versions.items()}
            if rules.force
            else {}
        )
        self.fallback = others[rules.fallback] if rules.fallback else None
        self.count_causes = rules.count_causes
        self.copies = rules.copies
        self.copied_to = _copied_to(rules.copies)
        self.addresses: list[Address] = [
            (role, url, spec.tls)
            for spec in plan.versions
            for url in spec.urls
            for role in ("live", "shadow")
        ]

    def _versions(self, cohort: int, runtime: Runtime) -> dict[str, Version]:
        versions = {spec.name: Version(self.plan, spec, cohort, runtime) for spec in self.plan.versions}
        copies = self.plan.plan.copies
        for name, targets in copies.targets.items() if copies is not None else ():
            versions[name].copy_targets = tuple(versions[target] for target in targets)
        return versions

    def assign(self, head: RequestHead, client_ip: bytes) -> Version:
        """The version that answers this request."""
        if self._forced:
            forced = self._forced.get(head.index.get(self._force_header, b""))
            if forced is not None:
                return forced
        share = self._share
        if share == 0:
            return self._default
        if share == SHARE_PARTS:
            return self._candidate
        key = self._key(head, client_ip) if self._key_kind else None
        if key is None:  # not sticky, or a request without its key: drawn anew each time
            drawn = random.random() * SHARE_PARTS < share
        else:
            drawn = bucket(self._salt, key) < share
        return self._candidate if drawn else self._default

    def why(self, head: RequestHead, client_ip: bytes) -> str:
        """What `assign` goes by for this request: `forced`, `default` (all go the same way), `sticky` or `drawn`."""
        if self._forced and head.index.get(self._force_header, b"") in self._forced:
            return "forced"
        if self._share in (0, SHARE_PARTS):
            return "default"
        return "sticky" if self._key_kind and self._key(head, client_ip) is not None else "drawn"

    def _key(self, head: RequestHead, client_ip: bytes) -> bytes | None:
        kind = self._key_kind
        if kind == "header":
            return head.index.get(self._key_name)
        if kind == "cookie":
            return _cookie(head.index.get(b"cookie", b""), self._key_name)
        return client_ip

    def cause(self, head: RequestHead, client_ip: bytes, code: int) -> int:
        """A hash of who met a failure and how: where one client fails again and again, it is the same."""
        who = self._key(head, client_ip) if self._key_kind else None
        return int.from_bytes(blake2b(b"%d\0%b" % (code, who or client_ip), digest_size=8).digest(), "big")

    def allows(self, version: Version, head: RequestHead) -> bool:
        """Whether these rules could send this request to this version: by itself, or because it names it."""
        name = version.name
        rules = self.plan.plan
        if name in (rules.default, rules.fallback):
            return True
        if name == rules.candidate and self._share:
            return True
        forced = self._forced.get(head.index.get(self._force_header, b"")) if self._forced else None
        return forced is not None and forced.name == name

    def copies_for(self, version: Version) -> tuple[Version, ...]:
        """Who gets a copy of a request that this version answers; drawn anew at each call."""
        copies, targets = self.copies, version.copy_targets
        if copies is None or not targets:
            return ()
        if copies.sample < SHARE_PARTS and random.random() * SHARE_PARTS >= copies.sample:
            return ()
        if copies.noise and random.random() * SHARE_PARTS < copies.noise:
            return (*targets, version)
        return targets


def _cookie(header: bytes, name: bytes) -> bytes | None:
    for part in header.split(b";"):
        key, separator, value = part.strip(b" \t").partition(b"=")
        if separator and key == name:
            return value
    return None


def _copied_to(copies: Copies | None) -> frozenset[str]:
    """The versions that may get copies."""
    if copies is None:
        return frozenset()
    names = {name for targets in copies.targets.values() for name in targets}
    return frozenset(names | copies.targets.keys() if copies.noise else names)


class Routes:
    """All deployments of one snapshot.

    The table is kept from before when no match changed. Where no match looks at headers, what a path leads to is
    remembered.
    """

    def __init__(self, snapshot: Snapshot, runtime: Runtime, before: Routes | None = None) -> None:
        self.generation = snapshot.generation
        self.clients = snapshot.clients
        self._matches: tuple[tuple[str, Match], ...] = tuple(
            (plan.name, plan.match) for plan in snapshot.deployments
        )
        known = before.by_name if before is not None else {}
        self.by_name: dict[str, Route] = {}
        for plan in snapshot.deployments:
            route = known.get(plan.name)
            self.by_name[plan.name] = (
                route if route is not None and route.plan == plan else Route(plan, runtime)
            )
        self._by_fields = any(match.headers for _, match in self._matches)
        self._found: dict[tuple[bytes, bytes, bytes], Route] = {}
        if before is not None and before._matches == self._matches:
            self._table: Table[str] = before._table
        else:
            self._table = Table((match, name) for name, match in self._matches)

    def find(self, head: RequestHead) -> Route | None:
        """The deployment this request belongs to."""
        key = (head.host, head.target, head.method)
        route = self._found.get(key)
        if route is not None:
            return route
        name = self._table.lookup(_host(head.host), head.target.partition(b"?")[0], head.method, head.index)
        if name is None:
            return None
        route = self.by_name[name]
        if not self._by_fields and len(head.host) + len(head.target) <= FOUND_LENGTH:
            if len(self._found) >= FOUND_LIMIT:
                self._found.clear()
            self._found[key] = route
        return route


def _host(value: bytes) -> bytes:
    """Host without port, in lower case; an IPv6 address keeps its brackets."""
    if value[-1:] == b"]":
        return value.lower()
    host, separator, port = value.rpartition(b":")
    return (host if separator and port.isdigit() else value).lower()
