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
from router.rollout.phase import Event, Phase
from router.rollout.state import RolloutState
from router.spec import SHARE_PARTS

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
    assert ramp.reconcile(course, state) == begun(course)


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


class AnyOrder(RuleBasedStateMachine):
    """Commands, time and edits in any order; `spent` is all the time that ever passed."""

    course: Course
    state: RolloutState

    @initialize(rungs=_rungs, soak=st.sampled_from([0.0, 30.0]), pattern=st.sampled_from("csbp"))
    def begin(self, rungs: list[Rung], soak: float, pattern: str) -> None:
        self.course = {
            "c": Course("loan", "canary", "v1", ("v2",), _ascending(rungs), soak),
            "s": SHADOW,
            "b": replace(STEPPED, rungs=_ascending(rungs)),
            "p": PROXIED,
        }[pattern]
        self.state = begun(self.course)
        self.spent = 0.0
        self.counted = 0.0

    def move(self, state: RolloutState) -> None:
        self.state = state

    @rule(seconds=st.floats(0, 100))
    def tick(self, seconds: float) -> None:
        before = self.state
        later = after(self.course, before, seconds)
        assert ramp.decide(self.course, later) == (), "all that is due was done"
        self.spent += seconds
        self.counted += ramp.passed(self.course, before, seconds).held - before.held
        if before.phase in (Phase.PAUSED, Phase.ROLLED_BACK, Phase.PROMOTED, Phase.STEADY):
            assert replace(later, held=before.held) == before
        assert later.share >= before.share
        self.move(later)

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


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestAnyOrder = AnyOrder.TestCase
