"""What a rollout waits for, as one sentence for a person. Floor 2, pure."""

from collections.abc import Iterable

from router.rollout.course import Course
from router.rollout.phase import Phase
from router.rollout.ramp import gives_up, lasts
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict
from router.rollout.watch import asked_to_pass, failing, on_trial, unsettled
from router.shares import SHARE_PARTS

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


def waits_for(course: Course, state: RolloutState, rulings: Iterable[Ruling] = ()) -> str:
    """What has to happen before this rollout moves on, and what its gates say of it."""
    rulings = tuple(rulings)
    failed = failing(rulings) if on_trial(course, state) else None
    about = f"; {failed.gate} fails: {failed.why}" if failed is not None else ""
    match state.phase:
        case Phase.PROGRESSING:
            return _at_a_step(course, state, rulings)
        case Phase.PAUSED:
            return _paused(course, state) + (about or _stopped(course, state))
        case Phase.SOAKING:
            return f"the soak: {_left(course, state)} left, then it is promoted"
        case Phase.PROMOTED:
            kept = lasts(course, state)
            if kept and state.held < kept:
                return f"nothing; {state.trusted} stays ready for another {_left(course, state)}"
            return f"nothing: {state.live} has taken over"
        case Phase.ROLLED_BACK:
            return "restart, or another candidate in the YAML" + _stopped(course, state)
        case Phase.STEADY:
            return _switch(course, state) if course.colours else "nothing: no rollout"


def _roughly(seconds: float) -> str:
    """An estimate, in no finer unit than it deserves."""
    unit = next((unit for least, unit in ((36000, 3600), (600, 60), (100, 10)) if seconds >= least), 1)
    return duration(max(round(seconds / unit), 1) * unit)


def _left(course: Course, state: RolloutState) -> str:
    return duration((lasts(course, state) or 0.0) - state.held)


def _at_a_step(course: Course, state: RolloutState, rulings: tuple[Ruling, ...]) -> str:
    if lasts(course, state) is None and course.answers:
        return f"promote, to go on to {_next(course, state.step + 1)}: this step has no hold"
    if lasts(course, state) is None:
        return "nothing: copies go on until somebody stops them"
    open_now = unsettled(course, state, rulings)
    if not open_now or state.held < (lasts(course, state) or 0.0):
        condition = " if its gates pass" if asked_to_pass(course, state) else ""
        held_back = next((f"; now {each.gate}: {each.why}" for each in open_now if each.hold), "")
        return f"the hold: {_left(course, state)} left, then {_next(course, state.step + 1)}{condition}{held_back}"
    return _holding(course, state, open_now)


def _holding(course: Course, state: RolloutState, open_now: tuple[Ruling, ...]) -> str:
    """Its hold is over, and something keeps it."""
    first = open_now[0]
    lacks = "better evidence" if first.hold else _LACKS[first.verdict]
    more = f" (and {len(open_now) - 1} more)" if len(open_now) > 1 else ""
    about = f"; about {_roughly(first.wait)} at this traffic" if first.wait else ""
    given_up = gives_up(course, state)
    end = (
        ""
        if given_up is None
        else f"; else {_GIVES_UP[course.on_inconclusive]} in {duration(given_up - state.held)}"
    )
    return f"{lacks}, holding at {percent(state.share)}: {first.why}{about}{more}{end}"


_LACKS = {
    Verdict.INCONCLUSIVE: "evidence",
    Verdict.ERROR: "a gate that answers",
    Verdict.FAIL: "better evidence",
    Verdict.PASS: "better evidence",
}
_GIVES_UP = {"pause": "it pauses", "rollback": "it is rolled back"}


def _paused(course: Course, state: RolloutState) -> str:
    if state.step < len(course.rungs) and course.rungs[state.step].pause:
        return f"promote, to go on to {_next(course, state.step + 1)}"
    if course.rungs and not course.answers:
        return "resume, to send copies again"
    return f"resume, to go on with {_next(course, state.step)}, or promote"


def _switch(course: Course, state: RolloutState) -> str:
    colour = next((name for name, version in course.colours.items() if version != state.live), "")
    return f"switch, to make {colour} live"


def _stopped(course: Course, state: RolloutState) -> str:
    """Who stopped it there, and why; a pause that stands in the steps needs no reason."""
    planned = state.step < len(course.rungs) and course.rungs[state.step].pause
    if not state.who or (state.phase is Phase.PAUSED and planned):
        return ""
    reason = f": {state.why}" if state.why else ""
    return f"; {state.phase.value.replace('_', ' ')} by {state.who}{reason}"


def _next(course: Course, step: int) -> str:
    if step >= len(course.rungs):
        return "100%"
    rung = course.rungs[step]
    return "a pause" if rung.pause else f"{percent(rung.share)} (step {step + 1} of {len(course.rungs)})"
