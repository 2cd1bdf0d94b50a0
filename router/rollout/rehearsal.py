"""A rollout gone through on paper: how long each step takes at some traffic, where nothing is wrong. Floor 2, pure.

The counts of average traffic, the same on both sides, are told to the real evidence, and the real `ramp.decide` moves
the rollout. So a rehearsal knows every rule there is, and is no forecast: chance makes a verdict come earlier or
later, and where the candidate is worse it comes otherwise.
"""

from collections.abc import Iterator
from math import exp, log
from statistics import NormalDist

import msgspec

from router.channel import Histogram, PairTally, ScoreSums, SeriesTally
from router.rollout import ramp
from router.rollout.course import Course
from router.rollout.evidence import Evidence
from router.rollout.evidence_state import Trial
from router.rollout.gates.segments import SegmentsGate
from router.rollout.phase import Event, Phase
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict
from router.rollout.watch import asked_to_pass, following_share, unsettled, watching
from router.shares import SHARE_PARTS
from router.telemetry.counters import bucket_of
from router.telemetry.grid import GRID

LONGEST = 30 * 86400.0
"""Seconds after which a step that has not ended never does."""

SEGMENTS = 3
"""Values of a slice that requests are spread over, evenly, where a gate asks for segments."""

_GROWTH = 0.01
"""From one look to the next, a step lasts so much longer: the error of every duration given."""

_LATENCIES = 200
_SPREAD = 0.5
_SOURCE = "rehearsal"


class Traffic(msgspec.Struct, frozen=True):
    """What is assumed, of both sides alike: requests a second in all, the part that fails, the part of the pairs that
    agrees, and the median latency in seconds (log-normal around it)."""

    rps: float
    error_rate: float = 0.01
    agreement: float = 0.995
    latency: float = 0.05


class Leg(msgspec.Struct, frozen=True):
    """One step of the rehearsal; the soak is one as well, with step = number of steps.

    `least` are the seconds it lasts whatever the gates say. `shown` are those after which all of its `gates` have
    passed, and `requests` how many the candidate got until then; None where they never do, or are none. `lasts` is
    how long the step takes; None where it never ends by itself: then, and where it does not go on to the next one,
    `why` says so. `person`: somebody has to say promote, which here happens at once.
    """

    step: int
    share: int
    mirror: int
    least: float
    gates: tuple[str, ...] = ()
    shown: float | None = None
    requests: int | None = None
    lasts: float | None = None
    person: bool = False
    why: str = ""


def rehearse(course: Course, trial: Trial, traffic: Traffic) -> Iterator[Leg]:
    """Every step in turn, up to the one that does not lead on."""
    rehearsal = _Rehearsal(course, trial, traffic)
    while rehearsal.under_way:
        yield rehearsal.leg()


class _Rehearsal:
    def __init__(self, course: Course, trial: Trial, traffic: Traffic) -> None:
        self._course = course
        self._evidence = Evidence(trial)
        self._drill = _Drill(trial, traffic)
        self._state = _begun(course)
        self._now = 0.0
        self._stuck = False

    @property
    def under_way(self) -> bool:
        """Whether there is a step to come."""
        return not self._stuck and self._state.phase in (Phase.PROGRESSING, Phase.PAUSED, Phase.SOAKING)

    def leg(self) -> Leg:
        course, began, entered = self._course, self._state, self._now
        gates = asked_to_pass(course, began)
        leg = Leg(began.step, began.share, began.mirror, ramp.lasts(course, began) or 0.0, _names(gates))
        if began.phase is Phase.PAUSED or ramp.lasts(course, began) is None:
            return self._by_a_person(leg)
        self._evidence.expose(began.cohort, began.share, began.mirror)
        shown: tuple[float, int] | None = None
        while (spent := self._now - entered) <= LONGEST:
            rulings = self._rulings()
            open_now = unsettled(course, self._state, rulings)
            if gates and shown is None and not open_now:
                shown = (spent, self._drill.requests(began, spent))
            if moves := ramp.decide(course, self._state, rulings):
                return self._ended(leg, moves[0], spent, shown)
            self._pass(began, spent, bool(gates))
        self._stuck = True
        return msgspec.structs.replace(leg, why=f"{open_now[0].gate}: {open_now[0].why}" if open_now else "")

    def _by_a_person(self, leg: Leg) -> Leg:
        if not self._course.answers:
            self._stuck = True
            return msgspec.structs.replace(leg, why="copies go on until somebody stops them")
        self._state = ramp.promote(self._course, self._state)
        return msgspec.structs.replace(leg, lasts=0.0, person=True)

    def _ended(self, leg: Leg, move: ramp.Move, spent: float, shown: tuple[float, int] | None) -> Leg:
        self._state = move.state
        self._stuck = move.event in (Event.ROLLBACK, Event.PAUSE)
        after, requests = shown or (None, None)
        why = f"{move.event.value}: {move.why}" if self._stuck else ""
        return msgspec.structs.replace(leg, lasts=spent, shown=after, requests=requests, why=why)

    def _pass(self, began: RolloutState, spent: float, judged: bool) -> None:
        """Some time goes by: a little where gates look, else all there is to wait for."""
        left = (ramp.lasts(self._course, self._state) or 0.0) - self._state.held
        stride = max(1.0, spent * _GROWTH)
        if left > 0.0:
            stride = min(stride, left) if judged else left
        self._now += stride
        self._state = ramp.passed(self._course, self._state, stride)
        self._drill.tell(self._evidence, began, spent + stride)
        self._evidence.close(self._now)

    def _rulings(self) -> tuple[Ruling, ...]:
        """Those of the evidence, and of gates elsewhere, which are content here."""
        gates = watching(self._course, self._state)
        judged = self._evidence.judge(gates, following_share(self._course, self._state))
        known = {ruling.gate for ruling in judged}
        asked = [gate.tag for gate in gates if gate.tag not in known]
        return (*judged, *(Ruling(tag, Verdict.PASS, "taken for granted") for tag in asked))


