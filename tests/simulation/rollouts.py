"""Whole rollouts on a simulated clock: the real evidence, gates and `ramp.decide`, second by second."""

from collections.abc import Iterator, Sequence
from math import comb
from statistics import median, quantiles
from typing import NamedTuple, Protocol

from router.channel import SeriesTally
from router.rollout import ramp
from router.rollout.course import Course, Rung
from router.rollout.evidence import Evidence
from router.rollout.evidence_state import Trial
from router.rollout.gates import Gate
from router.rollout.phase import Phase
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling
from router.rollout.watch import following_share, watching
from router.shares import SHARE_PARTS, share_parts
from tests.simulation.traffic import CANDIDATE, DEPLOYMENT, STABLE

WORKER = "worker"
ENDS = (Phase.PROMOTED, Phase.ROLLED_BACK)


class Requests(Protocol):
    """Simulated requests; what was served and failed is by version."""

    served: dict[str, int]
    failed: dict[str, int]

    def during(self, now: float, seconds: float, share: float, cohort: int) -> list[SeriesTally]:
        """What a worker tells after so many seconds more; only the series that changed, each in full."""


class Ending(NamedTuple):
    """How a rollout ended, or stood when it was left; after how many seconds, and at what price."""

    state: RolloutState
    seconds: float
    rulings: tuple[Ruling, ...]
    why: str
    requests: int
    """The candidate's."""
    failures: int

    @property
    def promoted(self) -> bool:
        return self.state.phase is Phase.PROMOTED

    @property
    def rolled_back(self) -> bool:
        return self.state.phase is Phase.ROLLED_BACK

    def ruling(self, gate: str) -> Ruling:
        """What this gate said last."""
        return next(ruling for ruling in self.rulings if ruling.gate == gate)


def ladder(*steps: tuple[float, float], gates: Sequence[Gate], soak: float = 0.0) -> Course:
    """A canary's course of (share, hold in seconds)."""
    rungs = tuple(Rung(share_parts(share), hold=hold) for share, hold in steps)
    return Course(DEPLOYMENT, "canary", STABLE, (CANDIDATE,), rungs, soak=soak, gates=tuple(gates))


def run(course: Course, traffic: Requests, lasting: float, look: float = 1.0, **trial: object) -> Ending:
    """The rollout from its beginning to its end, or for `lasting` seconds; a look each `look` seconds.

    `trial` are settings of `evidence.Trial`; unless they say otherwise no number of requests is waited for.
    """
    settings: dict[str, object] = {"gates": course.gates, "min_requests": 0, **trial}
    evidence = Evidence(Trial(STABLE, CANDIDATE, **settings))  # type: ignore[arg-type]
    state = ramp.reconcile(course, None)
    evidence.expose(state.cohort, state.share, state.mirror)
    now, why = 0.0, ""
    rulings: tuple[Ruling, ...] = ()
    while now < lasting and state.phase not in ENDS:
        for tally in traffic.during(now, look, state.share / SHARE_PARTS, state.cohort):
            evidence.take(WORKER, tally)
        now += look
        evidence.close(now)
        rulings = evidence.judge(watching(course, state), following_share(course, state))
        state = ramp.passed(course, state, look)
        for move in ramp.decide(course, state, rulings):
            state, why = move.state, move.why
        evidence.expose(state.cohort, state.share, state.mirror)
    return Ending(state, now, rulings, why, traffic.served[CANDIDATE], traffic.failed[CANDIDATE])


def most_of(runs: int, p: float, beyond: float = 1e-4) -> int:
    """The least number that is exceeded with a probability of at most `beyond`, if each run fails with `p`."""
    chance, count = 1.0, -1
    while chance > beyond:
        count += 1
        chance -= comb(runs, count) * p**count * (1 - p) ** (runs - count)
    return count


class Summary(NamedTuple):
    """Of many runs: the parts that ended in either way, and the seconds they took."""

    runs: int
    promoted: float
    rolled_back: float
    median: float
    late: float
    """The 90th percentile."""


def summary(endings: Iterator[Ending]) -> Summary:
    seen = list(endings)
    seconds = [ending.seconds for ending in seen]
    promoted = sum(ending.promoted for ending in seen) / len(seen)
    rolled_back = sum(ending.rolled_back for ending in seen) / len(seen)
    return Summary(len(seen), promoted, rolled_back, median(seconds), quantiles(seconds, n=10)[-1])
