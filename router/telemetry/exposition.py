"""Everything the router measures, in the Prometheus text formats.

Floor 1. Built anew at each scrape from the ledger (what workers and recorder counted) and from the facts of
the controller. Names and labels are part of what the program promises; nothing undeclared is exposed.
"""

import logging
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version as distribution_version
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder

import router
from router.channel import Histogram
from router.telemetry.counters import bucket_of, edge
from router.telemetry.events import CAPTURES_DROPPED, EVENTS
from router.telemetry.ledger import Ledger, SeriesKey, SinkTotals

_log = logging.getLogger(__name__)

_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)

EDGES = tuple(bucket_of(bound) for bound in _BOUNDS)
"""The log buckets whose upper edges are the `le` of exposed histograms: no count is interpolated."""

VERDICTS = ("pass", "fail", "inconclusive", "error")
"""What a gate may say."""


@dataclass(frozen=True, slots=True)
class ControlFacts:
    """What the controller knows and no worker counts, at one moment.

    `shares` by (deployment, version), 0 to 1. `phases` by deployment. `gates` are verdicts by (deployment, kind of
    gate), `holding` those that let no step up happen now. `steps` are the present one, from 0, and how many there
    are; `mirrors` the part of the requests that is copied, 0 to 1. `rollbacks` by (deployment, cause).
    `rollback_apply` in seconds. `endpoints` are (deployment, version, url). `config_loaded_at` is the Unix
    time of the last reload that succeeded, `config_ok` whether the last one tried did. `persisted` is False
    while something that is in force is not on disk. `notices` are messages to `notify` targets by outcome.
    """

    generation: int = 0
    persisted: bool = True
    config_ok: bool = True
    config_loaded_at: float = 0.0
    shares: Mapping[tuple[str, str], float] = field(default_factory=dict)
    phases: Mapping[str, str] = field(default_factory=dict)
    gates: Mapping[tuple[str, str], str] = field(default_factory=dict)
    holding: frozenset[tuple[str, str]] = frozenset()
    steps: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    mirrors: Mapping[str, float] = field(default_factory=dict)
    rollbacks: Mapping[tuple[str, str], int] = field(default_factory=dict)
    rollback_apply: Histogram = field(default_factory=lambda: Histogram({}, 0.0))
    endpoints: tuple[tuple[str, str, str], ...] = ()
    notices: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FleetFacts:
    """What the supervisor knows: workers by state, restarts so far, processes that die again and again by role,
    endpoints whose active check fails."""

    workers: Mapping[str, int] = field(default_factory=dict)
    restarts: int = 0
    crash_loops: Mapping[str, int] = field(default_factory=dict)
    down: frozenset[str] = frozenset()


class ControlSource(Protocol):
    """The controller, as far as metrics go."""

    def facts(self) -> ControlFacts: ...


class FleetSource(Protocol):
    """The supervisor, as far as metrics go."""

    def facts(self) -> FleetFacts: ...


