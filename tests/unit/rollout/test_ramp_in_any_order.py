"""What holds of a rollout whatever happens in which order."""

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from router.errors import Refused
from router.rollout import ramp
from router.rollout.course import Course, Rung
from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.gates.latency import LatencyGate
from router.rollout.phase import Event, Phase
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict
from router.rollout.watch import asked_to_pass, on_trial
from router.shares import SHARE_PARTS
from tests.support.courses import (
    COMMANDS,
    ERRORS,
    LATENCY,
    PROXIED,
    SHADOW,
    STEPPED,
    Command,
    after,
    begun,
)
from tests.support.properties import examples

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