class _Drill:
    """Tells the evidence what would have been counted, row by row."""

    def __init__(self, trial: Trial, traffic: Traffic) -> None:
        self._trial = trial
        self._traffic = traffic
        by = next((gate.by for gate in trial.gates if isinstance(gate, SegmentsGate)), "")
        self._slices = tuple(f"{by}={number}" for number in range(SEGMENTS)) if by else ("",)
        normal = NormalDist()
        middles = ((number + 0.5) / _LATENCIES for number in range(_LATENCIES))
        self._buckets = [bucket_of(traffic.latency * exp(_SPREAD * normal.inv_cdf(p))) for p in middles]

    def requests(self, state: RolloutState, seconds: float) -> int:
        """What the candidate gets in so many seconds: requests, or copies where it answers none."""
        return int(self._traffic.rps * seconds * (state.share or state.mirror) / SHARE_PARTS)

    def tell(self, evidence: Evidence, state: RolloutState, seconds: float) -> None:
        """The counts of one exposure, `seconds` after it began."""
        trial, mine = self._trial, self.requests(state, seconds)
        everything = int(self._traffic.rps * seconds)
        role = "live" if state.share else "shadow"
        stable = everything - mine if state.share else everything
        for version, of_role, count in ((trial.candidate, role, mine), (trial.stable, "live", stable)):
            for index, name in enumerate(self._slices):
                part = _part(count, index, len(self._slices))
                evidence.take(_SOURCE, self._series(state, version, of_role, name, part))
        copied = int(self._traffic.rps * seconds * state.mirror / SHARE_PARTS)
        if copied:
            evidence.take_pairs(_SOURCE, self._pairs(state, "", copied))
            for index, name in enumerate(filter(None, self._slices)):
                part = _part(copied, index, len(self._slices))
                evidence.take_pairs(_SOURCE, self._pairs(state, name, part))

    def _series(self, state: RolloutState, version: str, role: str, name: str, count: int) -> SeriesTally:
        failed = round(count * self._traffic.error_rate)
        durations: dict[int, int] = {}
        for index, bucket in enumerate(self._buckets):
            durations[bucket] = durations.get(bucket, 0) + _part(count, index, _LATENCIES)
        taken = Histogram(durations, 0.0)
        codes = {200: count - failed, 500: failed}
        # Every failure is another client's, on either side: what counts once for each cause counts them all.
        others = 0 if version == self._trial.stable else 1 << 40
        causes = tuple(range(others, others + failed)) if self._trial.once_per_client else ()
        return SeriesTally(
            state.deployment, version, role, codes, taken, taken, 0, state.cohort, name, causes=causes
        )

    def _pairs(self, state: RolloutState, name: str, count: int) -> PairTally:
        match = round(count * self._traffic.agreement)
        verdicts = {"match": match, "mismatch": count - match}
        scores = ScoreSums(
            n=count,
            total=float(match),
            squares=float(match),
            log_scores=tuple(match * log(rho) for rho in GRID),
            log_losses=tuple((count - match) * log(rho) for rho in GRID),
        )
        trial = self._trial
        return PairTally(
            state.deployment, trial.stable, trial.candidate, verdicts, {}, state.cohort, name, scores
        )


def _begun(course: Course) -> RolloutState:
    """Where it begins; a colour is told to take over."""
    state = ramp.reconcile(course, None)
    if not course.colours:
        return state
    other = next(colour for colour, version in course.colours.items() if version != state.trusted)
    return ramp.switch(course, state, other)


def _part(count: int, index: int, parts: int) -> int:
    """The part number `index` of a count that is spread as evenly as it goes; all parts make the count."""
    return (index + 1) * count // parts - index * count // parts


def _names(gates: tuple[object, ...]) -> tuple[str, ...]:
    return tuple(str(getattr(gate, "tag", "")) for gate in gates)
