"""How a rollout goes on: by itself, by command, and when its spec is edited.

Floor 2, pure: no clock, no I/O. Every function takes the course (the spec) and a state and returns the next
state; where nothing changes it returns the very state it was given, so that callers compare with `is`. All
moves go through the phase table; a move it does not have raises Refused (409).
"""

from math import inf
from typing import NamedTuple

from msgspec.structs import replace

from router.errors import Refused
from router.rollout.course import Course, Rung
from router.rollout.phase import Event, Phase, follow, forbidden
from router.rollout.state import RolloutState
from router.spec import SHARE_PARTS


class Move(NamedTuple):
    """One move that happened by itself: the state it led to, and why in one sentence."""

    event: Event
    state: RolloutState
    why: str


# By itself


def decide(course: Course, state: RolloutState) -> tuple[Move, ...]:
    """Every move that is due by the time `passed` has counted, mostly none; the last one's state is where it
    leads. A new step begins with nothing held."""
    moves: list[Move] = []
    while (move := _due(course, state)) is not None:
        moves.append(move)
        state = move.state
    return tuple(moves)


def passed(course: Course, state: RolloutState, elapsed: float) -> RolloutState:
    """The state after so many seconds in its place. Only time that something waits for is counted."""
    end = lasts(course, state)
    if end is None or elapsed <= 0.0 or state.held >= end:
        return state
    return replace(state, held=min(state.held + elapsed, end))


def lasts(course: Course, state: RolloutState) -> float | None:
    """How many seconds the present place lasts by itself; None where no time is waited for."""
    end: float | None = None
    if state.phase is Phase.PROGRESSING and state.step < len(course.rungs):
        end = course.rungs[state.step].hold
    elif state.phase is Phase.SOAKING:
        end = course.soak
    elif state.phase is Phase.PROMOTED:
        end = course.keep
    return None if end == inf else end


def _due(course: Course, state: RolloutState) -> Move | None:
    end = lasts(course, state)
    if end is None or state.held < end:
        return None
    if state.phase is Phase.SOAKING:
        promoted = replace(state, phase=follow(state.phase, Event.SOAKED), held=0.0)
        return Move(Event.SOAKED, promoted, "the soak is over")
    if state.phase is Phase.PROMOTED:
        return None
    following = _enter(course, replace(state, phase=follow(state.phase, Event.ADVANCE)), state.step + 1)
    why = f"step {state.step + 1} of {len(course.rungs)} was held to its end"
    event = Event.ADVANCE if following.step < len(course.rungs) else Event.COMPLETE
    return Move(event, following, why)


def _enter(course: Course, state: RolloutState, step: int) -> RolloutState:
    """Arrives at a rung while progressing: waits if it is a pause; past the last the candidate has all."""
    if step >= len(course.rungs):
        return _complete(course, state)
    rung = course.rungs[step]
    phase = follow(state.phase, Event.PAUSE) if rung.pause else state.phase
    return replace(state, phase=phase, step=step, share=rung.share, mirror=rung.mirror, held=0.0)


def _complete(course: Course, state: RolloutState) -> RolloutState:
    phase = follow(state.phase, Event.COMPLETE)
    if not course.soak:
        phase = follow(phase, Event.SOAKED)
    return replace(state, phase=phase, step=len(course.rungs), share=SHARE_PARTS, mirror=0, held=0.0)


# By command


def promote(course: Course, state: RolloutState) -> RolloutState:
    """The next step now; after the last one 100 % and the soak; out of the soak, promoted."""
    _needs_candidate(course, state, "promote")
    moved = replace(state, phase=follow(state.phase, Event.PROMOTE))
    if moved.phase is Phase.PROMOTED:
        return replace(moved, held=0.0)
    if _past_the_last(course, state):
        ended = _complete(course, moved)
        if ended.phase is Phase.SOAKING and state.share == SHARE_PARTS:
            return replace(ended, phase=follow(ended.phase, Event.PROMOTE))
        return ended
    # A share set by hand below its step: that step is still ahead.
    ahead = state.step if state.share < course.rungs[state.step].share else state.step + 1
    return _enter(course, moved, ahead)


