"""What an edited file means for every deployment: prepared whole, beside what is in force. Floor 4, pure."""

from collections.abc import Mapping

from msgspec.structs import replace

from router.channel import RecorderSettings
from router.config.schema import Config
from router.config.snapshot import compile_deployment, course_of
from router.control.terms import Change, Deployment, Move
from router.pairs.sinks import encode_sinks
from router.rollout import ramp
from router.rollout.phase import Event, Phase
from router.rollout.state import RolloutState

FILE = "config"
"""Who made a change that came from the file."""


def prepare(
    config: Config, known: Mapping[str, RolloutState], workers: int, clock: float, now: float
) -> dict[str, Deployment]:
    """Every deployment of the file, sorted, reconciled with the state `known` of it, and compiled.

    `clock` is monotonic, `now` Unix time, in seconds.
    """
    prepared: dict[str, Deployment] = {}
    for name, spec in sorted(config.deployments.items()):
        course = course_of(name, spec)
        before = known.get(name)
        state = ramp.reconcile(course, before)
        if state is not before and not _is_stopped_still(before, state):
            state = replace(state, who=FILE, why=_why(before, state), when=now)
        plan = compile_deployment(name, spec, state, workers)
        prepared[name] = Deployment(spec, course, state, plan, clock)
    return prepared


def difference(
    prepared: Mapping[str, Deployment],
    in_force: Mapping[str, Deployment],
    known: Mapping[str, RolloutState],
) -> Change:
    """What the file changes: the states that are new, and a move for each deployment it touches."""
    states = {name: new.state for name, new in prepared.items() if new.state is not known.get(name)}
    moves = [
        move
        for name, new in prepared.items()
        if (move := _move(new, in_force.get(name), known.get(name))) is not None
    ]
    for name in sorted(in_force.keys() - prepared.keys()):
        gone = replace(known[name], who=FILE, why="no longer in the file")
        moves.append(Move("removed", known[name], gone))
    return Change(states, tuple(moves))


def recorder_settings(config: Config) -> RecorderSettings:
    """What the recorder has to do under this configuration."""
    pairs = config.pairs
    return RecorderSettings(
        path=pairs.path,
        rotate_size=pairs.rotate.size,
        rotate_every=pairs.rotate.every,
        keep=pairs.keep,
        deployments={name: spec.pairs.wire(spec.subject) for name, spec in config.deployments.items()},
        sinks=encode_sinks(pairs.sinks),
    )


def _versions(state: RolloutState) -> tuple[object, ...]:
    return state.pattern, state.trusted, state.candidates


def _is_stopped_still(before: RolloutState | None, after: RolloutState) -> bool:
    """Whether it stands where somebody stopped it before the edit: then that is who, and why."""
    if before is None or before.candidates != after.candidates or before.pattern != after.pattern:
        return False
    return before.phase is after.phase and after.phase in (Phase.PAUSED, Phase.ROLLED_BACK)


def _why(before: RolloutState | None, after: RolloutState) -> str:
    if before is None:
        return "first seen in the file"
    if _versions(before) != _versions(after):
        return "other versions, or another pattern, in the file"
    return "other steps in the file"


def _move(new: Deployment, old: Deployment | None, before: RolloutState | None) -> Move | None:
    if before is None:
        return Move(Event.START.value, replace(new.state, phase=Phase.STEADY), new.state)
    if _versions(before) != _versions(new.state):
        return Move(Event.REPLACE.value, before, replace(new.state, who=FILE, why=_why(before, new.state)))
    if old is None:
        return Move("restored", before, replace(new.state, who=FILE, why="goes on where it was"))
    if old.spec != new.spec:
        return Move("config", before, replace(new.state, who=FILE, why="edited"))
    return None
