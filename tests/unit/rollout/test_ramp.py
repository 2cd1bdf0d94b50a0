"""How a rollout moves: by time, by command, by an edit; and what holds whatever happens in which order."""

from collections.abc import Callable
from math import inf

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from router.errors import Refused
from router.rollout import ramp
from router.rollout.course import Course, Rung, endless
from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.gates.latency import LatencyGate
from router.rollout.phase import Event, Phase
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict
from router.rollout.watch import asked_to_pass, on_trial
from router.shares import SHARE_PARTS
from tests.support.properties import examples

CANARY = Course(
    "loan",
    "canary",
    "v1",
    ("v2",),
    (Rung(100, 1000, 60.0), Rung(1000, 0, 60.0), Rung(1000, pause=True), Rung(5000, 0, 60.0)),
    soak=120.0,
)
SHADOW = Course("loan", "shadow", "v1", ("v2", "v3"), endless(5000))
COLOURS = {"blue": "v1", "green": "v2"}
BLUE_GREEN = Course("loan", "blue_green", "v1", ("v2",), keep=30.0, colours=COLOURS)
STEPPED = Course(
    "loan", "blue_green", "v1", ("v2",), (Rung(1000, 0, 60.0), Rung(SHARE_PARTS)), keep=30.0, colours=COLOURS
)
PROXIED = Course("loan", "", "v1")

Command = Callable[[Course, RolloutState], RolloutState]
COMMANDS: tuple[Command, ...] = (ramp.promote, ramp.pause, ramp.resume, ramp.restart)


ERRORS, LATENCY = ErrorRateGate(), LatencyGate(max_ratio=1.2)
GATED = replace(CANARY, gates=(ERRORS,), rungs=(Rung(100, 1000, 60.0, gates=(LATENCY,)), *CANARY.rungs[1:]))
GUARDED_COLOURS = replace(STEPPED, gates=(ERRORS,))


def says(verdict: Verdict, gate: str = "error_rate", hold: bool = False) -> Ruling:
    return Ruling(gate, verdict, f"so it says: {verdict.value}", hold=hold)


PASS, FAIL, INCONCLUSIVE, ERROR = (
    says(verdict) for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ERROR)
)
FAST = says(Verdict.PASS, "latency")


def begun(course: Course) -> RolloutState:
    return ramp.reconcile(course, None)


def after(course: Course, state: RolloutState, seconds: float) -> RolloutState:
    state = ramp.passed(course, state, seconds)
    moves = ramp.decide(course, state)
    return moves[-1].state if moves else state


def place(state: RolloutState) -> tuple[str, int, int]:
    return state.phase.value, state.step, state.share


# By itself


def test_a_canary_begins_at_its_first_step() -> None:
    state = begun(CANARY)
    assert place(state) == ("progressing", 0, 100)
    assert (state.mirror, state.held) == (1000, 0.0)


def test_a_step_is_held_to_its_end_and_not_a_moment_longer() -> None:
    state = after(CANARY, begun(CANARY), 59.9)
    assert place(state) == ("progressing", 0, 100)
    (move,) = ramp.decide(CANARY, ramp.passed(CANARY, state, 0.2))
    assert place(move.state) == ("progressing", 1, 1000)
    assert move.event is Event.ADVANCE
    assert move.why == "step 1 of 4 was held to its end"
    assert (move.state.held, move.state.mirror) == (0.0, 0)


def test_a_canary_waits_at_a_pause_then_climbs_soaks_and_is_promoted() -> None:
    state = after(CANARY, after(CANARY, begun(CANARY), 60), 60)
    assert place(state) == ("paused", 2, 1000)
    assert place(after(CANARY, state, 1e6)) == ("paused", 2, 1000)
    state = ramp.promote(CANARY, state)
    assert place(state) == ("progressing", 3, 5000)
    state = after(CANARY, state, 60)
    assert place(state) == ("soaking", 4, SHARE_PARTS)
    state = after(CANARY, after(CANARY, state, 60), 60)
    assert place(state) == ("promoted", 4, SHARE_PARTS)
    assert place(after(CANARY, state, 1e6)) == ("promoted", 4, SHARE_PARTS)


