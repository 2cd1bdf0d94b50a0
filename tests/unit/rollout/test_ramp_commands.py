"""What people may tell a rollout, and what it answers."""

import pytest
from msgspec.structs import replace

from router.errors import Refused
from router.rollout import ramp
from router.rollout.phase import Phase
from router.shares import SHARE_PARTS
from tests.support.courses import (
    BLUE_GREEN,
    CANARY,
    COMMANDS,
    PROXIED,
    SHADOW,
    STEPPED,
    Command,
    after,
    begun,
    held,
    place,
)


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


def test_what_was_set_to_100_percent_by_hand_is_promoted_where_there_is_no_soak() -> None:
    course = replace(CANARY, soak=0.0)
    assert ramp.promote(course, ramp.share(course, begun(course), SHARE_PARTS)).phase is Phase.PROMOTED
