"""How a rollout moves by itself, by time alone, and how its exposures are numbered."""

import pytest
from msgspec.structs import replace

from router.rollout import ramp
from router.rollout.course import Course, Rung
from router.rollout.phase import Event, Phase
from router.shares import SHARE_PARTS
from tests.support.courses import BLUE_GREEN, CANARY, PROXIED, SHADOW, STEPPED, after, begun, held, place


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


def test_no_time_is_taken_back() -> None:
    state = held(CANARY, 40)
    assert ramp.passed(CANARY, state, -10) is state
    assert ramp.passed(CANARY, state, 0) is state


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
