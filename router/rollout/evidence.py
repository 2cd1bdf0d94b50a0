"""What is known of one rollout: counts come in, blocks are closed by time, gates look as often as they like.

Floor 2, pure: no clock, no I/O; `now` is seconds the rollout has run, which stand still while nobody counts. All of
it is additive and lives in `EvidenceState`, which can be saved at any moment: with the cursors in it, a controller
that takes it up counts everything once, whatever it missed.

The life of a count: a worker stamps a request with the cohort it was routed under; its cumulative tally comes to
`take`; `close`, once a second, adds what is new to the open block of that cohort and closes the blocks that are due;
a closed block is bet on by every gate (`apply`), and never looked at again. Blocks close by time and arrivals, never
by outcomes: where the split is drawn, at every tick; where it is taken as it came out, as soon as both arms have
requests. `judge` reads the sums.

The requests of a block are those routed in it, its failures those that came back in it, so that an arm whose failures
are quicker than its answers is not taken for one that only fails. What comes back late is judged by the split of its
own cohort. What this does not see: where one arm fails at once and the other by a timeout of a minute, the first minute
of an exposure has only the failures of the one.
"""

from collections.abc import Iterable

import msgspec

from router.channel import PairTally, SeriesTally
from router.rollout.evidence_counts import Block, Exposed, Sample
from router.rollout.evidence_cursors import ArmCursor, Causes, PairCursor, Source, failures
from router.rollout.evidence_state import NOISE_PART, EvidenceState, Trial
from router.rollout.gates.measuring import Known, MeasuredGate, Scene
from router.rollout.gates.sample_ratio import SampleRatioGate
from router.rollout.gates.segments import SegmentsGate
from router.rollout.inference import RESTART_EVERY
from router.rollout.judgement import Bets, Demand, fails_at, stand, tell, unless_split, with_interval
from router.rollout.verdict import Ruling, Verdict
from router.spec import Spec

_REALISED_AT_MOST = 60.0
"""Seconds after which a block closes that waits for both arms: bounds on the candidate alone go on."""

