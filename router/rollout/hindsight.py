"""What other gates would have said of rollouts that are over. Floor 2, pure.

The samples the journal kept are told to fresh evidence one after the other, and the real `ramp.decide` is asked after
each: what it would have done at the place where the rollout really was. What would have come after another decision
nobody knows, since it was not counted: so a rollback ends a hindsight, and a step up that came earlier or later than
the real one is told, and the rollout followed to where it really went. Times are as fine as the samples are.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

import msgspec
from msgspec.structs import replace

from router.rollout import ramp
from router.rollout.course import Course
from router.rollout.evidence import Evidence
from router.rollout.evidence_state import Trial
from router.rollout.phase import Event, Phase
from router.rollout.samples import EvidenceSample
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict
from router.rollout.watch import following_share, unsettled, watching

_LEAVES = (Event.ADVANCE, Event.COMPLETE, Event.SOAKED)


class Stay(msgspec.Struct, frozen=True):
    """One stretch of a rollout at one exposure: the step it stands for in the course (None: none of its steps has
    this share), from when to when it really lasted (seconds the rollout had run), and the requests counted.

    `event` is what would have happened there, and `at` when: advance, complete, rollback, pause; or `hold` where
    nothing would have by the time it really ended. `why` says on what evidence.
    """

    step: int | None
    share: int
    mirror: int
    phase: str
    since: float
    until: float
    requests: int
    event: str
    at: float
    why: str


class Hindsight(msgspec.Struct, frozen=True):
    """One rollout: its first cohort, who took part, when something was counted first and last (Unix time), and what
    would have been, stay by stay. The last stay says how it would have ended."""

    began: int
    candidate: str
    stable: str
    first: float
    last: float
    stays: tuple[Stay, ...]


def rollouts(samples: Iterable[EvidenceSample]) -> list[list[EvidenceSample]]:
    """The samples of each rollout, and of each candidate where it has several, by themselves; oldest first."""
    found: dict[tuple[int, str], list[EvidenceSample]] = {}
    for sample in samples:
        found.setdefault((sample.state.began, sample.candidate), []).append(sample)
    return list(found.values())


def look_back(course: Course, trial: Trial, samples: list[EvidenceSample]) -> Hindsight:
    """What `course` and `trial`, with their gates, would have made of one rollout. Its versions are taken from the
    samples: the gates of today may be run over a candidate of last week."""
    first, last = samples[0], samples[-1]
    state, candidate = first.state, first.candidate
    course = replace(course, trusted=state.trusted, candidates=state.candidates)
    evidence = Evidence(replace(trial, stable=state.trusted, candidate=candidate))
    stays = tuple(_stays(course, evidence, samples))
    return Hindsight(state.began, candidate, state.trusted, first.when, last.when, stays)


def _stays(course: Course, evidence: Evidence, samples: list[EvidenceSample]) -> Iterator[Stay]:
    since = 0.0
    for _, group in groupby(samples, key=_place):
        stay = _stay(course, evidence, list(group), since)
        yield stay
        if stay.event in (Event.ROLLBACK, Event.PAUSE):
            return
        since = stay.until


def _place(sample: EvidenceSample) -> tuple[object, ...]:
    state = sample.state
    return state.cohort, state.step, state.phase


def _stay(course: Course, evidence: Evidence, samples: list[EvidenceSample], since: float) -> Stay:
    """Goes through the samples of one place until something would have happened there; the rest is told as well, for
    it belongs to what is known at the next place."""
    state = samples[0].state
    step = _step(course, state)
    evidence.expose(state.cohort, state.share, state.mirror)
    requests = 0
    found: tuple[str, float, str] | None = None
    rulings: tuple[Ruling, ...] = ()
    here = state if step is None else replace(state, step=step)
    for sample in samples:
        requests += _tell(evidence, sample)
        here = replace(here, held=max(sample.ran - since, sample.state.held))
        rulings = _rulings(course, evidence, here)
        if found is None and (moves := _moves(course, here, rulings, step)):
            found = (moves[0].event.value, sample.ran, moves[0].why)
    event, at, why = found or ("hold", samples[-1].ran, _waiting(course, here, rulings))
    return Stay(
        step, state.share, state.mirror, state.phase.value, since, samples[-1].ran, requests, event, at, why
    )


def _step(course: Course, state: RolloutState) -> int | None:
    """The step of the course that this stands for: its own, else the first with the same exposure."""
    rungs = course.rungs
    if state.step < len(rungs) and rungs[state.step].share == state.share:
        return state.step
    if state.step >= len(rungs) and state.phase in (Phase.SOAKING, Phase.PROMOTED):
        return len(rungs)
    same = (index for index, rung in enumerate(rungs) if rung.share == state.share and not rung.pause)
    return next(same, None)


def _tell(evidence: Evidence, sample: EvidenceSample) -> int:
    """Tells one sample; how many of the candidate's requests of this exposure ended in it."""
    evidence.close(sample.ran)
    for block in sample.blocks:
        evidence.apply(block)
    cohort = sample.state.cohort
    return sum(block.whole.candidate.done for block in sample.blocks if block.cohort == cohort)


def _rulings(course: Course, evidence: Evidence, state: RolloutState) -> tuple[Ruling, ...]:
    """Of gates that ask elsewhere nobody knows what they would have said: they are taken to have passed."""
    gates = watching(course, state)
    judged = evidence.judge(gates, following_share(course, state))
    known = {ruling.gate for ruling in judged}
    asked = (gate.tag for gate in gates if gate.tag not in known)
    return (*judged, *(Ruling(tag, Verdict.PASS, "not known; taken for granted") for tag in asked))


def _moves(
    course: Course, state: RolloutState, rulings: tuple[Ruling, ...], step: int | None
) -> tuple[ramp.Move, ...]:
    """What would have happened. Where no step of the course has this share, only fails mean anything."""
    moves = ramp.decide(course, state, rulings)
    return tuple(move for move in moves[:1] if step is not None or move.event not in _LEAVES)


def _waiting(course: Course, state: RolloutState, rulings: tuple[Ruling, ...]) -> str:
    """Why nothing would have happened."""
    if state.phase is Phase.PAUSED:
        return "paused: only a fail would have ended it"
    open_now = unsettled(course, state, rulings)
    return f"{open_now[0].gate}: {open_now[0].why}" if open_now else "its time was not over"