class Exposition:
    """The metrics page. `phases` are the names of all rollout phases."""

    def __init__(
        self, ledger: Ledger, control: ControlSource, fleet: FleetSource, phases: tuple[str, ...]
    ) -> None:
        self._ledger = ledger
        self._control = control
        self._fleet = fleet
        self._phases = phases
        self._unknown: set[str] = set()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The page and its content type: OpenMetrics where the `Accept` header asks for it, else text."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def describe(self) -> Iterable[Metric]:
        """Nothing is collected when the registry asks only for names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All metric families, for the registry."""
        control, fleet = self._control.facts(), self._fleet.facts()
        yield from self._requests()
        yield from self._event_counters()
        yield from self._comparison()
        yield from _sinks(self._ledger.sinks())
        yield from _rollouts(control, self._phases)
        yield from _state(control, fleet)
        yield _endpoints(control, fleet.down | self._ledger.ejected())

    def _requests(self) -> Iterator[Metric]:
        series = self._ledger.series()
        requests = CounterMetricFamily(
            "router_requests", "Requests answered.", labels=("deployment", "version", "role", "code")
        )
        in_flight = GaugeMetricFamily(
            "router_requests_in_flight", "Requests being answered now.", labels=("deployment", "version")
        )
        open_now: dict[tuple[str, str], int] = {}
        for (deployment, version, role), totals in series.items():
            for code, count in sorted(totals.codes.items()):
                requests.add_metric((deployment, version, role, str(code)), count)
            open_now[deployment, version] = open_now.get((deployment, version), 0) + totals.in_flight
        for labels, count in open_now.items():
            in_flight.add_metric(labels, count)
        yield requests
        yield in_flight
        durations = {key: totals.duration for key, totals in series.items()}
        first_bytes = {key: totals.first_byte for key, totals in series.items()}
        yield _durations("router_request_duration_seconds", "To the last byte.", durations)
        yield _durations("router_first_byte_seconds", "To the first byte.", first_bytes)

    def _event_counters(self) -> Iterator[Metric]:
        declared = {event.name: event for event in EVENTS}
        counts: dict[str, dict[tuple[str, ...], int]] = {name: {} for name in declared}
        for (name, *labels), count in self._ledger.events().items():
            if name in declared and len(labels) == len(declared[name].labels):
                counts[name][tuple(labels)] = count
            else:
                self._complain(name)
        captures = counts[CAPTURES_DROPPED.name]
        for dropped, count in self._ledger.dropped().items():
            captures[dropped] = captures.get(dropped, 0) + count
        for event in EVENTS:
            family = CounterMetricFamily(event.name.removesuffix("_total"), event.says, labels=event.labels)
            for event_labels, count in counts[event.name].items():
                family.add_metric(event_labels, count)
            yield family

    def _complain(self, name: str) -> None:
        """An event nobody declared is a mistake in this program: said once, never exposed."""
        if name not in self._unknown:
            self._unknown.add(name)
            _log.error("a worker counts %r with labels that are not declared: not exposed (a bug)", name)

    def _comparison(self) -> Iterator[Metric]:
        labels = ("deployment", "primary", "shadow")
        pairs = CounterMetricFamily("router_pairs", "Pairs compared.", labels=(*labels, "verdict"))
        agreement = GaugeMetricFamily(
            "router_agreement_ratio", "Matches among the pairs that could be compared.", labels=labels
        )
        for key, totals in self._ledger.pairs().items():
            for verdict, count in sorted(totals.verdicts.items()):
                pairs.add_metric((*key, verdict), count)
            if totals.agreement is not None:
                agreement.add_metric(key, totals.agreement)
        yield pairs
        yield agreement


def cumulative(histogram: Histogram) -> list[tuple[str, float]]:
    """Counts at or below each of EDGES and in all, as (le, count).

    `le` is printed with twelve digits, finer than the tolerance with which observations find their bucket.
    """
    result, seen = [], 0
    pending = sorted(histogram.counts.items(), reverse=True)
    for index in EDGES:
        while pending and pending[-1][0] <= index:
            seen += pending.pop()[1]
        result.append((f"{edge(index):.12g}", float(seen)))
    return [*result, ("+Inf", float(sum(histogram.counts.values())))]


