"""Whole rollouts through the real engine on a simulated clock: how often it is wrong, and how soon it sees.

Seeds are fixed. The bounds are those a right program exceeds with a probability of 1e-4 (`most_of`), so that another
seed would do as well. The slow half repeats the tables of docs/statistics.md with fewer runs.
"""

from math import inf, sqrt
from statistics import mean, median

import pytest

from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.gates.latency import LatencyGate
from router.rollout.phase import Phase
from router.rollout.verdict import Verdict
from tests.simulation.clients import ClientTraffic
from tests.simulation.rollouts import Summary, ladder, most_of, run, summary
from tests.simulation.scenarios import (
    BUSY,
    DAY,
    NORMAL,
    STEPS,
    failing,
    from_then_on,
    morning,
    moving_ramp,
    repeat,
    slower,
    trickle,
    troubled,
    whole_ramp,
)
from tests.simulation.traffic import Rate, Service, Traffic, steadily

ALPHA = 0.01
"""1 - confidence."""

EQUAL = Service(steadily(NORMAL))
FLAWLESS = Service(steadily(0.0))


# No difference


def test_candidates_without_a_difference_are_promoted() -> None:
    runs = 16
    seen = list(repeat(whole_ramp(NORMAL), runs))
    assert sum(ending.rolled_back for ending in seen) <= most_of(runs, ALPHA)
    assert sum(ending.promoted for ending in seen) >= runs - most_of(runs, ALPHA)
    assert min(ending.seconds for ending in seen) >= sum(hold for _, hold in STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [morning, troubled])
def test_a_base_rate_that_drifts_while_the_share_rises_is_no_evidence(rate: Rate) -> None:
    """What deceives every method that pools counts: stable's requests are mostly of the good time."""
    runs = 20
    seen = list(repeat(moving_ramp(rate, rate), runs))
    assert sum(ending.rolled_back for ending in seen) <= most_of(runs, ALPHA)
    assert sum(ending.promoted for ending in seen) >= runs - most_of(runs, ALPHA)


def test_answers_that_take_longer_than_failures_are_no_evidence() -> None:
    slow = Service(steadily(NORMAL), answers_after=30.0, fails_after=0.0)
    runs = 6
    seen = [run(ladder((0.05, inf), gates=[ErrorRateGate()]), Traffic(seed, BUSY, EQUAL, slow), 900.0)
            for seed in range(runs)]  # fmt: skip
    assert sum(ending.rolled_back for ending in seen) <= most_of(runs, ALPHA)


@pytest.mark.slow
def test_clients_that_stick_may_come_in_other_parts_than_intended() -> None:
    """Half as many again as the share says: judged by the split as it came out."""
    course = ladder((0.05, inf), gates=[ErrorRateGate()])
    runs = 6
    seen = [
        run(course, Traffic(seed, BUSY, EQUAL, EQUAL, skew=1.5), 1200.0, drawn=False) for seed in range(runs)
    ]
    assert sum(ending.rolled_back for ending in seen) <= most_of(runs, ALPHA)
    assert not any(
        ruling.hold for ending in seen for ruling in ending.rulings if ruling.gate == "sample_ratio"
    )


@pytest.mark.slow
def test_a_client_that_fails_again_and_again_counts_once() -> None:
    """Five failures each, all on the side the client sticks to; counted one by one they are taken for evidence."""
    insistent = Service(steadily(NORMAL), tries=5)
    course = ladder((0.05, inf), gates=[ErrorRateGate()])

    def rolled_back(once: bool) -> int:
        endings = [
            run(course, Traffic(seed, BUSY, insistent, insistent), 900.0, drawn=False, once_per_client=once)
            for seed in range(10)
        ]
        return sum(ending.rolled_back for ending in endings)

    assert rolled_back(once=True) <= most_of(10, ALPHA)
    assert rolled_back(once=False) > most_of(10, ALPHA)


@pytest.mark.parametrize(("clients", "heavy"), [(100_000, 0.5), (300, 0.0)])
def test_clients_that_count_once_are_weighed_as_clients(clients: int, heavy: float) -> None:
    """One of them makes half of all requests, or each fails sooner or later and is moved to the candidate then."""
    course = ladder((0.01, 120.0), (0.05, 600.0), (0.25, 60.0), (0.5, 60.0), gates=[ErrorRateGate()])
    runs = 5
    seen = [
        run(
            course,
            ClientTraffic(seed, BUSY, NORMAL, clients, heavy),
            1500.0,
            drawn=False,
            once_per_client=True,
        )
        for seed in range(runs)
    ]
    assert sum(ending.rolled_back for ending in seen) <= most_of(runs, ALPHA)


