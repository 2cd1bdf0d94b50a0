"""Evidence in the course of time: segments, waits, late changes, and what a tick costs."""

import time
from random import Random

import pytest

from router.rollout.evidence import Evidence
from router.rollout.judgement import Bets
from router.rollout.verdict import Verdict
from tests.support.evidence import CANDIDATE, ERRORS, STABLE, evidence, fed, gates, ruling, series


def bets_of(found: Evidence) -> Bets:
    """The bets of the first gate."""
    return found.state().bets[found.trial.gates[0].model_dump_json()][""]


def test_a_late_change_is_found_as_soon_as_segments_begin_anew() -> None:
    """Two hours as good as stable, then five times as bad."""
    found = evidence(*ERRORS)
    second = failed = 0
    while second < 12 * 3600:
        second += 60
        failed = second // 40 if second <= 7200 else 180 + (second - 7200) // 8
        fed(
            found,
            series(STABLE, 48 * second, 48 * second // 100),
            series(CANDIDATE, 5 * second // 2, failed),
            at=second,
        )
        if ruling(found).verdict is Verdict.FAIL:
            break
    assert 7200 < second < 7200 + 900


def test_a_segment_begins_with_each_exposure_and_every_five_minutes() -> None:
    found = evidence(*ERRORS)
    assert found.state().segments == 1
    fed(found, series(STABLE, 100, 1), series(CANDIDATE, 10), at=299.0)
    assert found.state().segments == 1
    found.close(300.0)
    assert found.state().segments == 2
    found.expose(2, 2500, 0)
    assert found.state().segments == 2, "one has just begun"
    found.close(400.0)
    found.expose(3, 5000, 0)
    found.close(699.0)
    assert found.state().segments == 3
    found.close(700.0)
    assert found.state().segments == bets_of(found).failing["ratio"].segments == 4


def test_the_wait_is_reckoned_from_the_pace_of_this_step() -> None:
    found = evidence(*ERRORS)
    fed(found, series(STABLE, 4_700, 47), series(CANDIDATE, 250, 2), at=100.0)
    found.expose(2, 2500, 0)
    assert bets_of(found).entered == bets_of(found).passing
    assert found.state().entered == 100.0
    fed(found, series(STABLE, 1_000, 10, cohort=2), series(CANDIDATE, 330, 3, cohort=2), at=120.0)
    assert ruling(found).wait == pytest.approx(79, abs=1)


def test_the_same_exposure_told_again_changes_nothing() -> None:
    found = evidence(*ERRORS)
    fed(found, series(STABLE, 100, 1), series(CANDIDATE, 10), at=50.0)
    before = found.state()
    found.expose(1, 500, 0)
    assert found.state() == before


def test_time_that_goes_back_is_not_believed() -> None:
    found = evidence(*ERRORS)
    found.close(10.0)
    found.close(3.0)
    assert found.state().now == 10.0


def test_a_rollout_without_traffic_says_so() -> None:
    found = evidence(*ERRORS)
    found.close(60.0)
    said = ruling(found)
    assert (said.verdict, said.wait) == (Verdict.INCONCLUSIVE, None)
    assert "0 of the 100 requests that are asked for" in said.why


def test_a_new_failure_of_the_candidate_is_worth_a_tick_where_any_moment_will_do() -> None:
    drawn, sticky = evidence(), evidence(drawn=False)
    assert not drawn.take("w", series(CANDIDATE, 9))
    assert not drawn.take("w", series(STABLE, 9, 3))
    assert drawn.take("w", series(CANDIDATE, 10, 1))
    assert not drawn.take("w", series(CANDIDATE, 11, 1))
    assert drawn.take("w", series(CANDIDATE, 11, 1, fallbacks=1))
    assert not sticky.take("w", series(CANDIDATE, 10, 1))
    sticky.expose(2, 10_000, 0)
    assert sticky.take("w", series(CANDIDATE, 10, 1, cohort=2))


@pytest.mark.slow
def test_two_hundred_ramping_rollouts_cost_less_than_a_twentieth_of_a_core() -> None:
    watching = gates({"error_rate": {"max": "2%"}}, {"latency": {"max_ratio": 1.2}})
    rollouts = [evidence(*watching) for _ in range(200)]
    spent = 0.0
    random = Random(1)
    took: dict[float, int] = {}
    for second in range(1, 71):
        for _ in range(60):
            seconds = random.lognormvariate(-3, 0.7)
            took[seconds] = took.get(seconds, 0) + 1
        tallies = [
            series(STABLE, 30 * second, second // 3, took=took),
            series(CANDIDATE, 2 * second, second // 50, took=dict(list(took.items())[::20])),
        ]
        for found in rollouts:
            began = time.process_time()
            for source in ("w0", "w1"):
                for tally in tallies:
                    found.take(source, tally)
            found.close(float(second))
            found.judge(watching, 2500)
            spent += time.process_time() - began if second > 50 else 0.0
    assert spent / 20 < 0.05
