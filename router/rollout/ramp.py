"""How a rollout goes on: by itself, by command, and when its spec is edited.

Floor 2, pure: no clock, no I/O. Every function takes the course (the spec) and a state and returns the next
state; where nothing changes it returns the very state it was given, so that callers compare with `is`. All
moves go through the phase table; a move it does not have raises Refused (409). All changes go through `_moved`,
the one place where cohorts rise.

What moves it by itself, in this order:

    a gate fails                                      on_fail: rolled back, or paused
    the hold is over and every gate passes            the next step; from the last one 100 % and the soak
    no verdict for `give_up` beyond the hold          on_inconclusive: stays, pauses or rolls back
    the soak is over (only fails matter there)        promoted

An error is no fail and no pass: it keeps a step where it is, as too little evidence does.
"""

from collections.abc import Iterable
from math import inf
from typing import Any, NamedTuple

from msgspec.structs import replace

from router.errors import Refused
from router.rollout.course import Course, Rung
from router.rollout.phase import Event, Phase, follow, forbidden
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling
from router.rollout.watch import asked_to_pass, failing, on_trial, unsettled
from router.shares import SHARE_PARTS


class Move(NamedTuple):
    """One move that happened by itself: the state it led to, and why in one sentence. `gate` is the one that
    brought it about, empty where time did."""

    event: Event
    state: RolloutState
    why: str
    gate: str = ""


# By itself


def decide(course: Course, state: RolloutState, rulings: Iterable[Ruling] = ()) -> tuple[Move, ...]:
    """Every move that is due by the time `passed` has counted and by what the gates say, mostly none; the last
    one's state is where it leads. A new step begins with nothing held, and the rulings are not about it: where
    gates have to pass, they are asked anew."""
    moves: list[Move] = []
    while (move := _due(course, state, tuple(rulings))) is not None:
        moves.append(move)
        state, rulings = move.state, ()
    return tuple(moves)


def passed(course: Course, state: RolloutState, elapsed: float) -> RolloutState:
    """The state after so many seconds in its place. Only time that something waits for is counted."""
    end = lasts(course, state)
    if end is None:
        return state
    held = state.held + elapsed
    if held > end:  # the hold is over: time goes on only where something is given up for its sake
        held = min(held, gives_up(course, state) or end)
    return state if held <= state.held else replace(state, held=held)


def lasts(course: Course, state: RolloutState) -> float | None:
    """How many seconds the present place lasts by itself; None where no time is waited for."""
    end: float | None = None
    if state.phase is Phase.PROGRESSING:
        end = course.rungs[state.step].hold
    elif state.phase is Phase.SOAKING:
        end = course.soak
    elif state.phase is Phase.PROMOTED:
        end = course.keep
    return None if end == inf else end


def gives_up(course: Course, state: RolloutState) -> float | None:
    """The seconds held after which a step without a verdict is given up; None where it never is."""
    end = lasts(course, state)
    if end is None or not asked_to_pass(course, state) or course.on_inconclusive == "hold":
        return None
    return None if course.give_up == inf else end + course.give_up


def _due(course: Course, state: RolloutState, rulings: tuple[Ruling, ...]) -> Move | None:
    failed = failing(rulings)
    if failed is not None and course.answers and on_trial(course, state):
        return _failed(course, state, failed)
    end = lasts(course, state)
    if end is None or state.held < end:
        return None
    if state.phase is Phase.SOAKING:
        promoted = _moved(state, phase=follow(state.phase, Event.SOAKED), held=0.0)
        return Move(Event.SOAKED, promoted, "the soak is over")
    if state.phase is Phase.PROMOTED:
        return None
    if open_now := unsettled(course, state, rulings):
        return _given_up(course, state, open_now[0])
    return _up(course, state)


def _up(course: Course, state: RolloutState) -> Move:
    following = _enter(course, _moved(state, phase=follow(state.phase, Event.ADVANCE)), state.step + 1)
    step = f"step {state.step + 1} of {len(course.rungs)}"
    held = "was held to its end" if course.rungs[state.step].hold else "is over"
    why = f"{step} {held}"
    if gates := asked_to_pass(course, state):
        names = ", ".join(dict.fromkeys(gate.tag for gate in gates))
        why = f"{step} {held}, and its gates pass: {names}"
    event = Event.ADVANCE if following.step < len(course.rungs) else Event.COMPLETE
    return Move(event, following, why)


def _failed(course: Course, state: RolloutState, failed: Ruling) -> Move | None:
    why = f"{failed.gate}: {failed.why}"
    if course.on_fail == "rollback":
        return Move(Event.ROLLBACK, rollback(state), why, failed.gate)
    if state.phase in (Phase.PAUSED, Phase.PROMOTED):
        return None  # it waits for a person already, or has no pause: that person can read the ruling
    return Move(Event.PAUSE, pause(course, state), why, failed.gate)