def _durations(name: str, text: str, histograms: Mapping[SeriesKey, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=("deployment", "version", "role"))
    for key, histogram in histograms.items():
        family.add_metric(key, cumulative(histogram), histogram.sum)
    return family


def _sinks(sinks: Mapping[str, SinkTotals]) -> Iterator[Metric]:
    records = CounterMetricFamily(
        "router_sink_records",
        "Pairs given to a sink, by outcome: delivered, or why they were dropped.",
        labels=("sink", "outcome"),
    )
    waiting = GaugeMetricFamily("router_sink_waiting", "Pairs that wait for a sink.", labels=("sink",))
    healthy = GaugeMetricFamily(
        "router_sink_healthy", "0 while the last attempt of a sink failed.", labels=("sink",)
    )
    for name, totals in sorted(sinks.items()):
        records.add_metric((name, "delivered"), totals.delivered)
        for reason, count in sorted(totals.dropped.items()):
            records.add_metric((name, reason), count)
        waiting.add_metric((name,), totals.waiting)
        healthy.add_metric((name,), float(not totals.error))
    yield from (records, waiting, healthy)


def _rollouts(facts: ControlFacts, phases: tuple[str, ...]) -> Iterator[Metric]:
    share = GaugeMetricFamily(
        "router_share", "Part of the requests a version answers.", labels=("deployment", "version")
    )
    for labels, value in facts.shares.items():
        share.add_metric(labels, value)
    phase = GaugeMetricFamily(
        "router_rollout_phase", "1 for the phase a rollout is in.", labels=("deployment", "phase")
    )
    for deployment, present in facts.phases.items():
        for name in phases:
            phase.add_metric((deployment, name), float(name == present))
    gates = GaugeMetricFamily(
        "router_gate_verdict",
        "1 for what a gate says now.",
        labels=("deployment", "gate", "verdict"),
    )
    for labels, said in facts.gates.items():
        for verdict in VERDICTS:
            gates.add_metric((*labels, verdict), float(verdict == said))
    holds = GaugeMetricFamily(
        "router_gate_holds", "1 while a gate lets no step up happen.", labels=("deployment", "gate")
    )
    for labels in facts.gates:
        holds.add_metric(labels, float(labels in facts.holding))
    yield from (gates, holds)
    yield from _places(facts)
    rollbacks = CounterMetricFamily("router_rollbacks", "Rollbacks.", labels=("deployment", "cause"))
    for labels, count in facts.rollbacks.items():
        rollbacks.add_metric(labels, count)
    apply = HistogramMetricFamily(
        "router_rollback_apply_seconds", "From the order to roll back until every worker confirmed."
    )
    apply.add_metric((), cumulative(facts.rollback_apply), facts.rollback_apply.sum)
    yield from (share, phase, rollbacks, apply)


def _places(facts: ControlFacts) -> Iterator[Metric]:
    """Where on its ramp each rollout is."""
    step = GaugeMetricFamily(
        "router_rollout_step",
        "The present step, counted from 0; past the last: done.",
        labels=("deployment",),
    )
    steps = GaugeMetricFamily("router_rollout_steps", "Steps of the ramp.", labels=("deployment",))
    for deployment, (present, all_of_them) in facts.steps.items():
        step.add_metric((deployment,), present)
        steps.add_metric((deployment,), all_of_them)
    mirror = GaugeMetricFamily(
        "router_mirror_ratio", "Part of the requests that is copied.", labels=("deployment",)
    )
    for deployment, part in facts.mirrors.items():
        mirror.add_metric((deployment,), part)
    yield from (step, steps, mirror)


def _state(control: ControlFacts, fleet: FleetFacts) -> Iterator[Metric]:
    yield _gauge("router_config_reload_successful", "1 when the last reload did.", float(control.config_ok))
    yield _gauge(
        "router_config_reload_timestamp_seconds",
        "Unix time of the last reload that succeeded.",
        control.config_loaded_at,
    )
    yield _gauge("router_generation", "Number of the newest snapshot.", control.generation)
    yield _gauge("router_journal_persisted", "0 while something is not on disk.", float(control.persisted))
    notices = CounterMetricFamily("router_notices", "Messages to notify targets.", labels=("outcome",))
    for outcome, count in control.notices.items():
        notices.add_metric((outcome,), count)
    yield notices
    yield CounterMetricFamily("router_worker_restarts", "Workers replaced.", value=fleet.restarts)
    loops = GaugeMetricFamily(
        "router_crash_loops", "Processes that die soon after each start.", labels=("process",)
    )
    for role, count in fleet.crash_loops.items():
        loops.add_metric((role,), count)
    yield loops
    workers = GaugeMetricFamily("router_workers", "Worker processes, by state.", labels=("state",))
    for state, count in fleet.workers.items():
        workers.add_metric((state,), count)
    yield workers
    build = GaugeMetricFamily("router_build_info", "Always 1.", labels=("version", "python", "compiled"))
    compiled = "yes" if router.COMPILED else "no"
    build.add_metric((distribution_version("router"), platform.python_version(), compiled), 1.0)
    yield build


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _endpoints(facts: ControlFacts, avoided: frozenset[str]) -> Metric:
    """Healthy: the active check does not fail and no worker passes the endpoint over."""
    family = GaugeMetricFamily(
        "router_endpoint_healthy",
        "0 when the endpoint is passed over by a health check or by a worker.",
        labels=("deployment", "version", "endpoint"),
    )
    for deployment, version, url in facts.endpoints:
        family.add_metric((deployment, version, url), float(url not in avoided))
    return family