def test_one_long_stretch_ends_one_hold_only() -> None:
    """What a sleeping controller missed is not made up for: each step is seen for as long as it was asked."""
    assert place(after(CANARY, begun(CANARY), 1e9)) == ("progressing", 1, 1000)


def test_steps_without_a_hold_are_climbed_at_once() -> None:
    course = Course("loan", "canary", "v1", ("v2",), (Rung(100), Rung(200), Rung(300, hold=5.0)))
    moves = ramp.decide(course, begun(course))
    assert place(moves[-1].state) == ("progressing", 2, 300)
    assert [move.state.share for move in moves] == [200, 300]


def test_without_a_soak_the_end_of_the_ramp_promotes() -> None:
    course = Course("loan", "canary", "v1", ("v2",), (Rung(100, hold=1.0),))
    moves = ramp.decide(course, ramp.passed(course, begun(course), 1.0))
    assert place(moves[-1].state) == ("promoted", 1, SHARE_PARTS)
    assert moves[-1].event is Event.COMPLETE


def test_a_shadow_goes_on_for_ever_and_counts_no_time() -> None:
    state = begun(SHADOW)
    assert (state.phase, state.share, state.mirror) == (Phase.PROGRESSING, 0, 5000)
    assert after(SHADOW, state, 1e9) is state


@pytest.mark.parametrize("course", [BLUE_GREEN, STEPPED, PROXIED])
def test_what_waits_for_a_person_does_nothing_by_itself(course: Course) -> None:
    state = begun(course)
    assert state.phase is Phase.STEADY
    assert after(course, state, 1e9) is state


def test_the_old_colour_is_kept_for_a_while_and_no_time_is_counted_after() -> None:
    state = ramp.switch(BLUE_GREEN, begun(BLUE_GREEN), "green")
    state = after(BLUE_GREEN, state, 20)
    assert state.held == 20
    state = after(BLUE_GREEN, state, 20)
    assert state.held == 30
    assert after(BLUE_GREEN, state, 20) is state


# By command


def test_promote_goes_step_by_step_to_the_end() -> None:
    state, seen = begun(CANARY), []
    for _ in range(5):
        state = ramp.promote(CANARY, state)
        seen.append(place(state))
    assert seen == [
        ("progressing", 1, 1000),
        ("paused", 2, 1000),
        ("progressing", 3, 5000),
        ("soaking", 4, SHARE_PARTS),
        ("promoted", 4, SHARE_PARTS),
    ]
    with pytest.raises(Refused, match="promoted: the rollout is over"):
        ramp.promote(CANARY, state)


def test_pause_keeps_the_share_and_the_time_and_resume_goes_on() -> None:
    state = ramp.pause(CANARY, after(CANARY, begun(CANARY), 40))
    assert place(state) == ("paused", 0, 100)
    state = ramp.resume(CANARY, after(CANARY, state, 1e6))
    assert place(state) == ("progressing", 0, 100)
    assert (state.held, state.mirror) == (40, 1000)
    assert place(after(CANARY, state, 20)) == ("progressing", 1, 1000)


def test_pausing_twice_changes_nothing() -> None:
    state = ramp.pause(CANARY, begun(CANARY))
    assert ramp.pause(CANARY, state) is state


def test_a_soak_is_paused_and_goes_on_with_the_time_it_had() -> None:
    state = begun(CANARY)
    for _ in range(4):
        state = ramp.promote(CANARY, state)
    state = ramp.resume(CANARY, ramp.pause(CANARY, after(CANARY, state, 100)))
    assert place(state) == ("soaking", 4, SHARE_PARTS)
    assert place(after(CANARY, state, 20)) == ("promoted", 4, SHARE_PARTS)


