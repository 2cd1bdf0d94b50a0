"""A run: one rollout's evidence, from its first cohort to its end, or as long as its gates are the same. Floor 4.

What was counted since the last look is closed, the gates judge, and what they say holds for the place (cohort and
step) it was said of, and no other. A gate that trips this program itself becomes an error of that rollout's gates, and
no more. Its time is its own: the seconds a living controller watched it, saved with its evidence.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator

import msgspec

from router.channel import PairTally, SeriesTally
from router.control.terms import Deployment
from router.rollout.evidence import Evidence
from router.rollout.evidence_counts import Block
from router.rollout.evidence_state import EvidenceState, Trial
from router.rollout.samples import EvidenceSample, KeptEvidence, is_empty, merged
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict
from router.rollout.watch import following_share, watching

_log = logging.getLogger(__name__)

LOOK = 0.95
"""Seconds from one look at a rollout to the next, at least: with the ticks it is once a second."""

BRISK = 0.7
"""The same where no failure may bring a look forward (`Evidence.take`): within a second, whatever a tick takes."""

HURRY = 0.45
"""Seconds between two looks that failures of the candidate brought forward, at least."""

_IDLE = 5.0
"""Seconds after which gates judge again although nothing was counted, and put into words again what stays the same."""

_MOST_UNSAVED = 8
"""Samples of one run that wait for a sick journal; what comes after waits to become the next one."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[EvidenceState, ...])


def place_of(state: RolloutState) -> tuple[int, int]:
    """Cohort and step: what is said of one is said of no other."""
    return state.cohort, state.step


