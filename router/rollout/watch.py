"""Which gates watch a rollout now, what has to pass, and what they found. Floor 2, pure.

Gates watch wherever the candidate takes part in traffic, waiting places included: a pause is no place where
nobody looks. What a *fail* means is the same everywhere. A *pass* is asked for only where a step leads to more
exposure: beyond 100 % nothing is left to ask for, so there the gates of the whole rollout just go on watching.
"""

from collections import Counter
from collections.abc import Iterable

from router.rollout.course import Course, conditions
from router.rollout.gates import Gate
from router.rollout.phase import Phase
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict
from router.shares import SHARE_PARTS

_UNDER_WAY = (Phase.PROGRESSING, Phase.PAUSED, Phase.SOAKING)


def on_trial(course: Course, state: RolloutState) -> bool:
    """Whether there is a candidate at work that a rollback would take out; a colour that was switched to is on
    trial as long as the old one is kept."""
    if state.phase is Phase.PROMOTED:
        return state.held < course.keep
    return bool(course.candidates) and state.phase in _UNDER_WAY


def watching(course: Course, state: RolloutState) -> tuple[Gate, ...]:
    """The gates that watch now. Before a switch they are those that could refuse it."""
    if state.phase is Phase.STEADY and course.colours:
        return course.gates
    if not on_trial(course, state):
        return ()
    own = course.rungs[state.step].gates if _at_a_rung(course, state) else ()
    return course.gates + own


def asked_to_pass(course: Course, state: RolloutState) -> tuple[Gate, ...]:
    """The gates that have to pass before the present step ends."""
    if state.phase is not Phase.PROGRESSING or not _at_a_rung(course, state):
        return ()
    rung = course.rungs[state.step]
    return conditions(rung.gates if rung.share == SHARE_PARTS else course.gates + rung.gates)


def following_share(course: Course, state: RolloutState) -> int:
    """The share the next step leads to, of SHARE_PARTS: the evidence asked for grows with it."""
    return next((rung.share for rung in course.rungs[state.step + 1 :] if not rung.pause), SHARE_PARTS)


def failing(rulings: Iterable[Ruling]) -> Ruling | None:
    """The first gate that fails."""
    return next((ruling for ruling in rulings if ruling.verdict is Verdict.FAIL), None)


def unsettled(course: Course, state: RolloutState, rulings: Iterable[Ruling]) -> tuple[Ruling, ...]:
    """What keeps the present step from ending once its hold is over; empty when nothing does.

    Every gate asked to pass must be among the rulings, with a pass: one that has not been asked yet is missing,
    not content. Rulings of others (the sample ratio watches unasked) need not pass, but none may hold.
    """
    asked: Counter[str] = Counter(gate.tag for gate in asked_to_pass(course, state))
    said = list(rulings)
    open_now = [
        ruling
        for ruling in said
        if ruling.hold
        or ruling.verdict is Verdict.FAIL
        or (ruling.gate in asked and ruling.verdict is not Verdict.PASS)
    ]
    silent = asked - Counter(ruling.gate for ruling in said)
    missing = [Ruling(tag, Verdict.INCONCLUSIVE, "not asked yet") for tag in silent]
    return (*open_now, *missing)


def _at_a_rung(course: Course, state: RolloutState) -> bool:
    return state.step < len(course.rungs)