def test_promote_out_of_a_paused_soak_promotes() -> None:
    state = begun(CANARY)
    for _ in range(4):
        state = ramp.promote(CANARY, state)
    assert ramp.promote(CANARY, ramp.pause(CANARY, state)).phase is Phase.PROMOTED


def test_resume_leaves_a_pause_step_for_the_next() -> None:
    state = ramp.promote(CANARY, ramp.promote(CANARY, begun(CANARY)))
    assert place(ramp.resume(CANARY, state)) == ("progressing", 3, 5000)


@pytest.mark.parametrize(
    ("parts", "step", "resumed", "promoted"),
    [
        (0, 0, ("progressing", 0, 100), ("progressing", 0, 100)),
        (100, 0, ("progressing", 0, 100), ("progressing", 1, 1000)),
        (500, 1, ("progressing", 1, 1000), ("progressing", 1, 1000)),
        (2500, 3, ("progressing", 3, 5000), ("progressing", 3, 5000)),
        (9000, 4, ("soaking", 4, SHARE_PARTS), ("soaking", 4, SHARE_PARTS)),
        (SHARE_PARTS, 4, ("soaking", 4, SHARE_PARTS), ("promoted", 4, SHARE_PARTS)),
    ],
)
def test_a_share_by_hand_pauses_and_the_ramp_goes_on_above_it(
    parts: int, step: int, resumed: tuple[str, int, int], promoted: tuple[str, int, int]
) -> None:
    state = ramp.share(CANARY, begun(CANARY), parts)
    assert place(state) == ("paused", step, parts)
    assert place(ramp.resume(CANARY, state)) == resumed
    assert place(ramp.promote(CANARY, state)) == promoted


@pytest.mark.parametrize("parts", [-1, SHARE_PARTS + 1])
def test_a_share_out_of_range_is_the_callers_mistake(parts: int) -> None:
    with pytest.raises(Refused) as refused:
        ramp.share(CANARY, begun(CANARY), parts)
    assert refused.value.status == 400


def test_a_shadows_copies_stop_and_start_again() -> None:
    paused = ramp.pause(SHADOW, begun(SHADOW))
    assert (paused.phase, paused.mirror) == (Phase.PAUSED, 0)
    assert ramp.resume(SHADOW, paused).mirror == 5000


def test_a_shadow_never_gets_to_answer() -> None:
    with pytest.raises(Refused, match="a shadow never answers"):
        ramp.promote(SHADOW, begun(SHADOW))
    with pytest.raises(Refused, match="a shadow never answers"):
        ramp.share(SHADOW, begun(SHADOW), 1)


def test_without_steps_a_switch_is_done_at_once() -> None:
    state = ramp.switch(BLUE_GREEN, begun(BLUE_GREEN), "green")
    assert (state.phase, state.live, state.shares()) == (Phase.PROMOTED, "v2", {"v1": 0.0, "v2": 1.0})
    assert ramp.switch(BLUE_GREEN, state, "green") is state
    back = ramp.switch(BLUE_GREEN, state, "blue")
    assert (back.phase, back.live, back.trusted) == (Phase.PROMOTED, "v1", "v2")


def test_with_steps_a_switch_climbs_like_a_ramp() -> None:
    state = ramp.switch(STEPPED, begun(STEPPED), "green")
    assert (place(state), state.live) == (("progressing", 0, 1000), "v1")
    assert ramp.switch(STEPPED, state, "green") is state
    with pytest.raises(Refused, match="rollback returns to blue at once"):
        ramp.switch(STEPPED, state, "blue")
    state = after(STEPPED, state, 60)
    assert (state.phase, state.live) == (Phase.PROMOTED, "v2")


def test_a_colour_that_is_live_already_is_no_change() -> None:
    state = begun(BLUE_GREEN)
    assert ramp.switch(BLUE_GREEN, state, "blue") is state