def _given_up(course: Course, state: RolloutState, still_open: Ruling) -> Move | None:
    given_up = gives_up(course, state)
    if given_up is None or state.held < given_up:
        return None
    why = f"no verdict within give_up after the hold: {still_open.gate}: {still_open.why}"
    if course.on_inconclusive == "rollback":
        return Move(Event.ROLLBACK, rollback(state), why, still_open.gate)
    # Whoever resumes gives it as much time again: the hold is over, and the wait begins anew.
    waiting = _moved(pause(course, state), held=lasts(course, state) or 0.0)
    return Move(Event.PAUSE, waiting, why, still_open.gate)


def _moved(state: RolloutState, **changes: Any) -> RolloutState:
    """The state with these changes, under a new cohort where they expose the candidate otherwise."""
    after = replace(state, **changes)
    return after if _exposure(after) == _exposure(state) else replace(after, cohort=state.cohort + 1)


def _exposure(state: RolloutState) -> tuple[object, ...]:
    return state.pattern, state.trusted, state.candidates, state.share, state.mirror


def _enter(course: Course, state: RolloutState, step: int) -> RolloutState:
    """Arrives at a rung while progressing: waits if it is a pause; past the last the candidate has all."""
    if step >= len(course.rungs):
        return _complete(course, state)
    rung = course.rungs[step]
    phase = follow(state.phase, Event.PAUSE) if rung.pause else state.phase
    return _moved(state, phase=phase, step=step, share=rung.share, mirror=rung.mirror, held=0.0)


def _complete(course: Course, state: RolloutState) -> RolloutState:
    phase = follow(state.phase, Event.COMPLETE)
    if not course.soak:
        phase = follow(phase, Event.SOAKED)
    return _moved(state, phase=phase, step=len(course.rungs), share=SHARE_PARTS, mirror=0, held=0.0)


# By command


def promote(course: Course, state: RolloutState) -> RolloutState:
    """The next step now; after the last one 100 % and the soak; out of the soak, promoted."""
    _needs_candidate(course, state, "promote")
    moved = _moved(state, phase=follow(state.phase, Event.PROMOTE))
    if moved.phase is Phase.PROMOTED:
        return _moved(moved, held=0.0)
    if _past_the_last(course, state):
        ended = _complete(course, moved)
        if ended.phase is Phase.SOAKING and state.share == SHARE_PARTS:
            return _moved(ended, phase=follow(ended.phase, Event.PROMOTE))
        return ended
    # A share set by hand below its step: that step is still ahead.
    ahead = state.step if state.share < course.rungs[state.step].share else state.step + 1
    return _enter(course, moved, ahead)


def finish(course: Course, state: RolloutState) -> RolloutState:
    """100 % now, whatever steps are left, and the soak; out of the soak, promoted."""
    if _past_the_last(course, state):
        return promote(course, state)
    _needs_candidate(course, state, "promote")
    return _complete(course, _moved(state, phase=follow(state.phase, Event.PROMOTE)))


def pause(course: Course, state: RolloutState) -> RolloutState:
    """Nothing moves by itself any more; the share stays. A shadow's copies stop."""
    if state.phase is Phase.PAUSED:
        return state
    mirror = state.mirror if course.answers else 0
    return _moved(state, phase=follow(state.phase, Event.PAUSE), mirror=mirror)


def resume(course: Course, state: RolloutState) -> RolloutState:
    """Goes on where it was; from a pause step to the next one; after a share by hand to the first step that
    is not below it, and at 100 % to the soak."""
    moved = _moved(state, phase=follow(state.phase, Event.RESUME))
    if _past_the_last(course, state):
        return _moved(_complete(course, moved), held=state.held)
    rung = course.rungs[state.step]
    if rung.pause:
        return _enter(course, moved, state.step + 1)
    return _moved(moved, share=rung.share, mirror=rung.mirror)


def share(course: Course, state: RolloutState, parts: int) -> RolloutState:
    """The candidate's share by hand, of SHARE_PARTS; the automation pauses.

    `step` becomes the one it would go on with. Raises Refused (400) for a share out of range.
    """
    if not 0 <= parts <= SHARE_PARTS:
        raise Refused(400, "a share lies between 0% and 100%")
    _needs_candidate(course, state, "share")
    phase = follow(state.phase, Event.SHARE)
    step = len(course.rungs) if parts == SHARE_PARTS else _first_not_below(course.rungs, parts)
    return _moved(state, phase=phase, share=parts, step=step, held=0.0)


def switch(course: Course, state: RolloutState, to: str, rulings: Iterable[Ruling] = ()) -> RolloutState:
    """Begins to move all traffic to the other colour; without steps it has moved when this returns.

    A colour that is live already, or on its way, changes nothing. Raises Refused: 400 for an unknown colour, 409
    where one of the rulings fails the colour before it got any traffic.
    """
    if not course.colours:
        raise forbidden(state.phase, "switch", f"{course.deployment} follows no blue_green pattern")
    if to not in course.colours:
        raise Refused(400, f"{to!r} is no colour", known=tuple(course.colours))
    target = course.colours[to]
    under_way = state.phase in (Phase.PROGRESSING, Phase.PAUSED)
    if state.phase is Phase.PROGRESSING and target == state.candidates[0]:
        return state
    if under_way and target == state.live:
        raise forbidden(state.phase, f"switch to {to}", f"rollback returns to {to} at once")
    if target == state.live:
        return state
    phase = follow(state.phase, Event.SWITCH)
    if (failed := failing(rulings)) is not None:
        because = f"{failed.gate} fails: {failed.why}"
        raise forbidden(state.phase, f"switch to {to}", because)
    number = state.cohort + 1
    moved = replace(state, phase=phase, trusted=state.live, candidates=(target,), cohort=number, began=number)
    return _enter(course, moved, 0)


