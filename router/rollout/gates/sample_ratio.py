"""Gate on the split itself: whether the candidate gets the part of the requests it should."""

from math import log
from typing import ClassVar, Literal

from pydantic import Field

from router.rollout.evidence_counts import Exposed, Sample
from router.rollout.gates.measuring import (
    DISPLAY_ALPHA,
    Bet,
    Finding,
    Known,
    MeasuredGate,
    Scene,
    part,
    percent,
)
from router.rollout.inference import NOTHING, odds_terms
from router.rollout.sequences import Interval, bernoulli_cs
from router.spec import Share


class SampleRatioGate(MeasuredGate):
    """`{sample_ratio: {enabled, confidence}}`: a sample-ratio check, at every canary unless it is disabled.

    A split that is not the intended one makes every comparison doubtful: it holds and alerts, and never rolls back.
    Of rollouts whose split is right, the part 1 - `confidence` at most is ever held by it. Where requests of one
    client stay together (sticky), they come in clusters of unknown size: the split is told, and not tested.
    """

    may_fail: ClassVar[bool] = False
    needs_evidence: ClassVar[bool] = False

    tag: Literal["sample_ratio"] = "sample_ratio"
    enabled: bool = True
    confidence: Share = Field(0.99, ge=0.5, le=0.9999)

    def bets(self, sample: Sample, exposed: Exposed, known: Known) -> dict[str, Bet]:
        n = sample.candidate.routed + sample.stable.routed
        if not n or not exposed.by_draw or not self.enabled:
            return {}
        mine, weight = sample.candidate.routed, exposed.weight
        return {
            "above": Bet(odds_terms(mine, n, weight, "above"), NOTHING),
            "below": Bet(odds_terms(mine, n, weight, "below"), NOTHING),
        }

    def finding(self, scene: Scene) -> Finding:
        if scene.exposed.role != "live":
            return Finding(
                "no share to check", "the candidate answers nothing at this step", {"intended": 0.0}
            )
        mine, n = scene.step.candidate.routed, scene.step.candidate.routed + scene.step.stable.routed
        share, intended = part(mine, n), scene.exposed.weight
        detail = f"{mine} of {n} requests, {percent(intended)} intended"
        if not n:
            detail = f"no request yet, {percent(intended)} intended"
        if not self.enabled:
            detail += ", not checked"
        elif not scene.exposed.drawn:
            detail += "; clients stay together, so this is told and not tested"
        head = f"share {percent(share)}" if n else "share not seen yet"
        return Finding(head, detail, {"share": share, "intended": intended}, percent)

    def interval(self, scene: Scene) -> Interval | None:
        if scene.exposed.role != "live":
            return None
        mine, n = scene.step.candidate.routed, scene.step.candidate.routed + scene.step.stable.routed
        return bernoulli_cs(n, mine, DISPLAY_ALPHA)

    def bar(self, fails_at: float) -> float:
        return -log(1.0 - self.confidence)

    def aim(self) -> str:
        return "must be the intended share"

    def limit(self, bound: str) -> str:
        return "a larger share than intended" if bound == "above" else "a smaller share than intended"
