"""What a demo does by itself, and when; so that one who only watches sees what is worth seeing."""

from dataclasses import dataclass
from typing import Any

PATTERNS = ("canary", "shadow", "blue-green")

HOLD = 6.0
"""Seconds each step of canary.yaml is held, unless a shorter demo leaves less."""

STEPS = 4
"""Steps of canary.yaml."""

ROLLBACK_AT = 0.85
"""When a demo that ends by itself is rolled back, as a part of its duration."""

SWITCH_EVERY = 8.0
"""Seconds between the switches of a demo without an end."""


@dataclass(frozen=True, slots=True)
class Act:
    """A call of the admin API, `at` seconds after the start."""

    at: float
    action: str
    body: dict[str, Any]

    def __str__(self) -> str:
        return " ".join([self.action, *(["to", self.body["to"]] if "to" in self.body else [])])


def script(pattern: str, duration: float | None) -> tuple[Act, ...]:
    """A canary that ends by itself is rolled back before it does; blue-green switches there and back.

    `duration` in seconds; None: the demo has no end, and a canary is left to whoever watches.
    """
    if pattern == "canary" and duration is not None:
        return (Act(ROLLBACK_AT * duration, "rollback", {"reason": "the demo shows a rollback"}),)
    if pattern == "blue-green":
        every = SWITCH_EVERY if duration is None else duration / 3
        return (Act(every, "switch", {"to": "green"}), Act(2 * every, "switch", {"to": "blue"}))
    return ()


def hold_of(duration: float | None) -> str:
    """How long a step is held, as the YAML writes it: all of them and a soak fit before the rollback."""
    seconds = HOLD if duration is None else min(HOLD, ROLLBACK_AT * duration / (STEPS + 1))
    return f"{round(1000 * seconds)}ms"
