from math import exp, inf, isclose, log

import pytest

from router.rollout.evidence_counts import Arm, Exposed, Sample
from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.gates.latency import LatencyGate
from router.rollout.gates.measuring import Bet, Known, Scene
from router.rollout.inference import NOTHING, Restarts, odds_terms
from router.rollout.judgement import Bets, Demand, fails_at, judge, passes_at, silent, with_interval
from router.rollout.verdict import Verdict
from router.shares import SHARE_PARTS

GATE = ErrorRateGate()


def scene(
    done: int = 1000, failed: int = 0, stable: int = 9000, stable_failed: int = 90, share: int = 1000
) -> Scene:
    step = Sample(Arm(done, done, failed, failed), Arm(stable, stable, stable_failed, stable_failed))
    return Scene(step, {}, Exposed(share), Known({}))


def bets(against: float = 1.0, passing: float = 1.0) -> dict[str, Bets]:
    """Sums that come to this evidence."""
    restarts = Restarts(1, (log(against - 0.5),) * len(NOTHING)) if against > 0.5 else Restarts(1)
    return {"": Bets({"ratio": restarts}, {"ratio": (log(passing),) * len(NOTHING)})}


def demand(following: int = SHARE_PARTS, min_requests: int = 100) -> Demand:
    return Demand(fails_at(0.01, 1), following, min_requests, 100.0)


@pytest.mark.parametrize(
    ("share", "asked"),
    [(0, 1), (500, 1), (501, 3), (2500, 3), (2501, 10), (5000, 10), (5001, 20), (10_000, 20)],
)
def test_the_evidence_asked_for_grows_with_the_exposure_it_leads_to(share: int, asked: float) -> None:
    assert passes_at(share) == asked
    assert judge(GATE, bets(passing=asked * 1.01), scene(), 0, demand(share)).verdict is Verdict.PASS
    said = judge(GATE, bets(passing=asked * 0.99), scene(), 0, demand(share))
    assert (said.verdict, said.hold) == (Verdict.INCONCLUSIVE, False)


def test_the_confidence_is_shared_among_the_gates() -> None:
    assert isclose(exp(fails_at(0.01, 3)), 300.0)
    assert isclose(exp(fails_at(0.01, 0)), 100.0)


@pytest.mark.parametrize(
    ("against", "verdict", "hold"),
    [
        (9.9, Verdict.PASS, False),
        (10.1, Verdict.INCONCLUSIVE, True),
        (99.0, Verdict.INCONCLUSIVE, True),
        (101.0, Verdict.FAIL, True),
    ],
)
def test_evidence_against_first_holds_and_then_fails(against: float, verdict: Verdict, hold: bool) -> None:
    said = judge(GATE, bets(against, passing=50.0), scene(), 0, demand())
    assert (said.verdict, said.hold) == (verdict, hold)


def test_a_fail_needs_no_least_number_of_requests() -> None:
    assert judge(GATE, bets(500.0), scene(done=8, failed=8), 0, demand()).verdict is Verdict.FAIL


def test_nothing_passes_before_enough_requests() -> None:
    said = judge(GATE, bets(passing=50.0), scene(done=20), 0, demand())
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "20 of the 100 requests that are asked for" in said.why
    assert said.wait == pytest.approx(400.0)


def test_nothing_passes_while_many_requests_hang() -> None:
    assert judge(GATE, bets(passing=50.0), scene(), 100, demand()).verdict is Verdict.PASS
    hanging = judge(GATE, bets(passing=50.0), scene(), 120, demand())
    assert (hanging.verdict, hanging.wait) == (Verdict.INCONCLUSIVE, None)
    assert "120 requests are not answered yet" in hanging.why


@pytest.mark.parametrize(("following", "verdict"), [(2500, Verdict.PASS), (2501, Verdict.INCONCLUSIVE)])
def test_where_neither_side_ever_failed_it_goes_no_further_than_a_quarter(
    following: int, verdict: Verdict
) -> None:
    said = judge(GATE, {}, scene(stable_failed=0), 0, demand(following))
    assert said.verdict is verdict
    assert verdict is Verdict.PASS or "give error_rate a max" in said.why


def test_the_wait_is_what_the_pace_of_this_step_comes_to() -> None:
    """The strongest bet gained 1 in 100 s; from 1 to ln(8 * 20) is another 407 s."""
    gained = {"": Bets({"ratio": Restarts()}, {"ratio": (0.0,) * 7 + (1.0,)}, {})}
    assert judge(GATE, gained, scene(), 0, demand()).wait == pytest.approx(100 * (log(160) - 1), rel=1e-6)
    lost = {"": Bets({"ratio": Restarts()}, {"ratio": (-1.0,) * 8}, {})}
    assert judge(GATE, lost, scene(), 0, demand()).wait is None
    assert judge(GATE, {}, scene(), 0, demand()).wait is None


