"""Gate on how often paired answers match."""

from typing import Literal

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
from router.rollout.inference import odds_terms
from router.rollout.sequences import Interval, bernoulli_cs
from router.spec import Share


class AgreementGate(MeasuredGate):
    """`{agreement: {min}}`, of the pairs that could be compared.

    Where stable is also paired with itself (`noise`), its own disagreement is allowed on top: fails on evidence that
    candidate and stable disagree more often than 1 - `min` plus the most that stable may disagree with itself; passes
    when they are shown to disagree less often than 1 - `min` plus the least.
    """

    tag: Literal["agreement"] = "agreement"
    min: Share = Field(gt=0.0, lt=1.0)

    def bets(self, sample: Sample, exposed: Exposed, known: Known) -> dict[str, Bet]:
        n, k = sample.pairs.compared, sample.pairs.mismatch
        if not n:
            return {}
        low, high = known.noise
        allowed = 1.0 - self.min
        most, least = min(allowed + high, 1.0), min(allowed + low, 1.0)
        return {"min": Bet(odds_terms(k, n, most, "above"), odds_terms(k, n, least, "below"))}

    def finding(self, scene: Scene) -> Finding:
        pairs, noise = scene.step.pairs, scene.step.noise
        agreement = 1.0 - part(pairs.mismatch, pairs.compared)
        numbers = {"pairs": pairs.compared, "mismatches": pairs.mismatch, "incomparable": pairs.incomparable}
        if not pairs.compared:
            why = f"{pairs.incomparable} pairs could not be compared" if pairs.incomparable else "no pair yet"
            return Finding("agreement not seen yet", why, numbers)
        detail = f"{pairs.mismatch} of {pairs.compared} pairs differ"
        if noise.compared or scene.known.noise[1]:
            low, high = scene.known.noise
            detail += f", stable differs from itself in {percent(low)} to {percent(high)}"
            numbers |= {"noise_pairs": noise.compared, "noise_mismatches": noise.mismatch}
        return Finding(
            f"agreement {percent(agreement)}", detail, {**numbers, "agreement": agreement}, percent
        )

    def interval(self, scene: Scene) -> Interval | None:
        if not scene.step.pairs.compared:
            return None
        return bernoulli_cs(scene.step.pairs.compared, scene.step.pairs.match, DISPLAY_ALPHA)

    def obstacle(self, scene: Scene) -> str:
        return "" if scene.exposed.mirror else "this step makes no pairs: give it mirror"

    def judges_pairs(self) -> bool:
        return True

    def aim(self) -> str:
        return f"must be shown above {percent(self.min)}"

    def limit(self, bound: str) -> str:
        return f"an agreement below {percent(self.min)}"