def test_clients_with_latencies_of_their_own_end_no_rollout() -> None:
    """Where few clients are on the candidate's side, slow ones are often too many there."""
    course = ladder((0.05, 600.0), (0.25, 60.0), (0.5, 60.0), gates=[LatencyGate(max_ratio=1.2)])
    seen = [
        run(course, ClientTraffic(seed, BUSY, 0.0, 100, spread=1.0), 600.0, drawn=False, once_per_client=True)
        for seed in range(8)
    ]
    assert not any(ending.rolled_back for ending in seen)
    assert any(ending.ruling("latency").hold for ending in seen)


def test_a_wrong_split_ends_no_rollout_of_an_equal_candidate_and_saves_no_bad_one() -> None:
    course = ladder((0.05, inf), gates=[ErrorRateGate()])
    failing_often = Service(steadily(0.3))
    equal = run(course, Traffic(3, 300.0, failing_often, failing_often, skew=1.6), 400.0, 2.0)
    assert equal.state.phase is Phase.PROGRESSING
    assert equal.ruling("error_rate").numbers["evidence_against"] > 100.0
    assert equal.ruling("error_rate").hold
    bad = run(course, Traffic(3, BUSY, EQUAL, Service(steadily(0.5)), skew=1.6), 400.0)
    assert bad.rolled_back


def test_draws_that_come_in_other_parts_than_intended_hold_the_rollout() -> None:
    seen = run(
        ladder((0.05, 60.0), gates=[ErrorRateGate()]),
        Traffic(2, BUSY, FLAWLESS, FLAWLESS, skew=1.5),
        300.0,
    )
    assert seen.state.phase is Phase.PROGRESSING
    assert seen.ruling("sample_ratio").hold
    assert "5% intended" in seen.ruling("sample_ratio").why


# Too little to say


def test_one_request_a_minute_stays_inconclusive_and_says_so() -> None:
    seen = trickle(1.0, ErrorRateGate(), lasting=DAY / 2)(1)
    ruling = seen.ruling("error_rate")
    assert (seen.state.phase, seen.state.step) == (Phase.PROGRESSING, 0)
    assert ruling.verdict is Verdict.INCONCLUSIVE
    assert f"{seen.requests} of the 100 requests that are asked for" in ruling.why
    assert ruling.wait is not None
    assert ruling.wait > 3600.0


@pytest.mark.parametrize(("rate", "skew"), [(BUSY, 0.0), (0.0, 1.0)])
def test_a_candidate_without_traffic_stays_inconclusive_and_says_so(rate: float, skew: float) -> None:
    course = ladder((0.05, 60.0), (0.5, 60.0), gates=[ErrorRateGate()])
    seen = run(course, Traffic(1, rate, EQUAL, EQUAL, skew), 1200.0, min_requests=100)
    assert (seen.state.phase, seen.state.step, seen.requests) == (Phase.PROGRESSING, 0, 0)
    assert seen.ruling("error_rate").verdict is Verdict.INCONCLUSIVE
    assert "0 of the 100 requests that are asked for" in seen.ruling("error_rate").why


def test_a_candidate_that_never_answers_is_not_promoted() -> None:
    hanging = Service(steadily(0.0), answers_after=inf)
    seen = run(ladder(*STEPS, gates=[ErrorRateGate()]), Traffic(1, BUSY, EQUAL, hanging), 600.0)
    assert (seen.state.phase, seen.state.step) == (Phase.PROGRESSING, 0)
    assert "not answered yet" in seen.ruling("error_rate").why


def test_without_any_failure_a_ratio_leads_to_25_percent_and_a_bound_to_the_end() -> None:
    def climb(gate: ErrorRateGate) -> tuple[Phase, int]:
        seen = run(ladder(*STEPS, gates=[gate]), Traffic(1, BUSY, FLAWLESS, FLAWLESS), 900.0)
        return seen.state.phase, seen.state.share

    assert climb(ErrorRateGate()) == (Phase.PROGRESSING, 2500)
    assert climb(ErrorRateGate(max=0.02)) == (Phase.PROMOTED, 10_000)


# A difference


def test_a_candidate_that_mostly_fails_is_gone_after_a_few_requests() -> None:
    seen = list(repeat(whole_ramp(0.5), 20))
    assert all(ending.rolled_back for ending in seen)
    assert median(ending.seconds for ending in seen) < 20.0
    assert mean(ending.failures for ending in seen) < 6.0