def test_a_switch_names_a_colour_of_a_blue_green_deployment() -> None:
    with pytest.raises(Refused) as refused:
        ramp.switch(BLUE_GREEN, begun(BLUE_GREEN), "red")
    assert (refused.value.status, refused.value.known) == (400, ("blue", "green"))
    with pytest.raises(Refused, match="follows no blue_green pattern"):
        ramp.switch(CANARY, begun(CANARY), "green")


def test_rollback_takes_the_candidate_out_and_keeps_it_out() -> None:
    state = ramp.rollback(after(CANARY, begun(CANARY), 60))
    assert (state.phase, state.share, state.mirror, state.shares()["v1"]) == (Phase.ROLLED_BACK, 0, 0, 1.0)
    assert ramp.rollback(state) is state
    assert after(CANARY, state, 1e9) is state
    for command in (ramp.promote, ramp.pause, ramp.resume):
        with pytest.raises(Refused, match="until the candidate changes or you say restart"):
            command(CANARY, state)


def test_rollback_of_a_switch_returns_to_the_colour_that_was_live() -> None:
    state = ramp.rollback(ramp.switch(BLUE_GREEN, begun(BLUE_GREEN), "green"))
    assert (state.live, state.shares()) == ("v1", {"v1": 1.0, "v2": 0.0})
    with pytest.raises(Refused, match="restart"):
        ramp.switch(BLUE_GREEN, state, "green")
    again = ramp.switch(BLUE_GREEN, ramp.restart(BLUE_GREEN, state), "green")
    assert again.live == "v2"


def test_rolling_back_the_way_back_returns_to_green() -> None:
    there = ramp.switch(BLUE_GREEN, begun(BLUE_GREEN), "green")
    assert ramp.rollback(ramp.switch(BLUE_GREEN, there, "blue")).live == "v2"


def test_nothing_to_undo_is_no_error() -> None:
    for course in (BLUE_GREEN, PROXIED):
        state = begun(course)
        assert ramp.rollback(state) is state


def test_restart_begins_again_from_every_phase() -> None:
    begin = begun(CANARY)
    for state in (begin, ramp.rollback(begin), ramp.pause(CANARY, begin), ramp.share(CANARY, begin, 9000)):
        assert place(ramp.restart(CANARY, state)) == ("progressing", 0, 100)


def test_restart_leaves_the_live_colour_live() -> None:
    switched = ramp.switch(BLUE_GREEN, begun(BLUE_GREEN), "green")
    state = ramp.restart(BLUE_GREEN, switched)
    assert (state.phase, state.live, state.candidates) == (Phase.STEADY, "v2", ("v1",))


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_rollout_there_is_nothing_to_command(command: Command) -> None:
    with pytest.raises(Refused) as refused:
        command(PROXIED, begun(PROXIED))
    assert refused.value.status == 409


# By what the gates say


def held(course: Course, seconds: float, **changes: object) -> RolloutState:
    return replace(ramp.passed(course, begun(course), seconds), **changes)


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


def test_finish_goes_to_100_percent_from_any_step_and_ends_a_soak() -> None:
    soaking = ramp.finish(CANARY, begun(CANARY))
    assert place(soaking) == ("soaking", 4, SHARE_PARTS)
    assert ramp.finish(CANARY, soaking).phase is Phase.PROMOTED
    assert ramp.finish(CANARY, ramp.pause(CANARY, begun(CANARY))).phase is Phase.SOAKING
    with pytest.raises(Refused, match="a shadow never answers"):
        ramp.finish(SHADOW, begun(SHADOW))


def test_a_new_place_begins_with_nothing_held_and_behind_the_last_step_nothing_is_copied() -> None:
    state = held(CANARY, 40)
    soaking = ramp.passed(CANARY, ramp.finish(CANARY, state), 50)
    for moved in (
        ramp.promote(CANARY, state),
        ramp.finish(CANARY, state),
        ramp.share(CANARY, state, 3000),
        ramp.rollback(state),
        ramp.promote(CANARY, soaking),
        ramp.decide(CANARY, ramp.passed(CANARY, soaking, 70))[0].state,
    ):
        assert moved.held == 0
    assert (state.mirror, soaking.mirror) == (1000, 0)


