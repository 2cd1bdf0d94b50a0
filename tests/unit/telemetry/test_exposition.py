"""The metrics page: valid in both formats, with the promised names and labels, and nothing else."""

import logging

import pytest
from prometheus_client import REGISTRY, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from router.channel import Histogram, PairTally, RecorderTally, SinkTally, Tally
from router.telemetry.counters import VersionCounter, bucket_of, edge
from router.telemetry.exposition import EDGES, ControlFacts, Exposition, FleetFacts, cumulative
from router.telemetry.ledger import Ledger

PHASES = ("steady", "progressing", "rolled_back")

PROMISED = {
    "router_requests_total": {"deployment", "version", "role", "code"},
    "router_request_duration_seconds_bucket": {"deployment", "version", "role", "le"},
    "router_request_duration_seconds_sum": {"deployment", "version", "role"},
    "router_request_duration_seconds_count": {"deployment", "version", "role"},
    "router_first_byte_seconds_bucket": {"deployment", "version", "role", "le"},
    "router_first_byte_seconds_sum": {"deployment", "version", "role"},
    "router_first_byte_seconds_count": {"deployment", "version", "role"},
    "router_requests_in_flight": {"deployment", "version"},
    "router_share": {"deployment", "version"},
    "router_rollout_phase": {"deployment", "phase"},
    "router_gate_verdict": {"deployment", "gate", "verdict"},
    "router_gate_holds": {"deployment", "gate"},
    "router_rollout_step": {"deployment"},
    "router_rollout_steps": {"deployment"},
    "router_mirror_ratio": {"deployment"},
    "router_access_lines_dropped_total": {"reason"},
    "router_spans_dropped_total": {"reason"},
    "router_rollbacks_total": {"deployment", "cause"},
    "router_rollback_apply_seconds_bucket": {"le"},
    "router_rollback_apply_seconds_sum": set(),
    "router_rollback_apply_seconds_count": set(),
    "router_fallbacks_total": {"deployment", "version"},
    "router_retries_total": {"deployment", "version"},
    "router_captures_dropped_total": {"deployment", "reason"},
    "router_copies_dropped_total": {"deployment", "version", "reason"},
    "router_router_errors_total": {"error"},
    "router_pairs_total": {"deployment", "primary", "shadow", "verdict"},
    "router_sink_records_total": {"sink", "outcome"},
    "router_sink_waiting": {"sink"},
    "router_sink_healthy": {"sink"},
    "router_agreement_ratio": {"deployment", "primary", "shadow"},
    "router_endpoint_healthy": {"deployment", "version", "endpoint"},
    "router_config_reload_successful": set(),
    "router_config_reload_timestamp_seconds": set(),
    "router_notices_total": {"outcome"},
    "router_worker_restarts_total": set(),
    "router_workers": {"state"},
    "router_generation": set(),
    "router_journal_persisted": set(),
    "router_build_info": {"version", "python", "compiled"},
}


class Control:
    def facts(self) -> ControlFacts:
        return ControlFacts(
            generation=12,
            persisted=False,
            config_loaded_at=1_700_000_000.5,
            gates={("d", "error_rate"): "inconclusive", ("d", "latency"): "pass"},
            holding=frozenset({("d", "error_rate")}),
            steps={"d": (1, 3)},
            mirrors={"d": 0.5},
            shares={("d", "v1"): 0.75, ("d", "v2"): 0.25},
            phases={"d": "progressing"},
            rollbacks={("d", "operator"): 2},
            rollback_apply=Histogram({bucket_of(0.004): 2}, 0.008),
            endpoints=(("d", "v1", "http://one"), ("d", "v2", "http://two"), ("d", "v2", "http://three")),
            notices={"sent": 2},
        )


class Fleet:
    def facts(self) -> FleetFacts:
        return FleetFacts({"serving": 2, "starting": 1}, restarts=3, down=frozenset({"http://two"}))


def full_ledger() -> Ledger:
    counter = VersionCounter("d", "v1", "live")
    for seconds in (0.0005, 0.02, 0.02, 100.0):
        counter.start()
        counter.finish(200, seconds, seconds / 2)
    counter.start()
    series = counter.tally()
    assert series is not None
    events = (
        (("router_fallbacks_total", "d", "v2"), 1),
        (("router_retries_total", "d", "v2"), 2),
        (("router_captures_dropped_total", "d", "queue_full"), 3),
        (("router_copies_dropped_total", "d", "v2", "busy"), 4),
        (("router_router_errors_total", "no_route"), 5),
        (("router_access_lines_dropped_total", "queue_full"), 6),
        (("router_spans_dropped_total", "failed"), 7),
    )
    ledger = Ledger()
    ledger.tally("w", Tally((series,), events, ("http://three",)))
    pair = PairTally("d", "v1", "v2", {"match": 3, "mismatch": 1}, {})
    dropped = ((("d", "queue_full"), 4), (("d", "late"), 1))
    sink = SinkTally("webhook", 7, {"refused": 2}, 5, "it answers 503")
    ledger.recorder_tally("r", RecorderTally((pair,), dropped, sinks=(sink,)))
    return ledger


