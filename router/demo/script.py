"""What a demo does by itself, and when; so that one who only watches sees what is worth seeing."""

from dataclasses import dataclass
from typing import Any

PATTERNS = ("canary", "shadow", "blue-green")

HOLD = 3.0
"""Seconds each step of canary.yaml is held, unless a shorter demo leaves less."""

STEPS = 4
"""Steps of canary.yaml."""

ROLLBACK_AT = 0.85
"""When a demo that ends by itself is rolled back, as a part of its duration."""

SHOWN_BY = 16.0
"""Seconds after which a demo without an end has shown the last step, or the switch back."""

PAUSE = 6.0
"""Seconds a canary without an end stays rolled back before it begins again."""


@dataclass(frozen=True, slots=True)
class Act:
    """A call of the admin API, `at` seconds after the start."""

    at: float
    action: str
    body: dict[str, Any]

    def __str__(self) -> str:
        return " ".join([self.action, *(["to", self.body["to"]] if "to" in self.body else [])])


def script(pattern: str, duration: float | None) -> tuple[Act, ...]:
    """A canary is rolled back once all its steps were seen; blue-green switches there and back.

    `duration` in seconds; None: the demo has no end, so the canary begins again and is left to whoever watches.
    """
    if pattern == "canary":
        at = SHOWN_BY if duration is None else ROLLBACK_AT * duration
        rollback = Act(at, "rollback", {"reason": "the demo shows a rollback"})
        again = Act(at + PAUSE, "restart", {"reason": "the demo is yours now"})
        return (rollback, again) if duration is None else (rollback,)
    if pattern == "blue-green":
        every = SHOWN_BY / 2 if duration is None else duration / 3
        return (Act(every, "switch", {"to": "green"}), Act(2 * every, "switch", {"to": "blue"}))
    return ()


def hold_of(duration: float | None) -> str:
    """How long a step is held, as the YAML writes it: all of them and a soak fit before the rollback."""
    seconds = HOLD if duration is None else min(HOLD, ROLLBACK_AT * duration / (STEPS + 1))
    return f"{round(1000 * seconds)}ms"
