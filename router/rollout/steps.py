"""The ramp as people write it: its steps, what they wait for, and what follows.

Floor 2. Durations are seconds, shares fractions of 1.
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from router.rollout.gates import Gate
from router.spec import Duration, NotYet, Share, Spec

Gates = Annotated[tuple[Gate, ...], NotYet]
Confidence = Annotated[Share, NotYet]


class Step(Spec):
    """One rung: `{share, hold}`, or `{pause: true}`, which keeps the share and waits to be promoted.

    Without `hold` nothing says how long to stay, so a person does: it waits to be promoted too, unless it is the
    whole way (100 %).
    """

    share: Share | None = None
    hold: Duration | None = None
    pause: Literal[True] | None = None

    @model_validator(mode="after")
    def _share_or_pause(self) -> "Step":
        if self.pause and self.model_fields_set != {"pause"}:
            raise ValueError("a pause stands alone: put {pause: true} in a step of its own")
        if not self.pause and self.share is None:
            raise ValueError("a step needs share, or pause: true")
        return self


class CanaryStep(Step):
    """A step that may also copy a part of the requests to the side that does not answer them."""

    mirror: Share = 0.0
    gates: Gates | None = None


def _check_ascending(steps: tuple[Step, ...]) -> None:
    last = 0.0
    for index, step in enumerate(steps):
        if step.share is None:
            continue
        if step.share < last:
            raise ValueError(f"step {index} lowers the share: a ramp only rises (rollback is what lowers it)")
        last = step.share


class Ramp(Spec):
    """The half of a canary's `rollout` that says how it goes on."""

    steps: tuple[CanaryStep, ...] = Field(min_length=1)
    soak: Duration = 0.0
    gates: Gates | None = None
    confidence: Confidence | None = None
    min_requests: Annotated[int, Field(ge=0), NotYet] | None = None
    on_fail: Annotated[Literal["rollback", "pause"], NotYet] | None = None
    on_inconclusive: Annotated[Literal["hold", "pause", "rollback"], NotYet] | None = None
    give_up: Annotated[Duration, NotYet] | None = None

    @field_validator("steps")
    @classmethod
    def _ascending(cls, steps: tuple[CanaryStep, ...]) -> tuple[CanaryStep, ...]:
        _check_ascending(steps)
        return steps


class SwitchSteps(Spec):
    """`switch: {steps: […]}`: how the other colour takes over once somebody says `switch`."""

    steps: tuple[Step, ...] = Field(min_length=1)

    @field_validator("steps")
    @classmethod
    def _ascending(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        _check_ascending(steps)
        return steps


class Switch(Spec):
    """The half of a blue-green `rollout` that says how the switch goes; without `switch`, all at once."""

    switch: SwitchSteps | None = None
    keep: Duration = 0.0
    gates: Gates | None = None