_COHORTS = 4
"""What is routed under older exposures than these is no evidence any more."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(EvidenceState)
_NOWHERE = Exposed(0)


class Evidence:
    """The evidence on one candidate. Belongs to the controller; nothing here waits or fails.

    A gate whose settings are not those of before gathers anew; the others go on from `state`. `any_time`: a tick may
    come when it likes, after a failure for example, since it does not matter where a block ends.
    """

    def __init__(self, trial: Trial, state: EvidenceState | None = None) -> None:
        self.trial = trial
        self._s = _copy(state) if state is not None else EvidenceState()
        self._gates: dict[MeasuredGate, str] = {gate: gate.model_dump_json() for gate in _measured(trial)}
        self._split_watch = next((gate for gate in self._gates if isinstance(gate, SampleRatioGate)), None)
        self._sliced = any(isinstance(gate, SegmentsGate) for gate in self._gates)
        self._s.bets = {key: self._s.bets.get(key, {}) for key in self._gates.values()}
        self._told: dict[tuple[str, str, str, int, str], SeriesTally] = {}
        self._s.noise.expected = trial.noise
        self._failures: dict[tuple[str, int, str], int] = {}
        self.any_time = self._at_any_time()
        self._known = Known({})
        self._know(0, 0)

    # What comes in

    def expose(self, cohort: int, share: int, mirror: int) -> None:
        """From now on the controller may publish this exposure (parts of SHARE_PARTS): to be said before it does."""
        s = self._s
        if cohort == s.cohort:
            return
        s.cohort, s.entered = cohort, s.now
        s.cohorts[cohort] = Exposed(share, mirror, self.trial.drawn, self.trial.once_per_client)
        s.step, s.slices = Sample(), {}
        s.learning.begin(s.now)
        self.any_time = self._at_any_time()
        self._forget()
        if s.now > s.segment_began:
            self._begin_segment()
        for samples in s.bets.values():
            for bets in samples.values():
                bets.enter_step()

    def take(self, source: str, tally: SeriesTally) -> bool:
        """A worker's cumulative counts of one row of this deployment. Whether it tells of a failure of the candidate
        that is worth a tick at once."""
        if tally.causes and (arm := self._arm(tally)) and not self._each_counts(tally.cohort):
            new = self._causes(arm, tally.cohort).new(tally.causes)
            for sample in self._samples(tally.cohort, tally.slice):
                (sample.candidate if arm == "candidate" else sample.stable).counted += new
        self._told[source, tally.version, tally.role, tally.cohort, tally.slice] = tally
        if tally.version != self.trial.candidate or not self.any_time:
            return False
        key, failed = (source, tally.cohort, tally.slice), failures(tally)
        before = self._failures.get(key, 0)
        self._failures[key] = failed
        return failed > before

    def take_pairs(self, source: str, tally: PairTally) -> None:
        """A recorder's cumulative counts of one row of this deployment."""
        sides = {tally.primary, tally.shadow}
        noise = sides == {self.trial.stable}
        if tally.cohort not in self._s.cohorts or not (
            noise or sides == {self.trial.stable, self.trial.candidate}
        ):
            return
        if tally.slice and not self._sliced:
            return
        rows = self._s.sources.setdefault(source, Source()).pairs
        row = f"{tally.primary} {tally.shadow} {tally.cohort} {tally.slice}"
        pairs = rows.setdefault(row, PairCursor(tally.cohort)).advance(tally)
        sample = self._block(tally.cohort).sample(
            tally.slice
        )  # rows by slice count pairs again: the whole has its own
        (sample.noise if noise else sample.pairs).add(pairs)

    def gone(self, source: str) -> None:
        """This source has ended and tells nothing any more."""
        self._settle()
        self._s.sources.pop(source, None)

    # Time

    def close(self, now: float) -> tuple[Block, ...]:
        """A tick: closes what is due, and returns it. `now` never goes back."""
        s = self._s
        self._settle()
        s.now = max(s.now, now)
        if s.now - s.segment_began >= RESTART_EVERY:
            self._begin_segment()
        closed = tuple(block for block in s.open.values() if self._due(block))
        for block in closed:
            del s.open[block.cohort]
            block.closed = s.now
            self.apply(block)
        return closed

    def apply(self, block: Block) -> None:
        """Every gate bets on a closed block, by what was known before it; then it becomes known itself."""
        s = self._s
        for gate, key in self._gates.items():
            samples = s.bets[key]
            for name, sample in gate.samples(block).items():
                if bets := gate.bets(sample, block.exposed, self._known):
                    samples.setdefault(name, Bets()).add(bets, s.segments)
        if block.cohort == s.cohort:
            s.step.add(block.whole)
            for name, sample in block.slices.items():
                s.slices.setdefault(name, Sample()).add(sample)
            s.learning.add(block.whole.stable.durations, s.now)
        self._know(block.whole.noise.compared, block.whole.noise.mismatch)

    # What it says

    def judge(
        self, gates: Iterable[Spec], following: int, before: tuple[Ruling, ...] = ()
    ) -> tuple[Ruling, ...]:
        """What the gates that judge by counts say now, in their order, and the sample ratio unasked; gates that ask
        others are passed over. `following` is the share the next step leads to. Cheap, and changes nothing.

        `before` is what they said last: where no verdict is another, it is said again, which is cheaper still.
        """
        scene, waiting, demand = self._scene(), self._waiting(), self._demand(following)
        asked = [(gate, self._s.bets.get(self._gates.get(gate, ""), {})) for gate in self._asked(gates)]
        stands = [stand(gate, bets, scene, waiting, demand) for gate, bets in asked]
        if [(each.verdict, each.hold) for each in before] == [(each.verdict, each.hold) for each in stands]:
            return before
        rulings = tuple(
            tell(stood, gate, bets, scene, demand) for stood, (gate, bets) in zip(stands, asked, strict=True)
        )
        if any(ruling.verdict is Verdict.FAIL for ruling in rulings) and self._split_is_wrong():
            return tuple(
                self._doubted(ruling, gate) for ruling, (gate, _) in zip(rulings, asked, strict=True)
            )
        return rulings

    def report(self, gates: Iterable[Spec], following: int) -> tuple[Ruling, ...]:
        """The same for people, with intervals: a millisecond for each gate."""
        asked = self._asked(gates)
        return self.explain(self.judge(asked, following), asked)

    def explain(self, rulings: Iterable[Ruling], gates: Iterable[Spec]) -> tuple[Ruling, ...]:
        """What these gates have just said, with intervals."""
        asked, scene = self._asked(gates), self._scene()
        return tuple(with_interval(ruling, gate, scene) for ruling, gate in zip(rulings, asked, strict=True))

    def state(self) -> EvidenceState:
        """A copy of all that was gathered, as of the last tick."""
        return _copy(self._s)

    def packed(self) -> bytes:
        """The same as msgpack, for the journal: at a fifth of the cost."""
        return _encoder.encode(self._s)

    # Inside

    def _asked(self, gates: Iterable[Spec]) -> tuple[MeasuredGate, ...]:
        asked = tuple(gate for gate in gates if isinstance(gate, MeasuredGate))
        watch, split = self._split_watch, self._exposed
        if watch is None or watch in asked or not watch.enabled or not split.share or split.alone:
            return asked
        return (*asked, watch)

    def _split_is_wrong(self) -> bool:
        """Whether the sample ratio holds, asked or not."""
        watch = self._split_watch
        if watch is None or not watch.enabled:
            return False
        bets = self._s.bets[self._gates[watch]].get("")
        return bets is not None and bets.against >= watch.bar(0.0)

    def _doubted(self, ruling: Ruling, gate: MeasuredGate) -> Ruling:
        """A ruling of a rollout whose split is wrong."""
        if ruling.verdict is not Verdict.FAIL:
            return ruling
        s = self._s
        step = Block(s.cohort, self._exposed, s.entered, s.now, s.step, s.slices)
        return unless_split(ruling, gate, step, self._known, self._demand(0).fails_at)

    @property
    def _exposed(self) -> Exposed:
        return self._s.cohorts.get(self._s.cohort, _NOWHERE)

    def _scene(self) -> Scene:
        s = self._s
        return Scene(s.step, s.slices, self._exposed, self._known, s.learning.left(s.now))

    def _demand(self, following: int) -> Demand:
        trial, s = self.trial, self._s
        spent = 1.0 - trial.confidence
        if s.noise.measured:
            spent *= 1.0 - NOISE_PART
        failing = sum(gate.may_fail for gate in self._gates)
        return Demand(fails_at(spent, failing), following, trial.min_requests, s.now - s.entered)

    def _at_any_time(self) -> bool:
        return self._exposed.by_draw or self._exposed.alone

    def _waiting(self) -> int:
        """The candidate's requests of the present exposure that are on their way."""
        cohort = self._s.cohort
        return sum(
            cursor.in_flight
            for source in self._s.sources.values()
            for cursor in source.arms.values()
            if cursor.candidate and cursor.cohort == cohort
        )

    def _arm(self, tally: SeriesTally) -> str:
        """Which arm the row belongs to; empty where it is no evidence."""
        exposed = self._s.cohorts.get(tally.cohort)
        if exposed is None:
            return ""
        if tally.version == self.trial.candidate and tally.role == exposed.role:
            return "candidate"
        return "stable" if tally.version == self.trial.stable and tally.role == "live" else ""

    def _causes(self, arm: str, cohort: int) -> Causes:
        """Who has failed under this exposure. Each begins anew on both sides: else clients that a step moves to the
        candidate could fail once more there, and those that stay with stable not. Where every request is drawn, a
        client is on both sides, and counts where it failed first."""
        where = "" if self._s.cohorts[cohort].by_draw else arm
        return self._s.causes.setdefault(cohort, {}).setdefault(where, Causes())

    def _each_counts(self, cohort: int) -> bool:
        """Whether every failure counts. Where the candidate only gets copies, both arms see the same clients."""
        return not self.trial.once_per_client or self._s.cohorts[cohort].role == "shadow"

    def _block(self, cohort: int) -> Block:
        block = self._s.open.get(cohort)
        if block is None:
            block = self._s.open[cohort] = Block(cohort, self._s.cohorts[cohort], self._s.now)
        return block

    def _samples(self, cohort: int, slice: str) -> list[Sample]:
        """Where a row of a worker counts: in the whole, and in its segment."""
        block = self._block(cohort)
        return [block.whole, block.sample(slice)] if slice and self._sliced else [block.whole]

    def _settle(self) -> None:
        """Adds what was told since the last tick to the open blocks. Only the latest of each row matters."""
        told, self._told = self._told, {}
        for (source, *_), tally in told.items():
            if not (arm := self._arm(tally)):
                continue
            rows = self._s.sources.setdefault(source, Source()).arms
            row = f"{tally.version} {tally.role} {tally.cohort} {tally.slice}"
            cursor = rows.get(row)
            if cursor is None:
                cursor = rows[row] = ArmCursor(tally.cohort, arm == "candidate")
            more = cursor.advance(tally, each=self._each_counts(tally.cohort))
            for sample in self._samples(tally.cohort, tally.slice):
                (sample.candidate if arm == "candidate" else sample.stable).add(more)

    def _due(self, block: Block) -> bool:
        if block.exposed.by_draw or block.exposed.alone:
            return True
        both = block.whole.candidate.routed and block.whole.stable.routed
        return bool(both) or self._s.now - block.opened >= _REALISED_AT_MOST

    def _begin_segment(self) -> None:
        s = self._s
        s.segments += 1
        s.segment_began = s.now
        for samples in s.bets.values():
            for bets in samples.values():
                bets.begin_segment()

    def _forget(self) -> None:
        """Older exposures: what is open of them is not closed any more, and what comes of them not counted."""
        s = self._s
        s.cohorts = {cohort: s.cohorts[cohort] for cohort in sorted(s.cohorts)[-_COHORTS:]}
        s.open = {cohort: block for cohort, block in s.open.items() if cohort in s.cohorts}
        s.causes = {cohort: causes for cohort, causes in s.causes.items() if cohort in s.cohorts}
        for source in s.sources.values():
            source.forget_all_but(frozenset(s.cohorts))
        self._failures.clear()

    def _know(self, noise_pairs: int, mismatches: int) -> None:
        """What bets on the next block may depend on."""
        s = self._s
        s.noise.add(noise_pairs, mismatches, NOISE_PART * (1.0 - self.trial.confidence))
        if self._known.durations is not s.learning.learned or self._known.noise != s.noise.interval:
            self._known = Known(s.learning.learned, s.noise.interval)


def _measured(trial: Trial) -> list[MeasuredGate]:
    """The gates that bet, each once; the sample ratio among them wherever there is a split."""
    gates: list[MeasuredGate] = [gate for gate in trial.gates if isinstance(gate, MeasuredGate)]
    if trial.splits and not any(isinstance(gate, SampleRatioGate) for gate in gates):
        gates.append(SampleRatioGate())
    return gates


def _copy(state: EvidenceState) -> EvidenceState:
    return _decoder.decode(_encoder.encode(state))