def test_the_wait_counts_from_where_the_step_began() -> None:
    late = Bets({"ratio": Restarts()}, {"ratio": (0.0,) * 7 + (1.0,)})
    late.enter_step()
    late.passing = {"ratio": (0.0,) * 7 + (1.5,)}
    said = judge(GATE, {"": late}, scene(), 0, demand())
    assert said.wait == pytest.approx(100 * (log(160) - 1.5) / 0.5)


def test_a_bound_first_seen_late_has_bet_nothing_before() -> None:
    steady, late = Restarts(), Bets()
    for _ in range(6):
        steady = steady.begin()
    late.add({"ratio": Bet(NOTHING, NOTHING)}, 7)
    assert late.failing["ratio"].segments == steady.segments == 7
    assert late.failing["ratio"].log_e == pytest.approx(steady.log_e) == pytest.approx(0.0)
    assert silent(7).weighted == pytest.approx(steady.weighted)


def test_a_gate_with_two_bounds_is_one_e_process() -> None:
    both = Bets()
    both.add({"a": Bet(odds_terms(9, 9, 0.1), NOTHING), "b": Bet(NOTHING, NOTHING)}, 1)
    alone = both.failing["a"].log_e
    assert both.against == pytest.approx(log((exp(alone) + 1.0) / 2.0))


def test_bets_that_only_hold_are_no_fail_however_many_and_say_why() -> None:
    gate = LatencyGate(max_ratio=1.2)
    held = Bets(holding={"ratio": Restarts(1, (900.0,) * 8)}, passing={"ratio": (9.0,) * 8})
    said = judge(gate, {"": held}, scene(), 0, demand())
    assert (said.verdict, said.hold) == (Verdict.INCONCLUSIVE, True)
    assert said.why.endswith(gate.caveat())
    held.add({"ratio": Bet((50.0,) * 8, NOTHING, only_holds=True), "max": Bet(NOTHING, NOTHING)}, 1)
    assert held.holding["ratio"].weighted == (950.0,) * 8
    assert judge(gate, {"": held}, scene(), 0, demand()).verdict is Verdict.INCONCLUSIVE
    held.add({"max": Bet((50.0,) * 8, NOTHING)}, 1)
    assert judge(gate, {"": held}, scene(), 0, demand()).verdict is Verdict.FAIL
    held.begin_segment()
    assert (held.holding["ratio"].segments, held.failing["max"].segments) == (2, 2)


def test_a_fail_names_the_bound_it_is_about() -> None:
    gate = ErrorRateGate(max=0.01)
    for bound, words in (("ratio", "of more failures than stable's,"), ("max", "of more failures than 1%,")):
        other = "max" if bound == "ratio" else "ratio"
        bets = Bets({bound: Restarts(1, (9.0,) * 8), other: Restarts()}, {bound: NOTHING, other: NOTHING})
        assert words in judge(gate, {"": bets}, scene(failed=10), 0, demand()).why


def test_a_segment_begins_for_every_bound() -> None:
    found = Bets()
    found.add({"a": Bet(NOTHING, NOTHING), "b": Bet(NOTHING, NOTHING)}, 1)
    found.begin_segment()
    assert {each.segments for each in found.failing.values()} == {2}


def test_numbers_stay_finite_whatever_the_evidence() -> None:
    said = judge(
        GATE,
        {"": Bets({"ratio": Restarts(1, (5000.0,) * 8)}, {"ratio": (-9000.0,) * 8})},
        scene(),
        0,
        demand(),
    )
    assert said.verdict is Verdict.FAIL
    assert all(not isinstance(number, float) or number < inf for number in said.numbers.values())


def test_an_interval_is_put_where_its_number_stands() -> None:
    here = scene(failed=12)
    plain = judge(GATE, bets(), here, 0, demand())
    told = with_interval(plain, GATE, here)
    assert plain.why.startswith("error ratio 1.2 (12 of 1000 requests failed")
    assert told.why.startswith("error ratio 1.2 [0.")
    assert told.verdict is plain.verdict
    low, high = told.numbers["interval"]
    assert low < 1.2 < high


def test_an_interval_without_an_upper_end_says_so() -> None:
    gate = LatencyGate(max="1s")
    step = Sample(Arm(20, 20, durations={200: 20}), Arm())
    here = Scene(step, {}, Exposed(1000), Known({}))
    told = with_interval(judge(gate, {}, here, 0, demand()), gate, here)
    assert " or more] (" in told.why
    assert told.numbers["interval"][1] is None


def test_without_requests_there_is_no_interval() -> None:
    here = scene(done=0)
    plain = judge(GATE, {}, here, 0, demand())
    assert with_interval(plain, GATE, here) is plain
