"""Which gates watch where, and what keeps a step from ending."""

import pytest
from msgspec.structs import replace

from router.rollout import ramp
from router.rollout.course import Course, Rung
from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.gates.latency import LatencyGate
from router.rollout.gates.sample_ratio import SampleRatioGate
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict
from router.rollout.watch import asked_to_pass, failing, following_share, on_trial, unsettled, watching
from router.shares import SHARE_PARTS

ERRORS, LATENCY, SPLIT = ErrorRateGate(), LatencyGate(max_ratio=1.2), SampleRatioGate()
COURSE = Course(
    "loan",
    "canary",
    "v1",
    ("v2",),
    (Rung(100, hold=60.0, gates=(LATENCY,)), Rung(100, pause=True), Rung(5000, hold=60.0), Rung(SHARE_PARTS)),
    soak=60.0,
    gates=(ERRORS, SPLIT),
)
COLOURS = Course(
    "loan", "blue_green", "v1", ("v2",), keep=60.0, colours={"blue": "v1", "green": "v2"}, gates=(ERRORS,)
)
BEGUN = ramp.reconcile(COURSE, None)
PAUSED = ramp.promote(COURSE, BEGUN)
WHOLE = ramp.promote(COURSE, ramp.promote(COURSE, PAUSED))
SWITCHED = ramp.switch(COLOURS, ramp.reconcile(COLOURS, None), "green")


@pytest.mark.parametrize(
    ("state", "watch", "asked", "following"),
    [
        pytest.param(BEGUN, (ERRORS, SPLIT, LATENCY), (ERRORS, LATENCY), 5000, id="a step"),
        pytest.param(PAUSED, (ERRORS, SPLIT), (), 5000, id="a pause"),
        pytest.param(ramp.promote(COURSE, PAUSED), (ERRORS, SPLIT), (ERRORS,), SHARE_PARTS, id="the next"),
        pytest.param(WHOLE, (ERRORS, SPLIT), (), SHARE_PARTS, id="all of it"),
        pytest.param(ramp.finish(COURSE, BEGUN), (ERRORS, SPLIT), (), SHARE_PARTS, id="the soak"),
        pytest.param(ramp.rollback(BEGUN), (), (), 5000, id="rolled back"),
        pytest.param(ramp.promote(COURSE, ramp.finish(COURSE, BEGUN)), (), (), SHARE_PARTS, id="promoted"),
    ],
)
def test_gates_watch_as_long_as_there_is_something_to_undo(
    state: RolloutState, watch: tuple[object, ...], asked: tuple[object, ...], following: int
) -> None:
    assert watching(COURSE, state) == watch
    assert asked_to_pass(COURSE, state) == asked
    assert following_share(COURSE, state) == following
    assert on_trial(COURSE, state) == bool(watch)


def test_gates_of_a_colour_watch_before_the_switch_and_while_the_old_one_is_kept() -> None:
    steady = ramp.reconcile(COLOURS, None)
    assert (watching(COLOURS, steady), on_trial(COLOURS, steady)) == ((ERRORS,), False)
    assert (watching(COLOURS, SWITCHED), on_trial(COLOURS, SWITCHED)) == ((ERRORS,), True)
    over = ramp.passed(COLOURS, SWITCHED, 60)
    assert (watching(COLOURS, over), on_trial(COLOURS, over)) == ((), False)


def test_without_a_candidate_nothing_is_on_trial() -> None:
    proxied = Course("loan", "", "v1")
    assert not on_trial(proxied, ramp.reconcile(proxied, None))


def ruling(gate: str, verdict: Verdict = Verdict.PASS, hold: bool = False) -> Ruling:
    return Ruling(gate, verdict, "so it says", hold=hold)


@pytest.mark.parametrize(
    ("rulings", "open_now"),
    [
        ([ruling("error_rate"), ruling("latency")], []),
        ([ruling("error_rate")], ["latency"]),
        ([], ["error_rate", "latency"]),
        ([ruling("error_rate", Verdict.ERROR), ruling("latency")], ["error_rate"]),
        ([ruling("error_rate"), ruling("latency", hold=True)], ["latency"]),
        ([ruling("error_rate"), ruling("latency"), ruling("sample_ratio", Verdict.INCONCLUSIVE)], []),
        ([ruling("error_rate"), ruling("latency"), ruling("sample_ratio", hold=True)], ["sample_ratio"]),
        ([ruling("error_rate"), ruling("latency"), ruling("webhook", Verdict.FAIL)], ["webhook"]),
    ],
)
def test_every_gate_that_is_asked_has_to_pass(rulings: list[Ruling], open_now: list[str]) -> None:
    assert [each.gate for each in unsettled(COURSE, BEGUN, rulings)] == open_now


def test_two_gates_of_one_kind_need_two_passes() -> None:
    course = replace(COURSE, gates=(ERRORS, ErrorRateGate(max_ratio=1.5)))
    assert [each.gate for each in unsettled(course, BEGUN, [ruling("error_rate"), ruling("latency")])] == [
        "error_rate"
    ]
    assert unsettled(course, BEGUN, [ruling("error_rate"), ruling("error_rate"), ruling("latency")]) == ()


def test_the_first_that_fails_is_named() -> None:
    fails = ruling("latency", Verdict.FAIL)
    assert failing([ruling("error_rate"), fails]) is fails
    assert failing([ruling("error_rate", Verdict.ERROR, hold=True)]) is None
