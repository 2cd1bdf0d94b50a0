"""A snapshot made ready to execute: everything a request needs, looked up once and held as bytes.

Routes are immutable once built and swapped by one assignment; endpoints, counters and unchanged routes are carried
over from the ones before, so that a swap costs what changed.
"""

from __future__ import annotations

import random
from hashlib import blake2b

from router.dataplane.runtime import Address, Runtime
from router.dataplane.versions import Version
from router.http1.head import RequestHead
from router.patterns.assignment import bucket
from router.patterns.matching import Table
from router.patterns.plan import Copies, DeploymentPlan, Match, Snapshot
from router.shares import SHARE_PARTS

HASTY = 2.0
"""Seconds; a deployment with a shorter timeout has its deadlines met exactly, others within the wheel's patrol."""

NO_LIMIT = 1 << 62
"""Bytes nobody sends."""

FOUND_LIMIT = 4096
"""Paths whose deployment is remembered; beyond, all are looked up anew."""

FOUND_LENGTH = 512
"""Bytes of host and target together, beyond which they are looked up each time: what is remembered is bounded."""


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

    def addresses(self) -> set[Address]:
        """Every address that a version has in one of them."""
        return {address for route in self.by_name.values() for address in route.addresses}

    def cohorts(self) -> dict[str, int]:
        """The cohort that each deployment is in."""
        return {name: route.plan.plan.cohort for name, route in self.by_name.items()}

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
    return (host if separator and not port.strip(b"0123456789") else value).lower()
