"""What a rollout waits for, as one sentence for a person. Floor 2, pure."""

from router.rollout.course import Course
from router.rollout.phase import Phase
from router.rollout.ramp import lasts
from router.rollout.state import RolloutState
from router.spec import SHARE_PARTS

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def percent(parts: int) -> str:
    """A share as people write it: 5%, 0.25%."""
    return f"{parts * 100 / SHARE_PARTS:g}%"


def duration(seconds: float) -> str:
    """Seconds as people write them, in the two largest units: 1h30m, 45s; below a second 250ms."""
    if 0 < seconds < 1:
        return f"{max(1, round(seconds * 1000))}ms"
    rest, parts = round(seconds), []
    for unit, size in _UNITS:
        if rest >= size:
            parts.append(f"{rest // size}{unit}")
            rest %= size
    return "".join(parts[:2]) or "0s"


def waits_for(course: Course, state: RolloutState) -> str:
    """What has to happen before this rollout moves on."""
    match state.phase:
        case Phase.PROGRESSING:
            return _at_a_step(course, state)
        case Phase.PAUSED:
            return _paused(course, state)
        case Phase.SOAKING:
            return f"the soak: {_left(course, state)} left, then it is promoted"
        case Phase.PROMOTED:
            kept = lasts(course, state)
            if kept and state.held < kept:
                return f"nothing; {state.trusted} stays ready for another {_left(course, state)}"
            return f"nothing: {state.live} has taken over"
        case Phase.ROLLED_BACK:
            return "restart, or another candidate in the YAML"
        case Phase.STEADY:
            return "switch" if course.colours else "nothing: no rollout"


def _left(course: Course, state: RolloutState) -> str:
    return duration((lasts(course, state) or 0.0) - state.held)


def _at_a_step(course: Course, state: RolloutState) -> str:
    if lasts(course, state) is None and course.answers:
        return f"promote, to go on to {_next(course, state.step + 1)}: this step has no hold"
    if lasts(course, state) is None:
        return "nothing: copies go on until somebody stops them"
    return f"the hold: {_left(course, state)} left, then {_next(course, state.step + 1)}"


def _paused(course: Course, state: RolloutState) -> str:
    if state.step < len(course.rungs) and course.rungs[state.step].pause:
        return f"promote, to go on to {_next(course, state.step + 1)}"
    if course.rungs and not course.answers:
        return "resume, to send copies again"
    return f"resume, to go on with {_next(course, state.step)}, or promote"


def _next(course: Course, step: int) -> str:
    if step >= len(course.rungs):
        return "100%"
    rung = course.rungs[step]
    return "a pause" if rung.pause else f"{percent(rung.share)} (step {step + 1} of {len(course.rungs)})"