class Run:
    """One rollout's evidence, an `Evidence` for each candidate. `before` is the same run under other gates."""

    def __init__(
        self,
        deployment: Deployment,
        tried: tuple[Trial, ...],
        kept: KeptEvidence | None,
        before: "Run | None",
        clock: float,
    ) -> None:
        self.name = deployment.state.deployment
        self.began = deployment.state.began
        self.spec = deployment.spec
        self.rulings: tuple[Ruling, ...] = ()
        self.judged: tuple[int, int] | None = None
        self.looked = clock - LOOK
        self._hurried = False
        self.ran = kept.ran if kept is not None else 0.0
        self.cut_at = self.counted_at = self.ran
        self.saved_at = -1.0
        self._judged_at = self._worded_at = 0.0
        self._said: tuple[tuple[Ruling, ...], ...] = ()
        self.unsaved: list[EvidenceSample] = list(before.unsaved) if before is not None else []
        self._since = clock
        self._number = kept.samples if kept is not None else 0
        self._state = deployment.state
        self._blocks: dict[str, list[Block]] = {trial.candidate: [] for trial in tried}
        self._stale = kept is not None and before is None
        self._damaged = False
        self.evidence = self._evidence(tried, kept)

    def _evidence(self, tried: tuple[Trial, ...], kept: KeptEvidence | None) -> tuple[Evidence, ...]:
        if kept is not None:
            try:
                states = _decoder.decode(kept.state)
                return tuple(Evidence(trial, state) for trial, state in zip(tried, states, strict=True))
            except Exception:
                _log.exception("%s: its evidence is not understood, and is gathered anew", self.name)
        return tuple(Evidence(trial) for trial in tried)

    def is_changed_by(self, deployment: Deployment) -> bool:
        """Whether other gates watch it now. A file that is read again brings new objects with the same settings."""
        changed = self.spec is not deployment.spec and self.spec.rollout != deployment.spec.rollout
        self.spec = deployment.spec
        return changed

    def _trip(self) -> None:
        """A mistake of ours in evidence or gates stays with this run: nothing passes any more, and all else goes on.
        Where this is called is an edge like that of a task: rollouts share nothing beyond it."""
        if not self._damaged:
            _log.exception("%s: its gates can't be judged, and nothing passes any more", self.name)
        self._damaged = True

    def take(self, source: str, row: SeriesTally) -> None:
        """What a worker counted."""
        try:
            for evidence in self.evidence:
                if evidence.take(source, row):
                    self._hurried = True
        except Exception:
            self._trip()

    @property
    def patience(self) -> float:
        """Seconds from the last look to the next."""
        if self._hurried:
            return HURRY
        return LOOK if all(evidence.any_time for evidence in self.evidence) else BRISK

    def take_pairs(self, source: str, row: PairTally) -> None:
        """What a recorder compared."""
        try:
            for evidence in self.evidence:
                evidence.take_pairs(source, row)
        except Exception:
            self._trip()

    def gone(self, source: str) -> None:
        """A process has ended."""
        try:
            for evidence in self.evidence:
                evidence.gone(source)
        except Exception:
            self._trip()

    def place(self, deployment: Deployment) -> None:
        """The exposure that is in force, or is about to be."""
        state = self._state = deployment.state
        try:
            for evidence in self.evidence:
                evidence.expose(state.cohort, state.share, state.mirror)
        except Exception:
            self._trip()

    def close(self, clock: float) -> None:
        """Time has passed: what was counted in it is closed."""
        self.ran += max(clock - self._since, 0.0)
        self._since = self.looked = clock
        self._hurried = False
        try:
            for evidence in self.evidence:
                closed = [block for block in evidence.close(self.ran) if not is_empty(block)]
                if closed:
                    self._blocks[evidence.trial.candidate] += closed
                    self.counted_at = self.ran
        except Exception:
            self._trip()

    def has_news(self, deployment: Deployment) -> bool:
        """Whether the gates may say anything else than they did last."""
        old = self.judged != place_of(deployment.state) or self.counted_at > self._judged_at
        return old or self._damaged or self.ran - self._judged_at >= _IDLE

    def judge(self, deployment: Deployment, anew: bool) -> None:
        """What the gates that watch at this place say now; in the words of last time where no verdict is another,
        unless it is asked for `anew`."""
        place, course, state = place_of(deployment.state), deployment.course, deployment.state
        again = not anew and place == self.judged and self.ran - self._worded_at < _IDLE
        before = self._said if again and self._said else ((),) * len(self.evidence)
        self.judged, self._judged_at, self.rulings, self._said = place, self.ran, (), ()
        try:
            gates, following = watching(course, state), following_share(course, state)
            self._said = tuple(
                evidence.judge(gates, following, said)
                for evidence, said in zip(self.evidence, before, strict=True)
            )
            self.rulings = self._named(self._said)
        except Exception:
            self._trip()
        if self._said != before:
            self._worded_at = self.ran
        if self._damaged:
            self.rulings = tuple(_doubted(self.rulings))

    def report(self, deployment: Deployment) -> tuple[Ruling, ...]:
        """The same with intervals, on the counts of the last look."""
        if self._damaged:
            return self.rulings
        gates = watching(deployment.course, deployment.state)
        following = following_share(deployment.course, deployment.state)
        return self._named(evidence.report(gates, following) for evidence in self.evidence)

    def explaining(self, deployment: Deployment) -> Callable[[], tuple[Ruling, ...]]:
        """To be called later: what was said last, with intervals."""
        said, rulings = self._said, self.rulings
        gates = watching(deployment.course, deployment.state)

        def explain() -> tuple[Ruling, ...]:
            if self._damaged:
                return rulings
            try:
                each = zip(self.evidence, said, strict=True)
                return self._named(evidence.explain(one, gates) for evidence, one in each)
            except Exception:
                _log.exception("%s: there are no intervals for its history", self.name)
                return rulings

        return explain

    def _named(self, said: Iterable[tuple[Ruling, ...]]) -> tuple[Ruling, ...]:
        """The rulings on every candidate, with its name where there are several."""
        if len(self.evidence) == 1:
            return next(iter(said))
        return tuple(
            msgspec.structs.replace(ruling, why=f"{evidence.trial.candidate}: {ruling.why}")
            for evidence, rulings in zip(self.evidence, said, strict=True)
            for ruling in rulings
        )

    def forget_all_but(self, heard: Collection[str]) -> None:
        """Processes that an earlier controller knew and that have told this one nothing are no more."""
        if not self._stale:
            return
        self._stale = False
        for source in {name for evidence in self.evidence for name in evidence.state().sources} - set(heard):
            self.gone(source)

    def cut(self, now: float) -> None:
        """A sample of what was counted since the last one; of nothing there is none, and a journal that takes none
        gets them longer instead of more."""
        self.cut_at = self.ran
        for candidate, blocks in self._blocks.items():
            if len(self.unsaved) >= _MOST_UNSAVED:
                self._blocks[candidate] = list(merged(blocks))
            elif blocks:
                self._number += 1
                sample = EvidenceSample(self._number, self.ran, now, self._state, candidate, merged(blocks))
                self.unsaved.append(sample)
                self._blocks[candidate] = []

    def kept(self) -> KeptEvidence:
        """All of it, for the journal."""
        states = [msgspec.Raw(evidence.packed()) for evidence in self.evidence]
        return KeptEvidence(self.name, self.began, self.ran, _encoder.encode(states), self._number)

    def note_saved(self, ran: float, written: Collection[tuple[str, int, int]]) -> None:
        """What was counted up to `ran` is in the journal, and so are these samples."""
        self.saved_at = ran
        self.unsaved = [
            sample for sample in self.unsaved if (self.name, self.began, sample.number) not in written
        ]


def _doubted(rulings: Iterable[Ruling]) -> Iterator[Ruling]:
    """What is left of rulings on counts that may be wrong: fails."""
    why = "the router made a mistake in counting or judging; its log says which"
    for ruling in rulings or (Ruling("gates", Verdict.ERROR, why),):
        yield ruling if ruling.verdict is Verdict.FAIL else Ruling(ruling.gate, Verdict.ERROR, why, hold=True)
