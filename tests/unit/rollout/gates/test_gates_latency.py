from typing import Any

import pytest
from pydantic import ValidationError

from router.rollout.evidence import Evidence
from router.rollout.evidence_counts import Arm, Exposed, Sample
from router.rollout.gates.latency import LatencyGate
from router.rollout.gates.measuring import Known
from router.rollout.inference import split_terms
from router.rollout.verdict import Verdict
from router.telemetry.counters import bucket_of, edge
from tests.support.evidence import CANDIDATE, STABLE, evidence, gates, series

RATIO = gates({"latency": {"max_ratio": 1.2}})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "give max_ratio, max or both"),
        ({"max": "300ms", "quantile": "100%"}, "between 50% and 99.9%"),
        ({"max": "300ms", "quantile": "5%"}, "between 50% and 99.9%"),
        ({"max_ratio": 0.9}, "max_ratio"),
        ({"max": "0s"}, "max"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        LatencyGate.model_validate(settings)


def slow(gate: LatencyGate, took: float, y: float) -> bool:
    """Whether one request of the candidate counts as slow where stable's quantile is y."""
    sample = Sample(candidate=Arm(1, 1, durations={bucket_of(took): 1}))
    (bet,) = gate.bets(sample, Exposed(5000), Known({bucket_of(y): 100})).values()
    return bet.failing[-1] > 0


@pytest.mark.parametrize("y", [0.001, 0.0333, 0.1, 2.0])
def test_a_fifth_above_stables_quantile_is_an_edge_and_exact(y: float) -> None:
    gate = LatencyGate(max_ratio=1.2)
    limit = edge(bucket_of(y)) * 1.2
    assert not slow(gate, limit * 0.9999, y)
    assert not slow(gate, edge(bucket_of(y)) * 1.2 * (1 - 1e-9), y)
    assert slow(gate, limit * 1.0001, y)


def test_as_many_slow_requests_as_stable_has_are_within_the_bound() -> None:
    y = bucket_of(0.1)
    sample = Sample(Arm(100, 100, durations={y + 10: 6}), Arm(100, 100, durations={y + 1: 5}))
    (bet,) = LatencyGate(max_ratio=1.2).bets(sample, Exposed(5000), Known({y: 100})).values()
    assert bet == (split_terms(0.5, 6, 5, 1.0), split_terms(0.5, 6, 5, 2.0, "below"), False)


@pytest.mark.parametrize("bound", [0.1, 0.25, 0.3, 1.0, 5.0])
def test_a_bound_is_taken_at_the_nearest_edge_and_says_where(bound: float) -> None:
    gate = LatencyGate.model_validate({"max": f"{1000 * bound:g}ms"})
    found = evidence(gate)
    found.take("w", series(CANDIDATE, 10, took={bound: 10}))
    found.close(1.0)
    measured = found.judge((gate,), 500)[0].numbers["measured_at"]
    assert measured == pytest.approx(bound, rel=0.0103)


def feed(
    found: Evidence, seconds: int, *, stable: float, candidate: float, cohort: int = 1, begin: int = 0
) -> None:
    """Twenty requests a second and side, each tenth of which takes four times as long."""
    for second in range(1, seconds + 1):
        for version, took in ((STABLE, stable), (CANDIDATE, candidate)):
            durations = {took: 18 * second, 4 * took: 2 * second}
            found.take("w", series(version, 20 * second, took=durations, cohort=cohort))
        found.close(float(begin + second))


def test_nothing_is_said_before_stable_is_learned() -> None:
    found = evidence(*RATIO, share=5000)
    feed(found, 50, stable=0.1, candidate=9.0)
    said = found.judge(RATIO, 10_000)[0]
    assert (said.verdict, said.numbers["evidence_against"]) == (Verdict.INCONCLUSIVE, 1.0)
    assert "stable's latency is still being learned" in said.why


def test_a_slower_candidate_is_found_once_it_is() -> None:
    found = evidence(*RATIO, share=5000)
    feed(found, 90, stable=0.1, candidate=0.5)
    said = found.judge(RATIO, 10_000)[0]
    assert said.verdict is Verdict.FAIL
    assert said.why.startswith(
        "p95 2.02 s (of stable 407 ms, ratio 4.95): evidence over a million of more than 1.2"
    )


def test_a_service_that_is_slow_at_all_is_not_the_candidates_fault() -> None:
    """Both become three times as slow after the minute in which stable was learned."""
    found = evidence(*RATIO, share=5000)
    feed(found, 61, stable=0.1, candidate=0.1)
    for second in range(1, 600):
        for version in (STABLE, CANDIDATE):
            durations = {0.1: 18 * 61, 0.4: 2 * 61, 0.3: 18 * second, 1.2: 2 * second}
            found.take("w", series(version, 20 * (61 + second), took=durations))
        found.close(61.0 + second)
    assert found.judge(RATIO, 10_000)[0].numbers["evidence_against"] < 1.0


def test_the_step_before_serves_until_the_next_has_learned() -> None:
    found = evidence(*RATIO, share=4000)
    feed(found, 70, stable=0.1, candidate=0.1)
    found.expose(2, 5000, 0)
    feed(found, 20, stable=0.1, candidate=0.5, cohort=2, begin=70)
    assert found.judge(RATIO, 10_000)[0].verdict is Verdict.FAIL


def test_it_says_for_how_long_stable_is_still_learned() -> None:
    found = evidence(*RATIO, share=5000, min_requests=10)
    feed(found, 40, stable=0.1, candidate=0.1)
    assert found.judge(RATIO, 10_000)[0].wait == pytest.approx(20.0)
    few = evidence(*RATIO, share=5000, min_requests=0)
    few.take("w", series(STABLE, 10, took={0.1: 10}))
    few.take("w", series(CANDIDATE, 10, took={0.1: 10}))
    few.close(50.0)
    assert few.judge(RATIO, 10_000)[0].wait == pytest.approx(200.0)
    late = evidence(*RATIO, share=5000, min_requests=10)
    late.close(30.0)
    late.expose(2, 6000, 0)
    feed(late, 40, stable=0.1, candidate=0.1, cohort=2, begin=30)
    assert late.judge(RATIO, 10_000)[0].wait == pytest.approx(20.0)


def test_clients_that_stay_on_their_side_hold_a_rollout_and_do_not_end_it() -> None:
    """All that is slow may be a few clients. Copies go to the same clients' requests: there it is a fail."""
    sticky = evidence(*RATIO, share=5000, drawn=False)
    feed(sticky, 90, stable=0.1, candidate=0.5)
    said = sticky.judge(RATIO, 10_000)[0]
    assert (said.verdict, said.hold) == (Verdict.INCONCLUSIVE, True)
    assert "clients stay on their side" in said.why
    both = gates({"latency": {"max_ratio": 1.2, "max": "300ms"}})
    bounded = evidence(*both, share=5000, drawn=False)
    feed(bounded, 90, stable=0.1, candidate=0.5)
    assert bounded.judge(both, 10_000)[0].verdict is Verdict.FAIL


def test_copies_of_clients_that_stay_on_their_side_are_compared_as_any() -> None:
    copied = evidence(*RATIO, share=0, mirror=10_000, drawn=False)
    for second in range(1, 91):
        for version, role, took in ((STABLE, "live", 0.1), (CANDIDATE, "shadow", 0.5)):
            durations = {took: 18 * second, 4 * took: 2 * second}
            copied.take("w", series(version, 20 * second, took=durations, role=role))
        copied.close(float(second))
    assert copied.judge(RATIO, 10_000)[0].verdict is Verdict.FAIL


def test_alone_only_the_bound_judges() -> None:
    both = gates({"latency": {"max_ratio": 1.2, "max": "300ms"}})
    found = evidence(*both, *RATIO, share=10_000)
    feed(found, 60, stable=0.1, candidate=0.5)
    bound, ratio = found.judge((*both, *RATIO), 10_000)
    assert (bound.verdict, ratio.verdict) == (Verdict.FAIL, Verdict.INCONCLUSIVE)
    assert "no stable traffic to compare with" in ratio.why
