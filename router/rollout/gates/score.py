"""Gate on the mean score of paired answers."""

from typing import Literal

from pydantic import Field

from router.rollout.evidence_counts import Exposed, Sample
from router.rollout.gates.measuring import DISPLAY_ALPHA, Bet, Finding, Known, MeasuredGate, Scene
from router.rollout.inference import mean_terms
from router.rollout.sequences import Interval, bounded_mean_cs
from router.spec import Share


class ScoreGate(MeasuredGate):
    """`{score: {min}}`, of the mean of what the comparator gives each pair, between 0 and 1."""

    tag: Literal["score"] = "score"
    min: Share = Field(gt=0.0, lt=1.0)

    def bets(self, sample: Sample, exposed: Exposed, known: Known) -> dict[str, Bet]:
        pairs = sample.pairs
        if not pairs.scored:
            return {}
        return {
            "min": Bet(
                mean_terms(pairs.scored, pairs.log_losses, 1.0 - self.min),
                mean_terms(pairs.scored, pairs.log_scores, self.min),
            )
        }

    def finding(self, scene: Scene) -> Finding:
        pairs = scene.step.pairs
        numbers = {"pairs": pairs.scored}
        if not pairs.scored:
            return Finding("score not seen yet", "no pair has a score", numbers)
        mean = pairs.total / pairs.scored
        return Finding(f"score {mean:.4g}", f"mean of {pairs.scored} pairs", {**numbers, "score": mean})

    def interval(self, scene: Scene) -> Interval | None:
        pairs = scene.step.pairs
        if not pairs.scored:
            return None
        return bounded_mean_cs(pairs.scored, pairs.log_scores, pairs.log_losses, DISPLAY_ALPHA)

    def obstacle(self, scene: Scene) -> str:
        return "" if scene.exposed.mirror else "this step makes no pairs: give it mirror"

    def judges_pairs(self) -> bool:
        return True

    def aim(self) -> str:
        return f"must be shown above {self.min:g}"

    def limit(self, bound: str) -> str:
        return f"a mean below {self.min:g}"
