"""The phases of a rollout and every move between them. Floor 2.

A move that is not in the table does not exist. Three things hold and are tested: every phase has a rollback
edge (for `steady` and `rolled_back` it leads back to itself: nothing to undo), every phase can be left by
`restart` and by `replace`, and out of `rolled_back` nothing else leads.

`restart` and `replace` lead to `steady`: a clean slate. Patterns that begin by themselves (shadow, canary)
are moved on by `start` in the same breath; blue-green stays there until somebody says `switch`.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from router.errors import Refused


class Phase(StrEnum):
    """Where a rollout is."""

    STEADY = "steady"
    PROGRESSING = "progressing"
    PAUSED = "paused"
    SOAKING = "soaking"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"


class Event(StrEnum):
    """What moves it. The first four happen by themselves or through the YAML, the others are commands."""

    START = "start"
    ADVANCE = "advance"
    COMPLETE = "complete"
    SOAKED = "soaked"
    REPLACE = "replace"
    PROMOTE = "promote"
    PAUSE = "pause"
    RESUME = "resume"
    SHARE = "share"
    SWITCH = "switch"
    ROLLBACK = "rollback"
    RESTART = "restart"


TABLE: Mapping[Phase, Mapping[Event, Phase]] = MappingProxyType(
    {
        Phase.STEADY: {
            Event.START: Phase.PROGRESSING,
            Event.SWITCH: Phase.PROGRESSING,
            Event.SHARE: Phase.PAUSED,
            Event.ROLLBACK: Phase.STEADY,
            Event.RESTART: Phase.STEADY,
            Event.REPLACE: Phase.STEADY,
        },
        Phase.PROGRESSING: {
            Event.ADVANCE: Phase.PROGRESSING,
            Event.PROMOTE: Phase.PROGRESSING,
            Event.COMPLETE: Phase.SOAKING,
            Event.PAUSE: Phase.PAUSED,
            Event.SHARE: Phase.PAUSED,
            Event.ROLLBACK: Phase.ROLLED_BACK,
            Event.RESTART: Phase.STEADY,
            Event.REPLACE: Phase.STEADY,
        },
        Phase.PAUSED: {
            Event.RESUME: Phase.PROGRESSING,
            Event.PROMOTE: Phase.PROGRESSING,
            Event.PAUSE: Phase.PAUSED,
            Event.SHARE: Phase.PAUSED,
            Event.ROLLBACK: Phase.ROLLED_BACK,
            Event.RESTART: Phase.STEADY,
            Event.REPLACE: Phase.STEADY,
        },
        Phase.SOAKING: {
            Event.SOAKED: Phase.PROMOTED,
            Event.PROMOTE: Phase.PROMOTED,
            Event.PAUSE: Phase.PAUSED,
            Event.SHARE: Phase.PAUSED,
            Event.ROLLBACK: Phase.ROLLED_BACK,
            Event.RESTART: Phase.STEADY,
            Event.REPLACE: Phase.STEADY,
        },
        Phase.PROMOTED: {
            Event.SWITCH: Phase.PROGRESSING,
            Event.ROLLBACK: Phase.ROLLED_BACK,
            Event.RESTART: Phase.STEADY,
            Event.REPLACE: Phase.STEADY,
        },
        Phase.ROLLED_BACK: {
            Event.ROLLBACK: Phase.ROLLED_BACK,
            Event.RESTART: Phase.STEADY,
            Event.REPLACE: Phase.STEADY,
        },
    }
)

INSTEAD: Mapping[Phase, str] = MappingProxyType(
    {
        Phase.STEADY: "no rollout is running; for blue_green, switch begins one",
        Phase.PROGRESSING: "promote goes to the next step now, pause stops where it is, rollback undoes it",
        Phase.PAUSED: "resume goes on, promote goes to the next step, rollback undoes it",
        Phase.SOAKING: "promote ends the soak now, pause stops it, rollback undoes the rollout",
        Phase.PROMOTED: "the rollout is over; rollback undoes it, restart begins it again",
        Phase.ROLLED_BACK: "it stays rolled back until the candidate changes or you say restart",
    }
)
"""What would work, by phase: the second half of every refusal."""


def follow(phase: Phase, event: Event) -> Phase:
    """The phase that the event leads to. Raises Refused (409) where the table has no such move."""
    try:
        return TABLE[phase][event]
    except KeyError:
        raise forbidden(phase, event.value) from None


def forbidden(phase: Phase, what: str, because: str = "") -> Refused:
    """The refusal of `what` in this phase, with what would work instead (or the given reason)."""
    return Refused(409, f"{what} is not possible while {phase}: {because or INSTEAD[phase]}", phase=phase)


def place(phase: str, step: int, steps: int) -> str:
    """`step 2 of 3`, counted from 1, for people; nothing where the rollout is at none, because it has not begun, is
    past the last or was undone."""
    at_one = step < steps and phase not in (Phase.STEADY, Phase.ROLLED_BACK)
    return f"step {step + 1} of {steps}" if at_one else ""


def diagram() -> str:
    """The table as a Mermaid state diagram: one arrow for each pair of phases, its events in table order."""
    arrows: dict[tuple[Phase, Phase], list[str]] = {}
    for phase, moves in TABLE.items():
        for event, target in moves.items():
            arrows.setdefault((phase, target), []).append(event.value)
    lines = [f"    {start} --> {end}: {', '.join(events)}" for (start, end), events in arrows.items()]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {Phase.STEADY}", *lines, ""])