def test_no_time_is_taken_back() -> None:
    state = held(CANARY, 40)
    assert ramp.passed(CANARY, state, -10) is state
    assert ramp.passed(CANARY, state, 0) is state


def test_what_was_set_to_100_percent_by_hand_is_promoted_where_there_is_no_soak() -> None:
    course = replace(CANARY, soak=0.0)
    assert ramp.promote(course, ramp.share(course, begun(course), SHARE_PARTS)).phase is Phase.PROMOTED


# Cohorts


def test_every_change_of_exposure_has_a_cohort_of_its_own() -> None:
    first = state = begun(CANARY)
    seen = []
    for _ in range(5):
        state = ramp.promote(CANARY, state)
        seen.append((state.cohort - first.cohort, state.share))
    # A pause keeps the share and the cohort, and so does a promotion.
    assert seen == [(1, 1000), (1, 1000), (2, 5000), (3, SHARE_PARTS), (3, SHARE_PARTS)]
    assert state.began == first.began


def test_a_rollout_that_begins_anew_has_a_first_cohort_of_its_own() -> None:
    state = ramp.promote(CANARY, begun(CANARY))
    for again in (
        ramp.restart(CANARY, state),
        ramp.restart(CANARY, ramp.rollback(state)),
        ramp.reconcile(replace(CANARY, candidates=("v3",)), state),
    ):
        assert again.began > state.cohort
    switched = ramp.switch(BLUE_GREEN, begun(BLUE_GREEN), "green")
    back = ramp.switch(BLUE_GREEN, switched, "blue")
    assert (switched.began, back.began) == (2, switched.cohort + 1)


def test_other_gates_or_holds_go_on_with_the_same_rollout() -> None:
    state = ramp.promote(CANARY, begun(CANARY))
    for course in (GATED, edited(CANARY, *(replace(rung, hold=rung.hold + 5) for rung in CANARY.rungs))):
        assert ramp.reconcile(course, state) is state


# By an edit


def edited(course: Course, *rungs: Rung) -> Course:
    return replace(course, rungs=rungs)


def test_an_unchanged_spec_leaves_the_state_alone() -> None:
    state = after(CANARY, begun(CANARY), 30)
    for course, known in ((CANARY, state), (SHADOW, begun(SHADOW)), (BLUE_GREEN, begun(BLUE_GREEN))):
        assert ramp.reconcile(course, known) is known


def test_another_hold_keeps_step_and_time() -> None:
    state = after(CANARY, begun(CANARY), 30)
    longer = edited(CANARY, Rung(100, 1000, 90.0), *CANARY.rungs[1:])
    assert ramp.reconcile(longer, state) is state
    assert place(after(longer, state, 59)) == ("progressing", 0, 100)
    assert place(after(longer, state, 60)) == ("progressing", 1, 1000)


def test_a_step_put_in_before_keeps_the_share() -> None:
    state = after(CANARY, begun(CANARY), 60)
    state = ramp.reconcile(edited(CANARY, Rung(10), *CANARY.rungs), state)
    assert place(state) == ("progressing", 2, 1000)


def test_an_edit_never_raises_a_running_share() -> None:
    state = after(CANARY, begun(CANARY), 60)
    state = ramp.reconcile(edited(CANARY, Rung(50, hold=9.0), Rung(500, hold=9.0), Rung(2000)), state)
    assert place(state) == ("progressing", 1, 500)


