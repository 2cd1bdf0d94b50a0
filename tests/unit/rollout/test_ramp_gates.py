"""How a rollout moves by what its gates say."""

import pytest
from msgspec.structs import replace

from router.errors import Refused
from router.rollout import ramp
from router.rollout.course import Course, Rung
from router.rollout.phase import Event, Phase
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict
from router.shares import SHARE_PARTS
from tests.support.courses import (
    CANARY,
    ERROR,
    ERRORS,
    FAIL,
    FAST,
    GATED,
    GUARDED_COLOURS,
    INCONCLUSIVE,
    LATENCY,
    PASS,
    SHADOW,
    begun,
    held,
    place,
    says,
)


@pytest.mark.parametrize(
    ("rulings", "seconds", "leads_to"),
    [
        pytest.param((PASS, FAST), 60, ("advance", "progressing", 1, 1000), id="held and passed"),
        pytest.param((PASS, FAST), 59, None, id="not held yet"),
        pytest.param((PASS,), 60, None, id="one gate has not been asked"),
        pytest.param((), 60, None, id="nobody has been asked"),
        pytest.param((INCONCLUSIVE, FAST), 60, None, id="too little evidence"),
        pytest.param((ERROR, FAST), 60, None, id="an error is no pass"),
        pytest.param((ERROR, FAST), 0, None, id="an error is no fail"),
        pytest.param((says(Verdict.PASS, hold=True), FAST), 60, None, id="a pass that leans the other way"),
        pytest.param((PASS, FAST, says(Verdict.PASS, "sample_ratio", hold=True)), 60, None, id="split"),
        pytest.param((PASS, FAST, says(Verdict.INCONCLUSIVE, "sample_ratio")), 60,
                     ("advance", "progressing", 1, 1000), id="what watches unasked need not pass"),
        pytest.param((FAIL, FAST), 0, ("rollback", "rolled_back", 0, 0), id="a fail waits for no hold"),
        pytest.param((PASS, says(Verdict.FAIL, "latency")), 60, ("rollback", "rolled_back", 0, 0),
                     id="one fail among passes"),
    ],
)  # fmt: skip
def test_what_gates_say_at_a_step(
    rulings: tuple[Ruling, ...], seconds: float, leads_to: tuple[str, str, int, int] | None
) -> None:
    moves = ramp.decide(GATED, held(GATED, seconds), rulings)
    assert [(move.event.value, *place(move.state)) for move in moves] == ([leads_to] if leads_to else [])


def test_a_fail_names_its_gate_and_says_why() -> None:
    (move,) = ramp.decide(GATED, begun(GATED), (FAST, FAIL))
    assert (move.gate, move.why) == ("error_rate", "error_rate: so it says: fail")


def test_a_pass_is_said_in_the_history() -> None:
    (move,) = ramp.decide(GATED, held(GATED, 60), (PASS, FAST))
    assert move.why == "step 1 of 4 was held to its end, and its gates pass: error_rate, latency"


@pytest.mark.parametrize(
    "state",
    [
        begun(GATED),
        ramp.pause(GATED, begun(GATED)),
        ramp.share(GATED, begun(GATED), 3000),
        ramp.promote(GATED, ramp.promote(GATED, begun(GATED))),
        ramp.finish(GATED, begun(GATED)),
    ],
    ids=["at a step", "paused by hand", "share by hand", "at a pause", "soaking"],
)
def test_gates_watch_wherever_the_candidate_takes_part(state: RolloutState) -> None:
    (move,) = ramp.decide(GATED, state, (FAIL,))
    assert (move.event, move.state.phase, move.state.share) == (Event.ROLLBACK, Phase.ROLLED_BACK, 0)


@pytest.mark.parametrize(
    ("course", "state"),
    [
        (GATED, ramp.rollback(begun(GATED))),
        (GATED, ramp.promote(GATED, ramp.finish(GATED, begun(GATED)))),
        (GUARDED_COLOURS, begun(GUARDED_COLOURS)),
        (replace(SHADOW, gates=(ERRORS,)), begun(SHADOW)),
    ],
    ids=["rolled back", "promoted", "steady", "a shadow answers nobody"],
)
def test_where_nothing_is_at_stake_a_fail_moves_nothing(course: Course, state: RolloutState) -> None:
    assert ramp.decide(course, state, (FAIL,)) == ()


def test_on_fail_pause_stops_where_it_is_and_once() -> None:
    course = replace(GATED, on_fail="pause")
    (move,) = ramp.decide(course, begun(course), (FAIL,))
    assert (move.event, place(move.state), move.gate) == (Event.PAUSE, ("paused", 0, 100), "error_rate")
    assert ramp.decide(course, move.state, (FAIL,)) == ()


def test_during_the_soak_only_a_fail_matters() -> None:
    soaking = ramp.finish(GATED, begun(GATED))
    for ruling in (INCONCLUSIVE, ERROR, says(Verdict.PASS, hold=True)):
        (move,) = ramp.decide(GATED, ramp.passed(GATED, soaking, 120), (ruling,))
        assert move.state.phase is Phase.PROMOTED