def pause(course: Course, state: RolloutState) -> RolloutState:
    """Nothing moves by itself any more; the share stays. A shadow's copies stop."""
    if state.phase is Phase.PAUSED:
        return state
    mirror = state.mirror if course.answers else 0
    return replace(state, phase=follow(state.phase, Event.PAUSE), mirror=mirror)


def resume(course: Course, state: RolloutState) -> RolloutState:
    """Goes on where it was; from a pause step to the next one; after a share by hand to the first step that
    is not below it, and at 100 % to the soak."""
    moved = replace(state, phase=follow(state.phase, Event.RESUME))
    if _past_the_last(course, state):
        return replace(_complete(course, moved), held=state.held)
    rung = course.rungs[state.step]
    if rung.pause:
        return _enter(course, moved, state.step + 1)
    return replace(moved, share=rung.share, mirror=rung.mirror)


def share(course: Course, state: RolloutState, parts: int) -> RolloutState:
    """The candidate's share by hand, of SHARE_PARTS; the automation pauses.

    `step` becomes the one it would go on with. Raises Refused (400) for a share out of range.
    """
    if not 0 <= parts <= SHARE_PARTS:
        raise Refused(400, "a share lies between 0% and 100%")
    _needs_candidate(course, state, "share")
    phase = follow(state.phase, Event.SHARE)
    step = len(course.rungs) if parts == SHARE_PARTS else _first_not_below(course.rungs, parts)
    return replace(state, phase=phase, share=parts, step=step, held=0.0)


def switch(course: Course, state: RolloutState, to: str) -> RolloutState:
    """Begins to move all traffic to the other colour; without steps it has moved when this returns.

    A colour that is live already, or on its way, changes nothing. Raises Refused (400) for an unknown colour.
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
    moved = replace(
        state,
        phase=follow(state.phase, Event.SWITCH),
        trusted=state.live,
        candidates=(target,),
        share=0,
    )
    return _enter(course, moved, 0)


def rollback(state: RolloutState) -> RolloutState:
    """Everything to the trusted version, no copies. Needs no course: a rollback depends on no spec."""
    phase = follow(state.phase, Event.ROLLBACK)
    if phase is state.phase:
        return state
    return replace(state, phase=phase, share=0, mirror=0, held=0.0)


def restart(course: Course, state: RolloutState) -> RolloutState:
    """The first step again, from any phase; blue-green waits for `switch` again, at the colour live now."""
    if not course.pattern:
        raise forbidden(state.phase, "restart", f"{course.deployment} has no rollout in the YAML")
    return _begin(course, follow(state.phase, Event.RESTART), _trusted(course, state))


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
        return _begin(course, Phase.STEADY, course.trusted)
    if _same_rollout(course, state):
        return _resettle(course, state)
    same_candidate = (course.pattern, course.candidates) == (state.pattern, state.candidates)
    if state.phase is Phase.ROLLED_BACK and same_candidate:
        return replace(state, trusted=course.trusted)
    return _begin(course, follow(state.phase, Event.REPLACE), _trusted(course, state))


def _begin(course: Course, phase: Phase, trusted: str) -> RolloutState:
    candidates = course.candidates
    if course.colours:
        candidates = tuple(name for name in course.colours.values() if name != trusted)
    state = RolloutState(course.deployment, course.pattern, trusted, candidates, phase)
    if not course.starts:
        return state
    return _enter(course, replace(state, phase=follow(phase, Event.START)), 0)


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
        return _unless_same(state, replace(state, step=len(rungs)))
    if state.phase is Phase.PROGRESSING:
        step = _last_not_above(rungs, state)
        if step is None:
            return _enter(course, state, 0)
        held = state.held if rungs[step].share == state.share and step == state.step else 0.0
        placed = replace(state, step=step, share=rungs[step].share, mirror=rungs[step].mirror, held=held)
        return _unless_same(state, placed)
    if state.phase is Phase.PAUSED:
        step = state.step
        if step >= len(rungs) or rungs[step].share != state.share:
            step = len(rungs) if state.share == SHARE_PARTS else _first_not_below(rungs, state.share)
        return _unless_same(state, replace(state, step=step))
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