@pytest.mark.parametrize(
    "rungs",
    [(Rung(50, hold=9.0), Rung(500, hold=90.0)), (Rung(10, hold=9.0), *CANARY.rungs)],
    ids=["a lower share", "another step with the same share"],
)
def test_another_step_begins_with_its_whole_time_ahead(rungs: tuple[Rung, ...]) -> None:
    state = ramp.passed(CANARY, after(CANARY, begun(CANARY), 60), 30)
    assert state.held == 30
    assert ramp.reconcile(edited(CANARY, *rungs), state).held == 0


def test_a_step_stays_itself_among_others_of_its_share_and_is_left_when_it_becomes_a_pause() -> None:
    twice = edited(CANARY, Rung(100, 1000, 60.0), Rung(100, 0, 60.0))
    state = held(twice, 30)
    assert ramp.reconcile(twice, state) is state
    paused = edited(CANARY, Rung(50, hold=60.0), Rung(1000, pause=True), Rung(5000, hold=60.0))
    assert place(ramp.reconcile(paused, after(CANARY, begun(CANARY), 60))) == ("progressing", 0, 50)


def test_an_edit_may_leave_fewer_steps_than_there_were() -> None:
    state = ramp.promote(CANARY, ramp.promote(CANARY, ramp.promote(CANARY, begun(CANARY))))
    assert state.step == 3
    assert place(ramp.reconcile(edited(CANARY, Rung(100, hold=60.0)), state)) == ("progressing", 0, 100)


def test_a_share_by_hand_goes_on_behind_a_pause_that_comes_first() -> None:
    course = edited(CANARY, Rung(0, pause=True), Rung(100, hold=60.0))
    assert ramp.share(course, ramp.promote(course, begun(course)), 0).step == 1


def test_what_is_paused_goes_on_with_the_step_that_has_its_share_now() -> None:
    state = ramp.pause(CANARY, after(CANARY, begun(CANARY), 60))
    edit = ramp.reconcile(edited(CANARY, Rung(1000, hold=9.0), Rung(2000, hold=9.0)), state)
    assert place(edit) == ("paused", 0, 1000)


def test_a_pause_waits_on_through_an_edit_at_its_share() -> None:
    state = ramp.promote(CANARY, ramp.promote(CANARY, begun(CANARY)))
    state = ramp.reconcile(edited(CANARY, Rung(2000, hold=5.0)), state)
    assert place(state) == ("paused", 0, 1000)


def test_a_soak_goes_on_when_steps_are_edited() -> None:
    state = begun(CANARY)
    for _ in range(4):
        state = ramp.promote(CANARY, state)
    state = ramp.reconcile(edited(CANARY, Rung(100)), after(CANARY, state, 50))
    assert (place(state), state.held) == (("soaking", 1, SHARE_PARTS), 50)


def test_another_sample_takes_effect_on_a_running_shadow_only() -> None:
    fewer = edited(SHADOW, Rung(0, 100, inf))
    assert ramp.reconcile(fewer, begun(SHADOW)).mirror == 100
    assert ramp.reconcile(fewer, ramp.pause(SHADOW, begun(SHADOW))).mirror == 0


@pytest.mark.parametrize(
    "course",
    [replace(CANARY, candidates=("v3",)), replace(CANARY, trusted="v0"), SHADOW, BLUE_GREEN, PROXIED],
)
def test_other_versions_or_another_pattern_begin_anew(course: Course) -> None:
    state = after(CANARY, begun(CANARY), 60)
    new = ramp.reconcile(course, state)
    fresh = begun(course)
    assert replace(new, cohort=fresh.cohort, began=fresh.began) == fresh
    assert new.cohort >= new.began > state.cohort


def test_what_was_rolled_back_stays_so_until_the_candidate_changes() -> None:
    state = ramp.rollback(begun(CANARY))
    assert ramp.reconcile(edited(CANARY, Rung(5000)), state).phase is Phase.ROLLED_BACK
    kept = ramp.reconcile(replace(CANARY, trusted="v0"), state)
    assert (kept.phase, kept.trusted, kept.share) == (Phase.ROLLED_BACK, "v0", 0)
    assert ramp.reconcile(replace(CANARY, candidates=("v3",)), state).phase is Phase.PROGRESSING


