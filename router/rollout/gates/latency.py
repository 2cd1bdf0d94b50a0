"""Gate on a latency quantile, against the stable version or a bound."""

from math import log
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from router.rollout.evidence_counts import Arm, Exposed, Sample
from router.rollout.gates.measuring import DISPLAY_ALPHA, Bet, Finding, Known, MeasuredGate, Scene
from router.rollout.inference import NOTHING, odds_terms
from router.rollout.sequences import Interval, quantile_cs_hist
from router.spec import Duration, Share
from router.telemetry.counters import BUCKETS, GAMMA, bucket_of, edge

PASS_RATIO = 2.0
"""A pass shows that less than this times as many requests are slow as of stable's."""


class LatencyGate(MeasuredGate):
    """`{latency: {quantile, max_ratio, max}}`, of the time to the last byte.

    Let y be stable's quantile as it was when the step began. Fails on evidence that a larger part of the candidate's
    requests is slower than `max_ratio` * y than of stable's at the same time is slower than y: at that quantile the
    same as that its latency is beyond `max_ratio` times stable's, and true of any time of the day. Where clients stay
    on their side, slow ones may by chance be on the candidate's: there such evidence only holds. Fails as well on
    evidence that more than 1 - `quantile` of the candidate's are slower than `max`. Bounds are taken at the nearest
    edge of the buckets latencies are counted in, at most 1 % away; 1.2 * y is an edge whenever y is.
    """

    tag: Literal["latency"] = "latency"
    quantile: Share = 0.95
    max_ratio: float | None = Field(None, ge=1.0, le=100.0)
    max: Duration | None = Field(None, gt=0.0)

    @field_validator("quantile")
    @classmethod
    def _some_on_either_side(cls, quantile: float) -> float:
        if not 0.5 <= quantile <= 0.999:
            raise ValueError("a quantile of latencies lies between 50% and 99.9%, such as 95%")
        return quantile

    @model_validator(mode="after")
    def _some_bound(self) -> "LatencyGate":
        if self.max_ratio is None and self.max is None:
            raise ValueError("give max_ratio, max or both")
        return self

    def bets(self, sample: Sample, exposed: Exposed, known: Known) -> dict[str, Bet]:
        found: dict[str, Bet] = {}
        if self.max_ratio is not None:
            found["ratio"] = self._against_stable(sample, exposed, known)
        if self.max is not None:
            slow, n = sample.candidate.slower_than(self._bound()), sample.candidate.timed
            expected = 1.0 - self.quantile
            found["max"] = Bet(odds_terms(slow, n, expected, "above"), odds_terms(slow, n, expected, "below"))
        return found

    def _against_stable(self, sample: Sample, exposed: Exposed, known: Known) -> Bet:
        y = known.bucket(self.quantile)
        if y is None:
            return Bet(NOTHING, NOTHING)
        kc, ks = sample.candidate.slower_than(y + self._steps()), sample.stable.slower_than(y)
        nc, ns = sample.candidate.routed, sample.stable.routed
        return Bet(
            exposed.terms(nc, kc, ns, ks, 1.0, "above"),
            exposed.terms(nc, kc, ns, ks, PASS_RATIO, "below"),
            only_holds=exposed.clustered,
        )

    def finding(self, scene: Scene) -> Finding:
        mine, theirs = self._at(scene.step.candidate), self._at(scene.step.stable)
        name = f"p{100 * self.quantile:g}"
        numbers: dict[str, Any] = {"quantile": self.quantile, "seconds": mine}
        if self.max is not None:
            numbers["measured_at"] = edge(self._bound())
        if mine is None:
            return Finding(f"{name} not seen yet", "no request has ended", numbers)
        if scene.exposed.alone or theirs is None:
            detail = f"{scene.step.candidate.timed} requests"
            return Finding(f"{name} {_milliseconds(mine)}", detail, numbers, _milliseconds)
        numbers |= {"stable_seconds": theirs, "ratio": mine / theirs}
        if self.max_ratio is not None:
            numbers["ratio_measured_at"] = GAMMA ** self._steps()
        detail = f"of stable {_milliseconds(theirs)}, ratio {mine / theirs:.3g}"
        return Finding(f"{name} {_milliseconds(mine)}", detail, numbers, _milliseconds)

    def interval(self, scene: Scene) -> Interval | None:
        if not scene.step.candidate.timed:
            return None
        return quantile_cs_hist(scene.step.candidate.durations, edge, self.quantile, DISPLAY_ALPHA)

    def obstacle(self, scene: Scene) -> str:
        if self.max_ratio is None:
            return ""
        if scene.exposed.alone:
            return (
                "" if self.max else "there is no stable traffic to compare with at 100%: give latency a max"
            )
        return "" if scene.known.durations else "stable's latency is still being learned"

    def aim(self) -> str:
        return f"must be shown below {self._bounds(' and ')}"

    def clears_in(self, scene: Scene) -> float | None:
        return scene.learned_in

    def limit(self, bound: str) -> str:
        if bound == "max" and self.max is not None:
            return f"more than {_milliseconds(self.max)}"
        return f"more than {self.max_ratio or 1.0:g} times stable's"

    def caveat(self) -> str:
        return (
            "clients stay on their side, and slow ones may be on this by chance: this holds, and fails nothing "
            "(max would, or a step of share 0% with mirror)"
        )

    def _bounds(self, word: str) -> str:
        ratio = "" if self.max_ratio is None else f"{self.max_ratio:g} times stable's"
        bound = "" if self.max is None else _milliseconds(self.max)
        return word.join(filter(None, (ratio, bound)))

    def _steps(self) -> int:
        """How many buckets above y the ratio is."""
        assert self.max_ratio is not None
        return round(log(self.max_ratio) / log(GAMMA))

    def _bound(self) -> int:
        """The bucket whose upper edge is nearest to `max`."""
        assert self.max is not None
        bucket = bucket_of(self.max)
        nearer = bucket and self.max / edge(bucket - 1) < edge(bucket) / self.max
        return min(bucket - bool(nearer), BUCKETS - 1)

    def _at(self, arm: Arm) -> float | None:
        bucket = arm.quantile(self.quantile)
        return None if bucket is None else edge(bucket)


def _milliseconds(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1.0 else f"{1000 * seconds:.3g} ms"
