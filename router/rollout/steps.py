"""The ramp as people write it: its steps, what watches them, what they wait for, and what follows.

Floor 2. Durations are seconds, shares fractions of 1.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from router.rollout.gates import Gate, needs_pairs
from router.spec import Duration, Share, Spec

Gates = tuple[Gate, ...]


def _check_confidence(share: float) -> float:
    if not 0.5 <= share <= 0.9999:
        raise ValueError(
            "confidence lies between 50% and 99.99%; 1 - confidence is how often a good candidate fails"
        )
    return share


Confidence = Annotated[Share, AfterValidator(_check_confidence)]


class Step(Spec):
    """One rung: `{share, hold}`, or `{pause: true}`, which keeps the share and waits to be promoted.

    Without `hold` nothing says how long to stay: it ends as soon as its gates pass, and without any a person ends
    it, unless it is the whole way (100 %). `gates` are conditions of this step alone, beside those of the rollout.
    """

    share: Share | None = None
    hold: Duration | None = None
    pause: Literal[True] | None = None
    gates: Gates = ()

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


def _check_ascending(steps: tuple[Step, ...]) -> None:
    last = 0.0
    for index, step in enumerate(steps):
        if step.share is None:
            continue
        if step.share < last:
            raise ValueError(f"step {index} lowers the share: a ramp only rises (rollback is what lowers it)")
        last = step.share


class Watched(Spec):
    """The keys of every rollout that gates may watch.

    Of all verdicts `fail` of one rollout, however long it lasts and however often one looks, the part
    1 - `confidence` at most is false. No gate passes a step before the candidate has answered `min_requests` in it.
    """

    splits: ClassVar[bool] = True
    """Whether the candidate answers a part of the requests, so that there is a split to check."""

    gates: Gates = ()
    confidence: Confidence = 0.99
    min_requests: int = Field(100, ge=0, le=1_000_000_000)

    @field_validator("gates")
    @classmethod
    def _some_split(cls, gates: Gates) -> Gates:
        if not cls.splits and any(gate.tag == "sample_ratio" for gate in gates):
            raise ValueError(
                "sample_ratio compares shares, and a shadow answers none of the requests: remove it"
            )
        return gates


class ShadowWatch(Watched):
    """The half of a shadow's `rollout` that gates watch: their verdicts are shown, and nothing follows from them."""

    splits = False


class Guarded(Watched):
    """What follows where gates fail, or come to no verdict for `give_up` seconds beyond a step's hold."""

    on_fail: Literal["rollback", "pause"] = "rollback"
    on_inconclusive: Literal["hold", "pause", "rollback"] = "hold"
    give_up: Annotated[Duration, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _when_to_give_up(self) -> "Guarded":
        if self.on_inconclusive != "hold" and self.give_up is None:
            raise ValueError(
                f"on_inconclusive: {self.on_inconclusive} needs give_up, the time after which it happens, such as 2h"
            )
        return self


class Ramp(Guarded):
    """The half of a canary's `rollout` that says how it goes on.

    `count_failures`: repeated failures of one client for one cause count once, or each; not given, once where the
    rollout is sticky, since one client's failures are then all on one side.
    """

    steps: tuple[CanaryStep, ...] = Field(min_length=1)
    soak: Duration = 0.0
    count_failures: Literal["once_per_client", "each"] | None = None

    @field_validator("steps")
    @classmethod
    def _ascending(cls, steps: tuple[CanaryStep, ...]) -> tuple[CanaryStep, ...]:
        _check_ascending(steps)
        return steps

    @model_validator(mode="after")
    def _pairs_for_those_that_need_them(self) -> "Ramp":
        asking = _first_that_needs_pairs((*self.gates, *(gate for step in self.steps for gate in step.gates)))
        if asking and not any(step.mirror for step in self.steps):
            raise ValueError(
                f"{asking} judges pairs, and no step makes any: give a step mirror, such as mirror: 10%"
            )
        return self


class SwitchSteps(Spec):
    """`switch: {steps: […]}`: how the other colour takes over once somebody says `switch`."""

    steps: tuple[Step, ...] = Field(min_length=1)

    @field_validator("steps")
    @classmethod
    def _ascending(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        _check_ascending(steps)
        return steps


class Switch(Guarded):
    """The half of a blue-green `rollout` that says how the switch goes; without `switch`, all at once. Its gates
    watch while both colours answer, and as long as the old one is kept."""

    switch: SwitchSteps | None = None
    keep: Duration = 0.0

    @model_validator(mode="after")
    def _no_pairs_here(self) -> "Switch":
        steps = self.switch.steps if self.switch else ()
        asking = _first_that_needs_pairs((*self.gates, *(gate for step in steps for gate in step.gates)))
        if asking:
            raise ValueError(
                f"{asking} judges pairs, and blue_green makes none: use error_rate and latency here"
            )
        return self


def _first_that_needs_pairs(gates: Iterable[Gate]) -> str:
    return next((gate.tag for gate in gates if needs_pairs(gate)), "")
