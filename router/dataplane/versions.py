"""One version of a deployment as a snapshot has it, and the choice among its endpoints."""

from __future__ import annotations

import random

from router.dataplane.lanes import Lane
from router.dataplane.pool import Endpoint
from router.dataplane.runtime import Runtime
from router.http1.head import RequestHead
from router.patterns.plan import DeploymentPlan, Segment, VersionSpec
from router.telemetry.counters import VersionCounter

SEGMENT_LENGTH = 64
"""Characters of a header's value that tell segments apart."""

REMEMBERED = 4096
"""Values whose counter is remembered; beyond, it is looked up by the name of the segment."""


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
            if len(self._by_value) < REMEMBERED:
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
