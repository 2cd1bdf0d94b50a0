"""A snapshot made ready to execute: everything a request needs, looked up once and held as bytes.

Routes are immutable once built and swapped by one assignment; endpoints, counters and unchanged routes are carried
over from the ones before, so that a swap costs what changed.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from router.dataplane.pool import Endpoint
from router.http1.head import RequestHead
from router.patterns.assignment import bucket
from router.patterns.matching import Table
from router.patterns.plan import DeploymentPlan, Match, Snapshot, VersionSpec
from router.spec import SHARE_PARTS
from router.telemetry.counters import VersionCounter

if TYPE_CHECKING:
    from router.dataplane.engine import Engine

HASTY = 2.0
"""Seconds; a deployment with a shorter timeout has its deadlines met exactly, others within the wheel's patrol."""

FOUND_LIMIT = 4096
"""Paths whose deployment is remembered; beyond, all are looked up anew."""

FOUND_LENGTH = 512
"""Bytes of host and target together, beyond which they are looked up each time: what is remembered is bounded."""


class Runtime:
    """What outlives snapshots: endpoints by role and URL, counters by deployment, version and role."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.endpoints: dict[tuple[str, str], Endpoint] = {}
        self.counters: dict[tuple[str, str, str], VersionCounter] = {}
        self._down: frozenset[str] = frozenset()

    def endpoint(self, role: str, url: str) -> Endpoint:
        key = (role, url)
        endpoint = self.endpoints.get(key)
        if endpoint is None:
            endpoint = self.endpoints[key] = Endpoint(url, self._engine)
            endpoint.down = url in self._down
        return endpoint

    def counter(self, deployment: str, version: str, role: str) -> VersionCounter:
        key = (deployment, version, role)
        counter = self.counters.get(key)
        if counter is None:
            counter = self.counters[key] = VersionCounter(deployment, version, role)
        return counter

    @property
    def copying(self) -> bool:
        """Whether copies are on their way: their pairs are not whole yet."""
        return any(counter.in_flight for (_, _, role), counter in self.counters.items() if role == "shadow")

    def set_down(self, urls: frozenset[str]) -> None:
        """The endpoints whose active health check fails now."""
        self._down = urls
        for (_, url), endpoint in self.endpoints.items():
            endpoint.down = url in urls

    def retire(self, routes: Routes) -> None:
        """Closes the idle connections of endpoints that these routes no longer name."""
        wanted = {(role, url) for route in routes.by_name.values() for role, url in route.addresses}
        for key in [key for key in self.endpoints if key not in wanted]:
            endpoint = self.endpoints[key]
            endpoint.discard_idle()
            if not endpoint.in_flight:
                del self.endpoints[key]

    def ejected(self, now: float) -> tuple[str, ...]:
        return tuple(
            sorted({url for (_, url), endpoint in self.endpoints.items() if endpoint.ejection.until > now})
        )


class Version:
    """One version of a deployment: where it is, what it may carry, where it is counted."""

    __slots__ = (
        "copy_endpoints",
        "counter",
        "endpoints",
        "in_flight_limit",
        "lines",
        "name",
        "shadow_counter",
    )

    def __init__(self, deployment: DeploymentPlan, spec: VersionSpec, runtime: Runtime) -> None:
        self.name = spec.name
        self.in_flight_limit = spec.in_flight
        self.endpoints = [runtime.endpoint("live", url) for url in spec.urls]
        self.copy_endpoints = [runtime.endpoint("shadow", url) for url in spec.urls]
        for endpoint in self.endpoints:
            # The limit is the version's; copies have a budget of their own.
            endpoint.connection_limit = -(-spec.connections // len(spec.urls))
        for endpoint in (*self.endpoints, *self.copy_endpoints):
            endpoint.connect_timeout = deployment.timeouts.connect
        self.counter = runtime.counter(deployment.name, spec.name, "live")
        self.shadow_counter = runtime.counter(deployment.name, spec.name, "shadow")
        self.lines = b"x-router-version: %b\r\nx-request-id: " % spec.name.encode()


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
                 "addresses", "copies", "copy_targets", "fallback", "hasty", "name",
                 "plan", "retries", "timeouts", "versions")  # fmt: skip

    def __init__(self, plan: DeploymentPlan, runtime: Runtime) -> None:
        self.name = plan.name
        self.plan = plan
        self.versions = {spec.name: Version(plan, spec, runtime) for spec in plan.versions}
        self.timeouts = timeouts = plan.timeouts
        self.hasty = min(timeouts.first_byte, timeouts.idle, timeouts.total) < HASTY
        self.retries = plan.retries
        rules = plan.plan
        self._default = self.versions[rules.default]
        self._candidate = self.versions[rules.candidate] if rules.candidate else self._default
        self._share = rules.share if rules.candidate else 0
        self._key_kind = rules.key.kind if rules.key else ""
        self._key_name = rules.key.name.encode() if rules.key else b""
        self._salt = rules.salt
        self._force_header = rules.force.header.encode() if rules.force else b""
        self._forced = (
            {
                value.encode("latin-1", "replace"): self.versions[name]
                for value, name in rules.force.versions.items()
            }
            if rules.force
            else {}
        )
        self.fallback = self.versions[rules.fallback] if rules.fallback else None
        self.copies = rules.copies
        self.copy_targets = (
            {
                name: tuple(self.versions[target] for target in targets)
                for name, targets in rules.copies.targets.items()
            }
            if rules.copies
            else {}
        )
        self.addresses = [
            (role, url) for spec in plan.versions for url in spec.urls for role in ("live", "shadow")
        ]

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
        kind = self._key_kind
        if kind == "header":
            key = head.index.get(self._key_name)
        elif kind == "client_ip":
            key = client_ip
        elif kind == "cookie":
            key = _cookie(head.index.get(b"cookie", b""), self._key_name)
        else:
            key = None
        if key is None:  # not sticky, or a request without its key: drawn anew each time
            drawn = random.random() * SHARE_PARTS < share
        else:
            drawn = bucket(self._salt, key) < share
        return self._candidate if drawn else self._default

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
        copies = self.copies
        if copies is None or (copies.sample < SHARE_PARTS and random.random() * SHARE_PARTS >= copies.sample):
            return ()
        return self.copy_targets.get(version.name, ())


def _cookie(header: bytes, name: bytes) -> bytes | None:
    for part in header.split(b";"):
        key, separator, value = part.strip(b" \t").partition(b"=")
        if separator and key == name:
            return value
    return None


class Routes:
    """All deployments of one snapshot.

    The table is kept from before when no match changed. Where no match looks at headers, what a path leads to is
    remembered.
    """

    def __init__(self, snapshot: Snapshot, runtime: Runtime, before: Routes | None = None) -> None:
        self.generation = snapshot.generation
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