def test_at_five_percent_it_is_gone_within_ten_seconds_or_with_every_failure_within_five() -> None:
    half = list(repeat(failing(steadily(0.5)), 40))
    assert median(ending.seconds for ending in half) <= 5.0
    assert sum(ending.seconds > 10.0 for ending in half) <= 4
    assert all(ending.seconds <= 5.0 for ending in repeat(failing(steadily(1.0)), 40))


def test_five_times_the_errors_never_get_through() -> None:
    seen = list(repeat(whole_ramp(0.05), 10))
    assert all(ending.rolled_back for ending in seen)
    assert mean(ending.failures for ending in seen) < 20.0
    assert all(ending.why.startswith("error_rate: error ratio") for ending in seen)


def test_twice_the_latency_is_seen_right_after_it_was_learned_what_is_normal() -> None:
    seen = list(repeat(slower(2.0, 1.2), 6))
    assert all(ending.rolled_back and 60.0 <= ending.seconds < 180.0 for ending in seen)


def test_a_seed_is_a_rollout() -> None:
    assert whole_ramp(0.05)(4) == whole_ramp(0.05)(4)


# The tables of docs/statistics.md, with fewer runs


def like(part: float, expected: float, runs: int, of: int = 400) -> bool:
    """Whether a part of `runs` agrees with that of `of` others: within four standard errors and one run."""
    pooled = (part * runs + expected * of) / (runs + of)
    return abs(part - expected) <= 4 * sqrt(pooled * (1 - pooled) * (1 / runs + 1 / of)) + 1 / runs


def about(seconds: float, expected: float, within: float = 1.5) -> bool:
    return expected / within <= seconds <= expected * within


RAMPS = {
    0.005: (1.0, 0.0, 360),
    0.01: (0.995, 0.005, 554),
    0.015: (0.365, 0.635, 1440),
    0.02: (0.0025, 0.9975, 1263),
    0.05: (0.0, 1.0, 287),
    0.5: (0.0, 1.0, 11),
}
"""By the candidate's error rate: promoted, rolled back, median seconds; 400 runs of another program."""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("candidate", RAMPS)
def test_a_whole_ramp_ends_as_the_reference_says(candidate: float) -> None:
    promoted, rolled_back, seconds = RAMPS[candidate]
    runs = 60
    seen = summary(repeat(whole_ramp(candidate), runs))
    assert like(seen.promoted, promoted, runs)
    assert like(seen.rolled_back, rolled_back, runs)
    assert about(seen.median, seconds)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("candidate", "seconds"), [(0.02, 607), (0.05, 61), (0.5, 3)])
@pytest.mark.parametrize("drawn", [True, False])
def test_regressions_are_found_as_fast_as_the_reference_says(
    candidate: float, seconds: float, drawn: bool
) -> None:
    seen = summary(repeat(failing(steadily(candidate), drawn=drawn), 60))
    assert seen.rolled_back == 1.0
    assert about(seen.median, seconds, within=1.7)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("candidate", "seconds"), [(0.05, 170), (0.5, 10)])
def test_a_change_after_twelve_good_hours_is_found_nearly_as_fast(candidate: float, seconds: float) -> None:
    began = DAY / 2
    endings = list(repeat(failing(from_then_on(began, candidate), look=5.0), 12))
    late = [ending for ending in endings if ending.seconds > began]
    assert len(endings) - len(late) <= most_of(12, ALPHA)
    assert median(ending.seconds - began for ending in late) < 2 * seconds


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("factor", "ratio", "seconds"), [(1.2, 1.0, 174), (1.4, 1.2, 239), (2.0, 1.2, 71), (2.0, 1.0, 67)]
)
def test_slower_candidates_are_found_as_fast_as_the_reference_says(
    factor: float, ratio: float, seconds: float
) -> None:
    seen = summary(repeat(slower(factor, ratio), 40))
    assert seen.rolled_back == 1.0
    assert about(seen.median, seconds, within=1.7)


def falsely(seen: Summary) -> bool:
    """Whether more were rolled back than the confidence allows."""
    return seen.rolled_back * seen.runs > most_of(seen.runs, ALPHA)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("share", "drawn"), [(0.05, True), (0.5, True), (0.05, False)])
def test_a_day_of_looking_rolls_back_no_more_than_the_confidence_allows(share: float, drawn: bool) -> None:
    seen = summary(repeat(failing(steadily(NORMAL), share, DAY, look=10.0, drawn=drawn), 12))
    assert not falsely(seen)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("bound", [1.0, 1.2])
def test_latency_at_its_bound_rolls_back_no_more_than_the_confidence_allows(bound: float) -> None:
    assert not falsely(summary(repeat(slower(bound, bound, DAY / 8, look=5.0), 20)))
