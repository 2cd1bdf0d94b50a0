"""Gate on segments: another gate, by itself for each value of a slice."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field

from router.rollout.evidence_counts import Block, Exposed, Sample
from router.rollout.gates.agreement import AgreementGate
from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.gates.latency import LatencyGate
from router.rollout.gates.measuring import Bet, Finding, Known, MeasuredGate, Scene
from router.rollout.gates.score import ScoreGate
from router.rollout.inference import Terms, e_bh, mean_log_e
from router.rollout.sequences import Interval
from router.spec import OneKey

Inner = Annotated[ErrorRateGate | LatencyGate | AgreementGate | ScoreGate, Discriminator("tag"), OneKey()]

_OTHERS = 2
"""Segments beside the values told apart: `other`, and `none` for requests without the slice."""


class SegmentsGate(MeasuredGate):
    """`{segments: {by, values, gate: {error_rate | latency | agreement | score: {…}}}}`.

    Each value of the slice `by` gathers evidence of its own. Fails where the average of all is evidence enough: a test
    of "no segment is worse" that holds whatever the segments have to do with each other, and a thin one costs nothing
    but its place in the average, of which there are `values` and two more (`other`, `none`), seen or not. Which
    segments to blame is said so that few are blamed wrongly (e-BH). Passes on the bets of all segments together: a thin
    one may stop a rollout, but not hold it up.
    """

    tag: Literal["segments"] = "segments"
    by: str = Field(min_length=1)
    values: int = Field(20, ge=1, le=20)
    gate: Inner

    def samples(self, block: Block) -> Mapping[str, Sample]:
        prefix = f"{self.by}="
        return {name: sample for name, sample in block.slices.items() if name.startswith(prefix)}

    def bets(self, sample: Sample, exposed: Exposed, known: Known) -> dict[str, Bet]:
        return self.gate.bets(sample, exposed, known)

    def passing(self, sums: Mapping[str, Terms]) -> float:
        return self.gate.passing(sums)

    def soonest(self, waits: Iterable[float]) -> float:
        return self.gate.soonest(waits)

    def failing_together(self, log_es: Mapping[str, float]) -> float:
        return mean_log_e(self._places(log_es))

    def guilty(self, log_es: Mapping[str, float], alpha: float) -> list[str]:
        names = list(log_es)
        return [names[index] for index in e_bh(self._places(log_es), alpha) if index < len(names)]

    def finding(self, scene: Scene) -> Finding:
        found = self.gate.finding(scene)
        count = sum(name.startswith(f"{self.by}=") for name in scene.slices)
        detail = f"{found.detail}; {count} segments by {self.by}"
        return found._replace(detail=detail, numbers={**found.numbers, "segments": count})

    def interval(self, scene: Scene) -> Interval | None:
        return self.gate.interval(scene)

    def obstacle(self, scene: Scene) -> str:
        return self.gate.obstacle(scene)

    def clears_in(self, scene: Scene) -> float | None:
        return self.gate.clears_in(scene)

    def spotless(self, scene: Scene) -> bool:
        return self.gate.spotless(scene)

    def judges_pairs(self) -> bool:
        return self.gate.judges_pairs()

    def aim(self) -> str:
        return f"{self.gate.aim()} by segment"

    def limit(self, bound: str) -> str:
        return f"{self.gate.limit(bound)} in some segment"

    def caveat(self) -> str:
        return self.gate.caveat()

    def _places(self, log_es: Mapping[str, float]) -> list[float]:
        """ln E of every place of the average; a segment that was not seen says nothing, E = 1."""
        unseen = max(self.values + _OTHERS - len(log_es), 0)
        return [*log_es.values(), *([0.0] * unseen)]
