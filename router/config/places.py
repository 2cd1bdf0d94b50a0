"""Places in the YAML: how one gets there, and the line where it stands. Floor 3."""

from dataclasses import dataclass
from typing import Any

Steps = tuple[str | int, ...]
"""A place in the YAML as the keys and positions that lead there."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file (0: the file as a whole)."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


def dotted(steps: Steps) -> str:
    """`deployments.loan.rollout.steps[1].share`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def child_of(value: Any, step: str | int) -> tuple[bool, Any]:
    """Whether the step leads on from here, and where to (None: nowhere)."""
    if isinstance(value, dict):
        return step in value, value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return True, value[step]
    return False, None
