"""What every gate that judges by the router's own counts shares. Floor 2, pure.

Such a gate turns one block of counts into bets (`rollout.inference`): for each of its bounds one that the candidate
is beyond it, and one that it is within. The bets are added up over the whole rollout, and `rollout.judgement` makes a
verdict of the sums. So a gate is its settings, its bets, and the words for what it saw.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from math import exp, log
from typing import Any, ClassVar, NamedTuple

from router.rollout.evidence_counts import Arm, Block, Exposed, Sample
from router.rollout.inference import Terms, log_e, mean_log_e
from router.rollout.sequences import Interval
from router.spec import Spec

_MOST = 1e12
"""E is told up to here."""

DISPLAY_ALPHA = 0.05
"""Intervals shown to people hold at all times at once with probability 95 %."""


class Bet(NamedTuple):
    """ln E, by multiplier, that the candidate is beyond a bound (`failing`) and that it is within (`passing`).

    `only_holds`: chance alone could bring such evidence about, because requests share their fate. It is a reason to
    stay, and none to fail.
    """

    failing: Terms
    passing: Terms
    only_holds: bool = False


class Known:
    """What was known before a block began. Bets may depend on this and on nothing later, or E means nothing.

    `durations` are stable's, by bucket, as learned at the beginning of the step; `noise` is between which rates stable
    disagrees with itself (0 and 0 where that is not measured).
    """

    def __init__(self, durations: dict[int, int], noise: Interval = (0.0, 0.0)) -> None:
        self.durations = durations
        self.noise = noise
        self._buckets: dict[float, int | None] = {}

    def bucket(self, of: float) -> int | None:
        """In which bucket stable's quantile lies; None as long as it is not learned."""
        if of not in self._buckets:
            self._buckets[of] = Arm(durations=self.durations).quantile(of)
        return self._buckets[of]


class Scene(NamedTuple):
    """What a gate speaks of: the counts of the present step, also by segment; how its requests are divided; what was
    known before; and in how many seconds stable's latency will be learned (None: nobody can tell)."""

    step: Sample
    slices: Mapping[str, Sample]
    exposed: Exposed
    known: Known
    learned_in: float | None = None


def plain(value: float) -> str:
    return f"{value:.3g}"


def percent(rate: float) -> str:
    return f"{100 * rate:.3g}%"


class Finding(NamedTuple):
    """What was seen, for people: `head` ("error ratio 1.1") and `detail` ("3 of 250 requests failed"), the numbers
    of both, and how a number like that of the head is written."""

    head: str
    detail: str
    numbers: dict[str, Any]
    show: Callable[[float], str] = plain


class MeasuredGate(Spec):
    """Base of the gates that judge by counts."""

    may_fail: ClassVar[bool] = True
    """Whether enough evidence against the candidate is a fail; else it only holds."""
    needs_evidence: ClassVar[bool] = True
    """Whether a pass has to be shown; else all is well until there is evidence to the contrary."""

    tag: str

    @abstractmethod
    def bets(self, sample: Sample, exposed: Exposed, known: Known) -> dict[str, Bet]:
        """The bets on one block, by bound: always the same ones, or none at all where nothing was seen."""

    @abstractmethod
    def finding(self, scene: Scene) -> Finding:
        """What was seen at the present step."""

    @abstractmethod
    def interval(self, scene: Scene) -> Interval | None:
        """What is known of the number in the finding's head, for people; None where nothing is. May cost 1 ms."""

    @abstractmethod
    def aim(self) -> str:
        """What has to be shown for a pass: "must be shown below 2"."""

    @abstractmethod
    def limit(self, bound: str) -> str:
        """What there is evidence of beyond this bound: "more failures than stable's"."""

    def caveat(self) -> str:
        """Why bets that only hold do not fail."""
        return ""

    def obstacle(self, scene: Scene) -> str:
        """Why there can be no verdict now, however long one waits; empty where there can."""
        return ""

    def clears_in(self, scene: Scene) -> float | None:
        """After how many seconds the obstacle is gone by itself; None where it stays."""
        return None

    def spotless(self, scene: Scene) -> bool:
        """Whether nothing at all was seen that could be held against either side, so that there is no evidence."""
        return False

    def judges_pairs(self) -> bool:
        """Whether it can say nothing without paired answers."""
        return False

    @property
    def unit(self) -> str:
        """What `min_requests` counts."""
        return "pairs" if self.judges_pairs() else "requests"

    def seen(self, scene: Scene) -> int:
        """What `min_requests` is asked of: the candidate's requests at this step, or its pairs where they matter."""
        pairs = self.judges_pairs() and scene.exposed.mirror > 0
        return scene.step.pairs.comparable if pairs else scene.step.candidate.done

    def samples(self, block: Block) -> Mapping[str, Sample]:
        """The counts this gate bets on, each with evidence of its own: all there is, unless it looks at segments."""
        return {"": block.whole}

    def passing(self, sums: Mapping[str, Terms]) -> float:
        """ln E that the candidate is within the bounds, each summed up over all samples: all of them must be shown."""
        return min(log_e(terms) for terms in sums.values())

    def soonest(self, waits: Iterable[float]) -> float:
        """When it passes, if each of its bounds were shown after so many seconds."""
        return max(waits)

    def bar(self, fails_at: float) -> float:
        """ln of the evidence against the candidate at which it acts, given its part of the rollout's confidence."""
        return fails_at

    def failing_together(self, log_es: Mapping[str, float]) -> float:
        """ln E against the candidate over all `samples`."""
        return log_es.get("", 0.0)

    def failing_at_once(self, block: Block, known: Known) -> float:
        """ln E against the candidate in this block alone, bet on as one."""
        found = {
            name: mean_log_e([log_e(bet.failing) for bet in bets.values()])
            for name, sample in self.samples(block).items()
            if (bets := self.bets(sample, block.exposed, known))
        }
        return self.failing_together(found)

    def guilty(self, log_es: Mapping[str, float], alpha: float) -> list[str]:
        """Which of the `samples` to name in a fail."""
        return []


def needs_pairs(gate: Spec) -> bool:
    """Whether a gate can say nothing without paired answers."""
    return isinstance(gate, MeasuredGate) and gate.judges_pairs()


def evidence(log_value: float) -> float:
    """E from ln E: no more digits than mean something, and never an overflow."""
    return float(f"{exp(min(log_value, log(_MOST))):.3g}")


def evidence_shown(value: float) -> str:
    """E for people, who need no more than a million."""
    return f"{value:g}" if value <= 1e6 else "over a million"


def part(count: int, of: int) -> float:
    """A rate; 0 of nothing."""
    return count / of if of else 0.0
