"""Gate on the share of failed answers, against the stable version and against a bound."""

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field, model_validator

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
from router.rollout.inference import Terms, log_e, mean_log_e, odds_terms
from router.rollout.sequences import Interval, bernoulli_cs, rate_ratio_cs
from router.spec import Share


class ErrorRateGate(MeasuredGate):
    """`{error_rate: {max_ratio, pass_ratio, max}}`.

    Fails on evidence that the candidate fails more than `max_ratio` times as often as stable at the same time, or
    more often than `max`. Passes when it is shown to fail less than `pass_ratio` times as often; where `max` is
    given, the two passes are averaged, so that a service that never fails passes by its bound.
    """

    tag: Literal["error_rate"] = "error_rate"
    max_ratio: float = Field(1.0, ge=1.0, le=100.0)
    pass_ratio: float = Field(2.0, gt=1.0, le=1000.0)
    max: Share | None = Field(None, gt=0.0, lt=1.0)

    @model_validator(mode="after")
    def _in_order(self) -> "ErrorRateGate":
        if self.pass_ratio <= self.max_ratio:
            raise ValueError(
                f"pass_ratio must be above max_ratio, {self.max_ratio:g}: just at that bound nothing can be shown; "
                f"write pass_ratio: {2 * self.max_ratio:g}"
            )
        return self

    def bets(self, sample: Sample, exposed: Exposed, known: Known) -> dict[str, Bet]:
        candidate, stable = sample.candidate, sample.stable
        nc, kc, ns, ks = candidate.routed, candidate.counted, stable.routed, stable.counted
        ratio = Bet(
            exposed.failure_terms(nc, kc, ns, ks, self.max_ratio, "above"),
            exposed.failure_terms(nc, kc, ns, ks, self.pass_ratio, "below"),
        )
        if self.max is None:
            return {"ratio": ratio}
        # What was sent counts against the candidate, what came back for it: failures may come back much sooner than
        # answers, or much later, and neither must decide.
        bound = Bet(
            odds_terms(kc, nc, self.max, "above"),
            odds_terms(candidate.failed, candidate.done, self.max, "below"),
        )
        return {"ratio": ratio, "max": bound}

    def passing(self, sums: Mapping[str, Terms]) -> float:
        return mean_log_e([log_e(terms) for terms in sums.values()])

    def soonest(self, waits: Iterable[float]) -> float:
        return min(waits)

    def finding(self, scene: Scene) -> Finding:
        candidate, stable = scene.step.candidate, scene.step.stable
        rate, stable_rate = part(candidate.failed, candidate.done), part(stable.failed, stable.done)
        detail = f"{candidate.failed} of {candidate.done} requests failed"
        numbers = {"failed": candidate.failed, "rate": rate}
        if not candidate.done:
            return Finding("error rate not seen yet", "no request has ended", numbers, percent)
        if scene.exposed.alone:
            return Finding(f"error rate {percent(rate)}", detail, numbers, percent)
        comparable = self._comparable(scene)
        detail += f", {percent(rate)}," if comparable else ","
        detail += f" of stable {stable.failed} of {stable.done}"
        if scene.exposed.once_per_client and (candidate.counted, stable.counted) != (
            candidate.failed,
            stable.failed,
        ):
            detail += f"; once per client {candidate.counted} and {stable.counted}"
            numbers |= {"counted": candidate.counted, "stable_counted": stable.counted}
        numbers |= {
            "stable_requests": stable.done,
            "stable_failed": stable.failed,
            "stable_rate": stable_rate,
        }
        if not comparable:
            return Finding(f"error rate {percent(rate)}", detail, numbers, percent)
        numbers["ratio"] = rate / stable_rate
        return Finding(f"error ratio {rate / stable_rate:.3g}", detail, numbers)

    def interval(self, scene: Scene) -> Interval | None:
        candidate, stable = scene.step.candidate, scene.step.stable
        if not candidate.done:
            return None
        if not self._comparable(scene):
            return bernoulli_cs(candidate.done, min(candidate.failed, candidate.done), DISPLAY_ALPHA)
        nc, ns = candidate.routed, stable.routed
        weight = scene.exposed.weight if scene.exposed.failures_by_draw else part(nc, nc + ns)
        return rate_ratio_cs([(weight, candidate.counted, stable.counted)], DISPLAY_ALPHA)

    def obstacle(self, scene: Scene) -> str:
        if self.max is not None:
            return ""
        if scene.exposed.alone:
            return "there is no stable traffic to compare with at 100%: give error_rate a max to judge by"
        if not scene.step.candidate.counted and not scene.step.stable.counted:
            return "neither side has failed, so no ratio can be shown: give error_rate a max to judge by"
        return ""

    def spotless(self, scene: Scene) -> bool:
        return not scene.step.candidate.failed and not scene.step.stable.failed

    def aim(self) -> str:
        if self.max is None:
            return f"must be shown below {self.pass_ratio:g} times stable's"
        return f"must be shown below {self.pass_ratio:g} times stable's or {percent(self.max)}"

    def limit(self, bound: str) -> str:
        if bound == "max" and self.max is not None:
            return f"more failures than {percent(self.max)}"
        times = "" if self.max_ratio == 1.0 else f"{self.max_ratio:g} times "
        return f"more failures than {times}stable's"

    @staticmethod
    def _comparable(scene: Scene) -> bool:
        stable = scene.step.stable
        return not scene.exposed.alone and stable.failed > 0 and scene.step.candidate.done > 0
