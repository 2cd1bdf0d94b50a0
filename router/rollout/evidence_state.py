"""The state of the evidence on one rollout: what is tried, what was learned of stable, and all that was summed up.

Floor 2. Values for the journal; `rollout.evidence` is what works on them.
"""

import msgspec

from router.rollout.evidence_counts import Block, Exposed, Sample, add_counts
from router.rollout.evidence_cursors import Causes, Source
from router.rollout.gates import Gate
from router.rollout.judgement import Bets
from router.rollout.sequences import Interval, bernoulli_cs

LEARNS_FOR = 60.0
"""Seconds at the beginning of a step in which stable's latency is learned; the step before serves until then."""

LEARNS_FROM = 50
"""At least so many of stable's requests."""

NOISE_PART = 0.1
"""The part of 1 - confidence that is spent on knowing the noise, where there is some."""

_NOISE_GROWTH = 1.05
"""The interval of the noise is computed anew when there are so many times more noise pairs."""


class Trial(msgspec.Struct, frozen=True):
    """What is tried, and how it is judged: all there is to know beside the counts.

    `drawn`: the version of each request is drawn anew (not sticky). `once_per_client`: repeated failures of one client
    for one cause count once; workers tell causes then (of copies every failure counts). `splits`: the candidate answers
    a part of the requests (no shadow). `noise`: stable is also paired with itself. `gates` are those of the whole
    rollout and of all its steps: `confidence` holds for all together, however they take turns.
    """

    stable: str
    candidate: str
    gates: tuple[Gate, ...] = ()
    confidence: float = 0.99
    min_requests: int = 100
    drawn: bool = True
    once_per_client: bool = False
    splits: bool = True
    noise: bool = False


class Learning(msgspec.Struct):
    """Stable's latency as it is learned at the present step; `over` once it is, and what it taught before."""

    since: float = 0.0
    over: bool = False
    counts: dict[int, int] = {}
    learned: dict[int, int] = {}

    def begin(self, now: float) -> None:
        self.since, self.over, self.counts = now, False, {}

    def left(self, now: float) -> float | None:
        """Seconds until it is over, at the pace so far; None while nothing comes, and afterwards."""
        ran, seen = now - self.since, sum(self.counts.values())
        if self.over or not seen or ran <= 0.0:
            return None
        return max(LEARNS_FOR - ran, (LEARNS_FROM - seen) * ran / seen, 0.0)

    def add(self, durations: dict[int, int], now: float) -> None:
        if self.over:
            return
        add_counts(self.counts, durations)
        if now - self.since >= LEARNS_FOR and sum(self.counts.values()) >= LEARNS_FROM:
            self.learned, self.counts, self.over = self.counts, {}, True


class Noise(msgspec.Struct):
    """Pairs of stable with itself, and between which rates it disagrees with itself for all one knows: (0, 1) before
    the first pair, and (0, 0) where nobody measures it."""

    expected: bool = False
    pairs: int = 0
    mismatches: int = 0
    computed_at: int = -1
    interval: Interval = (0.0, 0.0)

    @property
    def measured(self) -> bool:
        return self.expected or self.pairs > 0

    def add(self, pairs: int, mismatches: int, alpha: float) -> None:
        """More pairs. The interval holds with probability 1 - `alpha`, however often it is looked at."""
        self.pairs += pairs
        self.mismatches += mismatches
        if self.measured and (self.computed_at < 0 or self.pairs > self.computed_at * _NOISE_GROWTH):
            self.computed_at, self.interval = self.pairs, bernoulli_cs(self.pairs, self.mismatches, alpha)


class EvidenceState(msgspec.Struct):
    """All that was gathered, for the journal. `bets` by gate and sample; `step` and `slices` are the counts of the
    present exposure, since `entered`; `segments` of the restart mixture, the last begun at `segment_began`."""

    now: float = 0.0
    cohort: int = 0
    entered: float = 0.0
    cohorts: dict[int, Exposed] = {}
    open: dict[int, Block] = {}
    sources: dict[str, Source] = {}
    causes: dict[int, dict[str, Causes]] = {}
    step: Sample = msgspec.field(default_factory=Sample)
    slices: dict[str, Sample] = {}
    bets: dict[str, dict[str, Bets]] = {}
    segments: int = 1
    segment_began: float = 0.0
    learning: Learning = msgspec.field(default_factory=Learning)
    noise: Noise = msgspec.field(default_factory=Noise)
