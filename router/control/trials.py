"""The evidence of every rollout that runs: gathered as it comes, judged once a look, handed to the journal.

Floor 4. Each rollout has a `Run`, from its first cohort (`RolloutState.began`) to its end. Counts come from the
ledger the moment a process tells them, so that none is lost when the process dies a moment later. Looks are a LOOK
apart, or less where the candidate has just failed. Nothing here decides anything, and nothing here is needed to roll
back.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from router.channel import RecorderTally, Tally
from router.config.snapshot import trials_of
from router.control.runs import LOOK, Run, place_of
from router.control.terms import Counts, Deployment
from router.rollout.journal import Record
from router.rollout.samples import EvidenceSample, KeptEvidence, is_due
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling
from router.rollout.watch import on_trial

SPREAD = 4
"""Looks fall on so many ticks in turn, so that many rollouts do not hold up everything else at once."""

_FEW = 20
"""Up to so many rollouts have words as of the last look, whatever their verdicts."""

GONE_AFTER = 5.0
"""Seconds after which a process that an earlier controller had, and that has told nothing, is taken for dead."""


class Kept(NamedTuple):
    """What belongs into the journal with the states of some deployments: fields of `Record`."""

    evidence: tuple[KeptEvidence, ...] = ()
    samples: tuple[EvidenceSample, ...] = ()


class Trials:
    """`kept` is what the journal has of each deployment. `clock` is monotonic, `now` Unix time, in seconds."""

    def __init__(
        self,
        counts: Counts,
        kept: Mapping[str, KeptEvidence],
        clock: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._counts = counts
        self._kept = dict(kept)
        self._clock = clock
        self._now = now
        self._runs: dict[str, Run] = {}
        self._ended: dict[str, Run] = {}
        self._heard: set[str] = set()
        self._begun = -1
        self._orphaned_until = clock() + GONE_AFTER
        counts.listen(self)

    # What comes in

    def tally(self, source: str, tally: Tally) -> None:
        """A worker tells what it counted."""
        self._heard.add(source)
        for row in tally.series:
            if (run := self._runs.get(row.deployment)) is not None:
                run.take(source, row)

    def recorder_tally(self, source: str, tally: RecorderTally) -> None:
        """A recorder tells what it compared."""
        self._heard.add(source)
        for row in tally.pairs:
            if (run := self._runs.get(row.deployment)) is not None:
                run.take_pairs(source, row)

    def gone(self, source: str) -> None:
        """A process has ended."""
        self._heard.discard(source)
        for run in self._runs.values():
            run.gone(source)

    # Where the rollouts are

    def follow(self, deployments: Mapping[str, Deployment]) -> None:
        """Every rollout that runs has its evidence, under the exposure that is in force, and no other has any."""
        for name in [name for name in self._runs if name not in deployments]:
            self._end(name)
        for name, deployment in deployments.items():
            run, state = self._runs.get(name), deployment.state
            if run is not None and (run.began != state.began or not on_trial(deployment.course, state)):
                self._end(name)
                run = None
            if run is None or run.is_changed_by(deployment):
                run = self._begin(deployment, run)
            if run is not None:
                run.place(deployment)

    def _begin(self, deployment: Deployment, before: Run | None) -> Run | None:
        """A new run, or the one before under other gates; None where nothing is on trial."""
        state, course = deployment.state, deployment.course
        tried = trials_of(deployment.spec, course, state) if on_trial(course, state) else ()
        if not tried:
            return None
        name = state.deployment
        if before is not None:
            before.close(self._clock())
            before.cut(self._now())
        kept = before.kept() if before is not None else self._kept.pop(name, None)
        if kept is not None and kept.began != state.began:
            kept = None
        run = Run(deployment, tried, kept, before, self._clock())
        self._runs[name] = run
        self._begun += 1
        run.looked += LOOK / SPREAD * (self._begun % SPREAD)
        run.place(deployment)
        for source, row in self._counts.rows(name):
            run.take(source, row)
        return run

    def _end(self, name: str) -> None:
        """What was counted up to now is kept, in case it goes on after all, and to be looked at later."""
        run = self._runs.pop(name)
        run.close(self._clock())
        run.cut(self._now())
        self._kept[name] = run.kept()
        self._ended[name] = run

    # What the gates say

    def look(self, deployments: Iterable[Deployment]) -> list[str]:
        """Closes and judges what is due, a few at a time; the deployments that were looked at."""
        clock = self._clock()
        looked = []
        for deployment in deployments:
            run = self._runs.get(deployment.state.deployment)
            if run is not None and clock - run.looked >= run.patience:
                if clock >= self._orphaned_until:
                    run.forget_all_but(self._heard)
                run.close(clock)
                if run.has_news(deployment):
                    run.judge(deployment, anew=len(self._runs) <= _FEW)
                if is_due(run.cut_at, run.ran):
                    run.cut(self._now())
                looked.append(deployment.state.deployment)
        return looked

    def rulings(self, state: RolloutState) -> tuple[Ruling, ...]:
        """What was said last of the place where this rollout is; nothing of a place nobody has looked at."""
        run = self._runs.get(state.deployment)
        return run.rulings if run is not None and run.judged == place_of(state) else ()

    def report(self, deployment: Deployment) -> tuple[Ruling, ...]:
        """The same with intervals, for people: about a millisecond for each gate."""
        state = deployment.state
        run = self._runs.get(state.deployment)
        if run is None or run.judged != place_of(state):
            return self.rulings(state)
        return run.report(deployment)

    def explaining(self, deployment: Deployment) -> Callable[[], tuple[Ruling, ...]]:
        """What was said last of the place where this rollout is, with intervals once it is called: a rollback is in
        force first, and costs nothing more than it has to before."""
        run = self._runs.get(deployment.state.deployment)
        if run is None or run.judged != place_of(deployment.state):
            return lambda: ()
        return run.explaining(deployment)

    # For the journal

    def news(self) -> set[str]:
        """The deployments of which something was counted that is not kept yet."""
        return {name for name, run in self._runs.items() if run.counted_at > run.saved_at}

    def cut(self, names: Iterable[str]) -> None:
        """These are about to move: what was counted up to here belongs to the place they leave."""
        for name in names:
            if (run := self._runs.get(name)) is not None:
                run.cut(self._now())

    def kept(self, names: Collection[str]) -> Kept:
        """What is to be written together with the states of these deployments; and what ended meanwhile."""
        evidence, samples = [], []
        for name in {*names, *self._ended}:
            for run in (self._ended.get(name), self._runs.get(name)):
                if run is not None:
                    evidence.append(run.kept())
                    samples += run.unsaved
        return Kept(tuple(evidence), tuple(samples))

    def saved(self, record: Record) -> None:
        """The record is in the journal, or sure to come there."""
        written = {(sample.state.deployment, sample.state.began, sample.number) for sample in record.samples}
        for kept in record.evidence:
            self._ended.pop(kept.deployment, None)
            if (run := self._runs.get(kept.deployment)) is not None and run.began == kept.began:
                run.note_saved(kept.ran, written)