def exposition(ledger: Ledger | None = None) -> Exposition:
    return Exposition(ledger or full_ledger(), Control(), Fleet(), PHASES)


def lines(page: Exposition) -> list[Sample]:
    text = page.render()[0].decode()
    return [sample for family in parse_text(text) for sample in family.samples]


def _openmetrics(body: bytes) -> list[Metric]:
    return list(parse_openmetrics(body.decode()))  # type: ignore[no-untyped-call]


def samples(page: Exposition) -> dict[tuple[str, frozenset[str]], float]:
    """Value by name and label values."""
    return {(sample.name, frozenset(sample.labels.values())): sample.value for sample in lines(page)}


def test_every_promised_metric_is_there_with_its_labels_and_no_other() -> None:
    assert {sample.name: set(sample.labels) for sample in lines(exposition())} == PROMISED


def test_openmetrics_is_valid_and_has_the_same_samples() -> None:
    body, content_type = exposition().render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    names = {sample.name for family in _openmetrics(body) for sample in family.samples}
    assert names == set(PROMISED)


def test_text_is_the_default() -> None:
    assert exposition().render()[1].startswith("text/plain")


def test_an_empty_router_has_a_valid_page_too() -> None:
    page = Exposition(Ledger(), Control(), Fleet(), PHASES)
    assert _openmetrics(page.render("application/openmetrics-text; version=1.0.0")[0])
    assert ("router_generation", frozenset()) in samples(page)


def test_values() -> None:
    found = samples(exposition())
    expected = {
        ("router_requests_total", "d", "v1", "live", "200"): 4.0,
        ("router_requests_in_flight", "d", "v1"): 1.0,
        ("router_request_duration_seconds_count", "d", "v1", "live"): 4.0,
        ("router_request_duration_seconds_sum", "d", "v1", "live"): 100.0405,
        ("router_share", "d", "v2"): 0.25,
        ("router_rollout_phase", "d", "progressing"): 1.0,
        ("router_rollout_phase", "d", "rolled_back"): 0.0,
        ("router_rollbacks_total", "d", "operator"): 2.0,
        ("router_gate_verdict", "d", "error_rate", "inconclusive"): 1.0,
        ("router_gate_holds", "d", "error_rate"): 1.0,
        ("router_gate_holds", "d", "latency"): 0.0,
        ("router_rollout_step", "d"): 1.0,
        ("router_rollout_steps", "d"): 3.0,
        ("router_mirror_ratio", "d"): 0.5,
        ("router_rollback_apply_seconds_count",): 2.0,
        ("router_captures_dropped_total", "d", "queue_full"): 7.0,
        ("router_captures_dropped_total", "d", "late"): 1.0,
        ("router_agreement_ratio", "d", "v1", "v2"): 0.75,
        ("router_endpoint_healthy", "d", "v1", "http://one"): 1.0,
        ("router_endpoint_healthy", "d", "v2", "http://two"): 0.0,
        ("router_endpoint_healthy", "d", "v2", "http://three"): 0.0,
        ("router_workers", "serving"): 2.0,
        ("router_worker_restarts_total",): 3.0,
        ("router_notices_total", "sent"): 2.0,
        ("router_journal_persisted",): 0.0,
        ("router_config_reload_successful",): 1.0,
        ("router_config_reload_timestamp_seconds",): 1_700_000_000.5,
    }
    assert {key: found[key[0], frozenset(key[1:])] for key in expected} == pytest.approx(expected)


def test_histograms_are_cumulative_at_exact_edges() -> None:
    buckets = cumulative(Histogram({0: 1, EDGES[0]: 1, EDGES[0] + 1: 5, EDGES[-1] + 1: 2}, 1.0))
    assert [count for _, count in buckets[:2]] == [2.0, 7.0]
    assert buckets[-1] == ("+Inf", 9.0)
    assert buckets[-2][1] == 7.0
    for index, (le, _) in zip(EDGES, buckets, strict=False):
        assert float(le) == pytest.approx(edge(index), rel=1e-8)
        assert bucket_of(float(le)) == index, "nothing lies between the printed edge and the true one"


def test_edges_go_from_a_millisecond_to_a_minute() -> None:
    assert len(EDGES) == 16
    assert edge(EDGES[0]) == pytest.approx(0.001, rel=0.03)
    assert edge(EDGES[-1]) == pytest.approx(60, rel=0.03)


def test_an_undeclared_event_is_a_bug_said_once(caplog: pytest.LogCaptureFixture) -> None:
    ledger = full_ledger()
    ledger.tally("w", Tally((), ((("router_made_up_total", "x"), 1), (("router_retries_total", "d"), 9))))
    page = exposition(ledger)
    with caplog.at_level(logging.ERROR):
        first = samples(page)
        samples(page)
    assert not any(name == "router_made_up_total" for name, _ in first)
    assert first["router_retries_total", frozenset({"d", "v2"})] == 2.0
    assert len(caplog.records) == 2


def test_nothing_is_registered_globally() -> None:
    exposition()
    assert not [name for name in REGISTRY._names_to_collectors if name.startswith("router_")]
