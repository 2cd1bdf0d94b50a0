"""What an edit of the YAML changes in a running rollout, and what it leaves alone."""

from math import inf

import pytest
from msgspec.structs import replace

from router.rollout import ramp
from router.rollout.course import Course, Rung
from router.rollout.phase import Phase
from router.shares import SHARE_PARTS
from tests.support.courses import (
    BLUE_GREEN,
    CANARY,
    GATED,
    PROXIED,
    SHADOW,
    after,
    begun,
    edited,
    held,
    place,
)


def test_other_gates_or_holds_go_on_with_the_same_rollout() -> None:
    state = ramp.promote(CANARY, begun(CANARY))
    for course in (GATED, edited(CANARY, *(replace(rung, hold=rung.hold + 5) for rung in CANARY.rungs))):
        assert ramp.reconcile(course, state) is state


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