def test_a_step_without_a_hold_goes_on_when_its_gates_pass() -> None:
    course = replace(GATED, rungs=(Rung(100, gates=(LATENCY,)), Rung(1000, hold=60.0)))
    assert ramp.decide(course, begun(course), (INCONCLUSIVE, FAST)) == ()
    (move,) = ramp.decide(course, begun(course), (PASS, FAST))
    assert (place(move.state), move.why.split(",")[0]) == (("progressing", 1, 1000), "step 1 of 2 is over")


def test_what_was_said_of_one_step_says_nothing_of_the_next() -> None:
    course = replace(GATED, rungs=(Rung(100), Rung(200), Rung(300)))
    (move,) = ramp.decide(course, begun(course), (PASS,))
    assert place(move.state) == ("progressing", 1, 200)


def test_beyond_100_percent_only_the_gates_of_the_step_itself_are_asked_to_pass() -> None:
    course = replace(GATED, rungs=(Rung(SHARE_PARTS, hold=5.0, gates=(LATENCY,)),))
    state = held(course, 5)
    assert ramp.decide(course, state, (INCONCLUSIVE,)) == ()
    (move,) = ramp.decide(course, state, (INCONCLUSIVE, FAST))
    assert move.state.phase is Phase.SOAKING
    assert ramp.decide(course, state, (FAIL, FAST))[0].state.phase is Phase.ROLLED_BACK


def test_copies_first_then_answers_in_one_list_of_steps() -> None:
    course = replace(GATED, rungs=(Rung(0, SHARE_PARTS, 30.0), Rung(500, 0, 30.0)))
    state = held(course, 30)
    assert (state.share, state.mirror) == (0, SHARE_PARTS)
    (move,) = ramp.decide(course, state, (PASS,))
    assert (move.state.share, move.state.mirror) == (500, 0)
    assert ramp.decide(course, state, (FAIL,))[0].state.mirror == 0


@pytest.mark.parametrize(
    ("then", "leads_to"),
    [("hold", None), ("pause", ("paused", 0, 100)), ("rollback", ("rolled_back", 0, 0))],
)
@pytest.mark.parametrize("ruling", [INCONCLUSIVE, ERROR, says(Verdict.PASS, hold=True)])
def test_without_a_verdict_it_is_given_up_some_time_after_the_hold(
    then: str, leads_to: tuple[str, int, int] | None, ruling: Ruling
) -> None:
    course = replace(GATED, on_inconclusive=then, give_up=100.0)
    assert ramp.decide(course, held(course, 159), (ruling, FAST)) == ()
    moves = ramp.decide(course, held(course, 160), (ruling, FAST))
    assert [place(move.state) for move in moves] == ([leads_to] if leads_to else [])
    for move in moves:
        assert move.gate == "error_rate"
        assert move.why == f"no verdict within give_up after the hold: error_rate: {ruling.why}"


def test_who_resumes_after_giving_up_gives_it_as_much_time_again() -> None:
    course = replace(GATED, on_inconclusive="pause", give_up=100.0)
    paused = ramp.decide(course, held(course, 1000), (INCONCLUSIVE, FAST))[0].state
    resumed = ramp.resume(course, paused)
    assert resumed.held == 60
    assert ramp.decide(course, ramp.passed(course, resumed, 99), (INCONCLUSIVE, FAST)) == ()
    assert ramp.decide(course, ramp.passed(course, resumed, 100), (INCONCLUSIVE, FAST)) != ()
    assert place(ramp.decide(course, resumed, (PASS, FAST))[0].state) == ("progressing", 1, 1000)


def test_time_after_the_hold_is_counted_only_where_something_waits_for_it() -> None:
    assert held(GATED, 1e6).held == 60
    giving_up = replace(GATED, on_inconclusive="pause", give_up=100.0)
    assert held(giving_up, 1e6).held == 160
    assert held(replace(giving_up, gates=(), rungs=CANARY.rungs), 1e6).held == 60


def test_gates_refuse_a_switch_and_nothing_else_does() -> None:
    course = GUARDED_COLOURS
    with pytest.raises(Refused, match="error_rate fails: so it says: fail") as refused:
        ramp.switch(course, begun(course), "green", (FAIL,))
    assert refused.value.status == 409
    for ruling in (PASS, INCONCLUSIVE, ERROR):
        assert ramp.switch(course, begun(course), "green", (ruling,)).phase is Phase.PROGRESSING


def test_gates_watch_a_switch_and_the_time_the_old_colour_is_kept() -> None:
    course = GUARDED_COLOURS
    state = ramp.switch(course, begun(course), "green")
    assert ramp.decide(course, ramp.passed(course, state, 60), (INCONCLUSIVE,)) == ()
    (move,) = ramp.decide(course, state, (FAIL,))
    assert (move.state.phase, move.state.live) == (Phase.ROLLED_BACK, "v1")
    moves = ramp.decide(course, ramp.passed(course, state, 60), (PASS,))
    live = moves[-1].state
    assert (live.phase, live.live) == (Phase.PROMOTED, "v2")
    assert ramp.decide(course, ramp.passed(course, live, 29), (FAIL,))[0].state.live == "v1"
    assert ramp.decide(course, ramp.passed(course, live, 30), (FAIL,)) == ()
    assert ramp.decide(replace(course, on_fail="pause"), live, (FAIL,)) == (), "there is no pause in it"
