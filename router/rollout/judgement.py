"""From evidence to verdicts: one gate's sums, and what they say. Floor 2, pure.

    E against the candidate >= gates / (1 - confidence)       fail: over the whole rollout, at most 1 - confidence of
                                                              good candidates ever do
    E against the candidate >= 10                             hold: nothing has failed, but nobody steps up now
    E for the candidate >= 1, 3, 10, 20                       pass, where the next step leads to at most 5 %, 25 %,
                                                              50 %, more: what is asked for grows with the exposure
    else                                                      inconclusive, and why

Evidence against is a restart mixture: a change late in a long good rollout is found as fast as an early one. Evidence
for is added up from the beginning.
"""

from collections.abc import Mapping
from math import exp, inf, isfinite, isinf, log
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from router.rollout.evidence_counts import Block
from router.rollout.gates.measuring import Bet, Known, MeasuredGate, Scene, evidence, evidence_shown
from router.rollout.inference import NOTHING, Restarts, Terms, mean_log_e, plus
from router.rollout.verdict import Ruling, Verdict
from router.shares import SHARE_PARTS

HOLDS_AT = 10.0
"""From so much evidence against the candidate on, nobody steps up."""

WITHOUT_EVIDENCE = SHARE_PARTS // 4
"""Up to this share a rollout may go where neither side has ever failed, so that there is nothing to compare."""

_UNANSWERED = 0.1
"""No pass while more than this part of the candidate's requests at this step is still on its way: what hangs has not
failed yet. It also keeps a step going for ten times the usual time of an answer."""