def rollback(state: RolloutState) -> RolloutState:
    """Everything to the trusted version, no copies. Needs no course: a rollback depends on no spec."""
    phase = follow(state.phase, Event.ROLLBACK)
    if phase is state.phase:
        return state
    return _moved(state, phase=phase, share=0, mirror=0, held=0.0)


def restart(course: Course, state: RolloutState) -> RolloutState:
    """The first step again, from any phase; blue-green waits for `switch` again, at the colour live now."""
    if not course.pattern:
        raise forbidden(state.phase, "restart", f"{course.deployment} has no rollout in the YAML")
    phase = follow(state.phase, Event.RESTART)
    return _begin(course, phase, _trusted(course, state), state.cohort + 1)


def _needs_candidate(course: Course, state: RolloutState, what: str) -> None:
    if not course.pattern:
        raise forbidden(state.phase, what, f"{course.deployment} has no rollout in the YAML")
    if not course.answers:
        raise forbidden(
            state.phase, what, "a shadow never answers; make it the candidate of a canary instead"
        )


def _past_the_last(course: Course, state: RolloutState) -> bool:
    return state.step >= len(course.rungs)


# By an edit of the spec


def reconcile(course: Course, state: RolloutState | None) -> RolloutState:
    """The state under this spec: a first sight or other versions begin anew; else the rollout goes on.

    What was rolled back stays so as long as its candidate is the same.
    """
    if state is None:
        return _begin(course, Phase.STEADY, course.trusted, cohort=1)
    if _same_rollout(course, state):
        return _resettle(course, state)
    same_candidate = (course.pattern, course.candidates) == (state.pattern, state.candidates)
    if state.phase is Phase.ROLLED_BACK and same_candidate:
        return _moved(state, trusted=course.trusted)
    phase = follow(state.phase, Event.REPLACE)
    return _begin(course, phase, _trusted(course, state), state.cohort + 1)


def _begin(course: Course, phase: Phase, trusted: str, cohort: int) -> RolloutState:
    """A new rollout, under a cohort no earlier one had."""
    candidates = course.candidates
    if course.colours:
        candidates = tuple(name for name in course.colours.values() if name != trusted)
    state = RolloutState(
        course.deployment, course.pattern, trusted, candidates, phase, cohort=cohort, began=cohort
    )
    if not course.starts:
        return state
    return _enter(course, _moved(state, phase=follow(phase, Event.START)), 0)


def _trusted(course: Course, state: RolloutState) -> str:
    """Who answers when a rollout begins: the colour that is live stays live, whatever the YAML says first."""
    return state.live if state.live in course.colours.values() else course.trusted


def _same_rollout(course: Course, state: RolloutState) -> bool:
    if course.pattern != state.pattern:
        return False
    if course.colours:
        return {*course.colours.values()} == {state.trusted, *state.candidates}
    return (course.trusted, course.candidates) == (state.trusted, state.candidates)


def _resettle(course: Course, state: RolloutState) -> RolloutState:
    """The same rollout on edited steps: it keeps its share, and its time where its step is still there."""
    rungs = course.rungs
    if state.phase in (Phase.SOAKING, Phase.PROMOTED):
        return _unless_same(state, _moved(state, step=len(rungs)))
    if state.phase is Phase.PROGRESSING:
        step = _last_not_above(rungs, state)
        if step is None:
            return _enter(course, state, 0)
        held = state.held if rungs[step].share == state.share and step == state.step else 0.0
        placed = _moved(state, step=step, share=rungs[step].share, mirror=rungs[step].mirror, held=held)
        return _unless_same(state, placed)
    if state.phase is Phase.PAUSED:
        step = state.step
        if step >= len(rungs) or rungs[step].share != state.share:
            step = len(rungs) if state.share == SHARE_PARTS else _first_not_below(rungs, state.share)
        return _unless_same(state, _moved(state, step=step))
    return state


def _unless_same(state: RolloutState, placed: RolloutState) -> RolloutState:
    return state if placed == state else placed


def _last_not_above(rungs: tuple[Rung, ...], state: RolloutState) -> int | None:
    """Where a running rollout goes on: its own step if that has its share, else the last running one that
    does not raise the share, else the first; None without any."""
    step = state.step
    if step < len(rungs) and rungs[step].share == state.share and not rungs[step].pause:
        return step
    running = [index for index, rung in enumerate(rungs) if not rung.pause]
    below = [index for index in running if rungs[index].share <= state.share]
    return below[-1] if below else next(iter(running), None)


def _first_not_below(rungs: tuple[Rung, ...], parts: int) -> int:
    """The first running step whose share is not below this; their number if there is none."""
    return next((i for i, rung in enumerate(rungs) if not rung.pause and rung.share >= parts), len(rungs))