def test_a_new_colour_leaves_the_live_one_live() -> None:
    """Green is live; another version is made blue, though the file still says `live: blue`."""
    state = ramp.switch(BLUE_GREEN, begun(BLUE_GREEN), "green")
    course = replace(BLUE_GREEN, trusted="v3", candidates=("v2",), colours={"blue": "v3", "green": "v2"})
    state = ramp.reconcile(course, state)
    assert (state.phase, state.live, state.candidates) == (Phase.STEADY, "v2", ("v3",))


# Whatever happens

_rungs = st.lists(
    st.one_of(
        st.builds(
            Rung,
            st.integers(0, SHARE_PARTS),
            st.sampled_from([0, 500]),
            st.sampled_from([0.0, 5.0, 60.0]),
        ),
        st.just(Rung(0, pause=True)),
    ),
    min_size=1,
    max_size=5,
)


def _ascending(rungs: list[Rung]) -> tuple[Rung, ...]:
    shares = iter(sorted(rung.share for rung in rungs if not rung.pause))
    last, result = Rung(0), []
    for rung in rungs:
        last = replace(last, pause=True, hold=0.0) if rung.pause else replace(rung, share=next(shares))
        result.append(last)
    return tuple(result)


_gates = st.lists(st.sampled_from([ERRORS, LATENCY]), max_size=2, unique=True).map(tuple)
_rulings = st.lists(
    st.builds(
        Ruling,
        st.sampled_from(["error_rate", "latency", "sample_ratio"]),
        st.sampled_from([*Verdict, Verdict.PASS, Verdict.PASS]),
        st.just("so it says"),
        hold=st.sampled_from([False, False, False, True]),
    ),
    max_size=4,
).map(tuple)


def _exposure(state: RolloutState) -> tuple[object, ...]:
    return state.pattern, state.trusted, state.candidates, state.share, state.mirror