_ROUNDING = 1e-9
_PASSES = ((SHARE_PARTS // 20, 1.0), (SHARE_PARTS // 4, 3.0), (SHARE_PARTS // 2, 10.0), (SHARE_PARTS, 20.0))


def passes_at(share: int) -> float:
    """How much evidence for the candidate is asked of a step that leads to this share (of SHARE_PARTS)."""
    return next(bar for limit, bar in _PASSES if share <= limit)


def fails_at(false: float, gates: int) -> float:
    """ln of the evidence against the candidate at which one of so many gates fails, so that the part `false` of good
    candidates fails at most: each gate has its share of it."""
    return log(max(gates, 1) / false)


class Bets(msgspec.Struct):
    """The bets on one sample of one gate, summed up by bound. `entered` is `passing` as the present step began;
    `holding` are the bets against the candidate that only hold."""

    failing: dict[str, Restarts] = {}
    passing: dict[str, Terms] = {}
    entered: dict[str, Terms] = {}
    holding: dict[str, Restarts] = {}

    def add(self, bets: Mapping[str, Bet], segments: int) -> None:
        """One more block. A bound that is seen for the first time has said nothing in the segments before."""
        for bound, bet in bets.items():
            against = self.holding if bet.only_holds else self.failing
            so_far = against.get(bound) or silent(segments)
            against[bound] = so_far.add(bet.failing)
            self.passing[bound] = plus(self.passing.get(bound, NOTHING), bet.passing)

    @property
    def against(self) -> float:
        """ln E against the candidate: the average over the bounds, so that together they are one e-process."""
        return _together(self.failing)

    @property
    def held(self) -> float:
        """ln E of the bets against it that only hold."""
        return _together(self.holding)

    def begin_segment(self) -> None:
        self.failing = {bound: restarts.begin() for bound, restarts in self.failing.items()}
        if self.holding:
            self.holding = {bound: restarts.begin() for bound, restarts in self.holding.items()}

    def enter_step(self) -> None:
        self.entered = dict(self.passing)


def _together(against: Mapping[str, Restarts]) -> float:
    if len(against) == 1:
        return next(iter(against.values())).log_e
    return mean_log_e([each.log_e for each in against.values()]) if against else 0.0


def silent(segments: int) -> Restarts:
    """The restart mixture after so many segments in which nothing was bet: E = 1. Its weights so far sum to
    n / (n + 1)."""
    return Restarts(segments, (log(segments / (segments + 1.0)),) * len(NOTHING))


class Demand(msgspec.Struct, frozen=True):
    """What is asked for: ln of the evidence at which a gate fails, the share the next step leads to, the candidate's
    requests; and the seconds the present step has run."""

    fails_at: float
    following: int
    min_requests: int
    elapsed: float


class Sums(msgspec.Struct, frozen=True):
    """What one gate's bets come to: ln E against the candidate, in all and by sample, ln E of what only holds, and
    ln E for it; and the bets for it by bound over all samples, now and as the step began."""

    against: float = 0.0
    held: float = -inf
    by_sample: dict[str, float] = {}
    passing: float = 0.0
    bounds: dict[str, Terms] = {}
    entered: dict[str, Terms] = {}


class Stand(NamedTuple):
    """Where a gate stands; `tell` puts it into words, which costs as much as everything before. `why` and `wait` are
    of one that has nothing against the candidate."""

    verdict: Verdict
    hold: bool
    sums: Sums
    why: str = ""
    wait: float | None = None


def judge(gate: MeasuredGate, bets: Mapping[str, Bets], scene: Scene, waiting: int, demand: Demand) -> Ruling:
    """The verdict of one gate. `waiting` are the candidate's requests that are still on their way."""
    return tell(stand(gate, bets, scene, waiting, demand), gate, bets, scene, demand)


def stand(gate: MeasuredGate, bets: Mapping[str, Bets], scene: Scene, waiting: int, demand: Demand) -> Stand:
    """The same without words."""
    sums = _sum_up(gate, bets)
    if sums.against >= gate.bar(demand.fails_at) - _ROUNDING:
        return Stand(Verdict.FAIL if gate.may_fail else Verdict.INCONCLUSIVE, True, sums)
    if not gate.needs_evidence:
        return Stand(Verdict.PASS, False, sums)
    if max(sums.against, sums.held) >= log(HOLDS_AT):
        return Stand(Verdict.INCONCLUSIVE, True, sums)
    verdict, why, wait = _acquit(gate, sums, scene, waiting, demand)
    return Stand(verdict, False, sums, why, wait)


def tell(stood: Stand, gate: MeasuredGate, bets: Mapping[str, Bets], scene: Scene, demand: Demand) -> Ruling:
    """Where a gate stands, with the numbers it used."""
    found, sums = gate.finding(scene), stood.sums
    numbers: dict[str, Any] = {
        "requests": scene.step.candidate.done,
        **found.numbers,
        "evidence_against": evidence(max(sums.against, sums.held)),
        "fails_at": evidence(gate.bar(demand.fails_at)),
    }
    if gate.needs_evidence:
        numbers |= {"evidence_for": evidence(sums.passing), "passes_at": passes_at(demand.following)}
    why = f"{found.head} ({found.detail})"
    if not stood.hold:
        return Ruling(gate.tag, stood.verdict, why + stood.why, numbers, wait=stood.wait)
    limit = gate.limit(_worst(bets))
    if sums.against >= gate.bar(demand.fails_at) - _ROUNDING:
        why += _guilt(gate, sums, demand, limit, numbers)
    else:
        why += _leaning(gate, sums, limit, numbers)
    return Ruling(gate.tag, stood.verdict, why, numbers, hold=True)


def _guilt(gate: MeasuredGate, sums: Sums, demand: Demand, limit: str, numbers: dict[str, Any]) -> str:
    """There is enough evidence."""
    guilty = gate.guilty(sums.by_sample, exp(-gate.bar(demand.fails_at)))
    if guilty:
        numbers["guilty"] = guilty
    where = f" ({', '.join(guilty)})" if guilty else ""
    return f": evidence {_shown(numbers)} of {limit}{where}, {numbers['fails_at']:g} is enough"


def _leaning(gate: MeasuredGate, sums: Sums, limit: str, numbers: dict[str, Any]) -> str:
    """There is some evidence, or plenty of a kind that does not fail."""
    rest = gate.caveat() if sums.held > sums.against else f"{numbers['fails_at']:g} is a fail"
    return f", which leans against the candidate: evidence {_shown(numbers)} of {limit}; {rest}"


def unless_split(ruling: Ruling, gate: MeasuredGate, block: Block, known: Known, fails_at: float) -> Ruling:
    """A fail where the split is not the one intended, so that whose a failure is says nothing by itself.

    `block` is all that was counted at this step. The fail stands where it does not depend on the split, and where
    this one block, weighed by the requests as they came out, is evidence enough as well. Else the gate holds.
    """
    came = Block(
        block.cohort, block.exposed.as_it_came(), block.opened, block.closed, block.whole, block.slices
    )
    if all(
        gate.bets(sample, block.exposed, known) == gate.bets(sample, came.exposed, known)
        for sample in gate.samples(block).values()
    ):
        return ruling
    found = gate.failing_at_once(came, known)
    if found >= gate.bar(fails_at) - _ROUNDING:
        return ruling
    why = (
        f"{ruling.why}; but the split is not the intended one, and by the requests as they came it is "
        f"{evidence_shown(evidence(found))}: this holds"
    )
    numbers = {**ruling.numbers, "evidence_as_it_came": evidence(found)}
    return replace(ruling, verdict=Verdict.INCONCLUSIVE, why=why, numbers=numbers)


def _acquit(
    gate: MeasuredGate, sums: Sums, scene: Scene, waiting: int, demand: Demand
) -> tuple[Verdict, str, float | None]:
    """Whether a gate that has nothing against the candidate lets it pass; else why not, and how long it may take."""
    if too_early := _too_early(gate, scene, waiting, demand):
        return Verdict.INCONCLUSIVE, f": {too_early}", _until_seen(gate, scene, demand)
    if sums.passing >= log(passes_at(demand.following)) - _ROUNDING:
        return Verdict.PASS, "", None
    if demand.following <= WITHOUT_EVIDENCE and gate.spotless(scene):
        return Verdict.PASS, ": nothing is held against it up to 25%", None
    if obstacle := gate.obstacle(scene):
        return Verdict.INCONCLUSIVE, f": {obstacle}", gate.clears_in(scene)
    return Verdict.INCONCLUSIVE, f", {gate.aim()}", _until_shown(gate, sums, demand)


def with_interval(ruling: Ruling, gate: MeasuredGate, scene: Scene) -> Ruling:
    """The same ruling with what is known of its number, at 95 %: costs up to a millisecond."""
    if not scene.step.candidate.routed or (interval := gate.interval(scene)) is None:
        return ruling
    found = gate.finding(scene)
    low, high = interval
    shown = f"{found.show(low)} or more" if isinf(high) else f"{found.show(low)}, {found.show(high)}"
    why = ruling.why.replace(f"{found.head} (", f"{found.head} [{shown}] (", 1)
    ends = [end if isfinite(end) else None for end in interval]
    return replace(ruling, why=why, numbers={**ruling.numbers, "interval": ends})


def _sum_up(gate: MeasuredGate, bets: Mapping[str, Bets]) -> Sums:
    if not bets:
        return Sums()
    against = {name: each.against for name, each in bets.items()}
    held = {name: each.held for name, each in bets.items()}
    bounds = _over_samples([each.passing for each in bets.values()])
    entered = _over_samples([each.entered for each in bets.values()])
    return Sums(
        gate.failing_together(against),
        gate.failing_together(held) if any(each.holding for each in bets.values()) else -inf,
        against,
        gate.passing(bounds),
        bounds,
        entered,
    )


def _worst(bets: Mapping[str, Bets]) -> str:
    """The bound with the most evidence against the candidate, over all samples."""
    every = [
        (restarts.log_e, bound)
        for each in bets.values()
        for bound, restarts in (*each.holding.items(), *each.failing.items())
    ]
    return max(every, default=(0.0, ""))[1]


def _over_samples(sums: list[dict[str, Terms]]) -> dict[str, Terms]:
    added = dict(sums[0])
    for each in sums[1:]:
        for bound, terms in each.items():
            added[bound] = plus(added.get(bound, NOTHING), terms)
    return added


def _shown(numbers: dict[str, Any]) -> str:
    return evidence_shown(numbers["evidence_against"])


def _too_early(gate: MeasuredGate, scene: Scene, waiting: int, demand: Demand) -> str:
    """Why nothing may pass yet, whatever the evidence says."""
    seen, asked = gate.seen(scene), max(demand.min_requests, 1)
    hanging = waiting > _UNANSWERED * (waiting + scene.step.candidate.done)
    few = f"{seen} of the {asked} {gate.unit} that are asked for at this step" if seen < asked else ""
    late = f"{waiting} requests are not answered yet" if hanging else ""
    return ", ".join(filter(None, (few, late)))


def _until_seen(gate: MeasuredGate, scene: Scene, demand: Demand) -> float | None:
    """Seconds until enough was seen at this traffic; None while nothing comes, and where it is not that."""
    seen = gate.seen(scene)
    if not seen or seen >= demand.min_requests:
        return None
    return (demand.min_requests - seen) * demand.elapsed / seen


def _until_shown(gate: MeasuredGate, sums: Sums, demand: Demand) -> float | None:
    """Seconds until a pass is shown if things go on as at this step so far; None where they lead nowhere."""
    if demand.elapsed <= 0.0 or not sums.bounds:
        return None
    needed = log(len(NOTHING) * passes_at(demand.following))
    waits = [
        _reaching(needed, terms, sums.entered.get(bound, NOTHING)) for bound, terms in sums.bounds.items()
    ]
    steps = gate.soonest(waits)
    return steps * demand.elapsed if isfinite(steps) else None


def _reaching(needed: float, now: Terms, then: Terms) -> float:
    """After how many times the gain since `then` the first of the bets carries the average alone."""
    gains = zip(now, then, strict=True)
    return min(((needed - new) / (new - old) for new, old in gains if new > old), default=inf)
