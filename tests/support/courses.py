"""Courses of every pattern and what gates may say of them, and states on the way along."""

from collections.abc import Callable

from msgspec.structs import replace

from router.rollout import ramp
from router.rollout.course import Course, Rung, endless
from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.gates.latency import LatencyGate
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict
from router.shares import SHARE_PARTS

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

ERRORS, LATENCY = ErrorRateGate(), LatencyGate(max_ratio=1.2)

GATED = replace(CANARY, gates=(ERRORS,), rungs=(Rung(100, 1000, 60.0, gates=(LATENCY,)), *CANARY.rungs[1:]))

GUARDED_COLOURS = replace(STEPPED, gates=(ERRORS,))


def says(verdict: Verdict, gate: str = "error_rate", hold: bool = False) -> Ruling:
    return Ruling(gate, verdict, f"so it says: {verdict.value}", hold=hold)


PASS, FAIL, INCONCLUSIVE, ERROR = (
    says(verdict) for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ERROR)
)

FAST = says(Verdict.PASS, "latency")


def begun(course: Course) -> RolloutState:
    return ramp.reconcile(course, None)


def after(course: Course, state: RolloutState, seconds: float) -> RolloutState:
    state = ramp.passed(course, state, seconds)
    moves = ramp.decide(course, state)
    return moves[-1].state if moves else state


def place(state: RolloutState) -> tuple[str, int, int]:
    return state.phase.value, state.step, state.share


def held(course: Course, seconds: float, **changes: object) -> RolloutState:
    return replace(ramp.passed(course, begun(course), seconds), **changes)


def edited(course: Course, *rungs: Rung) -> Course:
    return replace(course, rungs=rungs)