class AnyOrder(RuleBasedStateMachine):
    """Commands, time, rulings and edits in any order; `spent` is all the time that ever passed."""

    course: Course
    state: RolloutState

    @initialize(
        rungs=_rungs,
        soak=st.sampled_from([0.0, 30.0]),
        pattern=st.sampled_from("csbp"),
        gates=_gates,
        on_fail=st.sampled_from(["rollback", "pause"]),
        on_inconclusive=st.sampled_from(["hold", "pause", "rollback"]),
    )
    def begin(
        self,
        rungs: list[Rung],
        soak: float,
        pattern: str,
        gates: tuple[ErrorRateGate | LatencyGate, ...],
        on_fail: str,
        on_inconclusive: str,
    ) -> None:
        self.course = {
            "c": Course("loan", "canary", "v1", ("v2",), _ascending(rungs), soak),
            "s": SHADOW,
            "b": replace(STEPPED, rungs=_ascending(rungs)),
            "p": PROXIED,
        }[pattern]
        self.course = replace(
            self.course, gates=gates, on_fail=on_fail, on_inconclusive=on_inconclusive, give_up=40.0
        )
        self.state = begun(self.course)
        self.spent = 0.0
        self.counted = 0.0

    def move(self, state: RolloutState) -> None:
        before, self.state = self.state, state
        if _exposure(state) != _exposure(before):
            assert state.cohort > before.cohort
        assert state.cohort >= before.cohort >= before.began
        assert state.began in range(before.began, state.cohort + 1)

    @rule(seconds=st.floats(0, 100))
    def tick(self, seconds: float) -> None:
        before = self.state
        later = after(self.course, before, seconds)
        assert ramp.decide(self.course, later) == (), "all that is due was done"
        self.spend(before, seconds)
        if before.phase in (Phase.PAUSED, Phase.ROLLED_BACK, Phase.PROMOTED, Phase.STEADY):
            assert replace(later, held=before.held) == before
        assert later.share >= before.share or later.phase is Phase.ROLLED_BACK
        if later.phase is Phase.ROLLED_BACK and before.phase is not Phase.ROLLED_BACK:
            assert self.course.on_inconclusive == "rollback", "time alone undoes nothing else"
        self.move(later)

    @rule(seconds=st.floats(0, 200), rulings=_rulings)
    def look(self, seconds: float, rulings: tuple[Ruling, ...]) -> None:
        before = ramp.passed(self.course, self.state, seconds)
        self.spend(self.state, seconds)
        moves = ramp.decide(self.course, before, rulings)
        said = {ruling.gate for ruling in rulings if ruling.verdict is Verdict.PASS and not ruling.hold}
        asked = {gate.tag for gate in asked_to_pass(self.course, before)}
        if any(ruling.verdict is Verdict.FAIL for ruling in rulings) and self.course.answers:
            assert all(move.state.share <= before.share for move in moves), "a share rises on no fail"
            assert not on_trial(self.course, before) or moves or self.course.on_fail == "pause"
        if any(move.event in (Event.ADVANCE, Event.COMPLETE) for move in moves):
            assert asked <= said, "nothing goes on without a pass of every gate that was asked"
        self.move(moves[-1].state if moves else before)

    def spend(self, before: RolloutState, seconds: float) -> None:
        self.spent += seconds
        self.counted += ramp.passed(self.course, before, seconds).held - before.held

    @rule(command=st.sampled_from(COMMANDS))
    def command(self, command: Command) -> None:
        self.attempt(lambda: command(self.course, self.state))

    @rule(parts=st.integers(0, SHARE_PARTS))
    def share(self, parts: int) -> None:
        self.attempt(lambda: ramp.share(self.course, self.state, parts))

    @rule(colour=st.sampled_from(["blue", "green"]))
    def switch(self, colour: str) -> None:
        self.attempt(lambda: ramp.switch(self.course, self.state, colour))

    def attempt(self, command: Callable[[], RolloutState]) -> None:
        refusal: Refused | None = None
        try:
            self.move(command())
        except Refused as refused:
            refusal = refused
        assert refusal is None or (refusal.status, refusal.phase) == (409, self.state.phase)

    @rule(rungs=_rungs)
    @precondition(lambda self: self.course.answers)
    def edit(self, rungs: list[Rung]) -> None:
        before = self.state
        self.course = replace(self.course, rungs=_ascending(rungs))
        self.move(ramp.reconcile(self.course, before))
        if before.phase is not Phase.PROGRESSING:
            assert (self.state.phase, self.state.share) == (before.phase, before.share)
        assert ramp.reconcile(self.course, self.state) is self.state

    @rule()
    def rollback(self) -> None:
        before = self.state
        self.move(ramp.rollback(before))
        assert (self.state.share, self.state.mirror) == (0, 0) or before.phase is Phase.STEADY
        assert ramp.rollback(self.state) is self.state

    @rule()
    def rollback_would_work_now(self) -> None:
        undone = ramp.rollback(self.state)
        assert undone.shares()[undone.trusted] == 1.0

    @invariant()
    def sound(self) -> None:
        if not hasattr(self, "state"):
            return
        state = self.state
        assert 0 <= state.share <= SHARE_PARTS
        assert 0 <= state.mirror <= SHARE_PARTS
        assert state.step >= 0
        assert self.counted <= self.spent + 1e-9
        if state.phase is Phase.ROLLED_BACK:
            assert state.share == state.mirror == 0
        if state.phase in (Phase.SOAKING, Phase.PROMOTED):
            assert state.share == SHARE_PARTS
        if state.phase is Phase.PROGRESSING:
            rung = self.course.rungs[state.step]
            assert (state.share, state.mirror, rung.pause) == (rung.share, rung.mirror, False)


AnyOrder.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=30)
TestAnyOrder = AnyOrder.TestCase
