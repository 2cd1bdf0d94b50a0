"""Cumulative tallies become increments: nothing is counted twice, whatever is repeated, lost or restarted.

Floor 2, pure. Every source (a worker, a recorder) counts from its own start on. What it told last of each row is its
cursor here; the next tally adds what lies above it. Cursors only rise, so that a tally told again, late or to a new
controller adds nothing; they are part of the evidence's state, which therefore may be saved at any moment.
"""

from collections.abc import Mapping

import msgspec

from router.channel import PairTally, ScoreSums, SeriesTally
from router.rollout.evidence_counts import Arm, Pairs, scores

_FAILURES_FROM = 500
_WITHDRAWN = 599
"""The code of a copy that the router itself took back (`dataplane.copies.NO_ANSWER`): nobody's failure."""

_MAX_CAUSES = 10_000


class ArmCursor(msgspec.Struct):
    """What a worker has told of one row: the fields of `Arm`, and how many of its requests are on their way."""

    cohort: int
    candidate: bool
    routed: int = 0
    done: int = 0
    failed: int = 0
    in_flight: int = 0
    durations: dict[int, int] = {}

    def advance(self, tally: SeriesTally, *, each: bool) -> Arm:
        """What the tally adds. `each`: every failure counts; else only the causes do, which are told apart."""
        withdrawn = tally.codes.get(_WITHDRAWN, 0) if tally.role == "shadow" else 0
        done = sum(tally.codes.values()) + tally.fallbacks - withdrawn
        failed = failures(tally) - withdrawn
        routed = done + max(tally.in_flight, 0)
        arm = Arm(max(routed - self.routed, 0), max(done - self.done, 0), max(failed - self.failed, 0))
        arm.counted = arm.failed if each else 0
        self.routed += arm.routed
        self.done += arm.done
        self.failed += arm.failed
        self.in_flight = tally.in_flight
        arm.durations = _rise(self.durations, tally.duration.counts)
        return arm


def failures(tally: SeriesTally) -> int:
    """How many requests of a row failed."""
    failed = sum([count for code, count in tally.codes.items() if code >= _FAILURES_FROM])
    return failed + tally.fallbacks + tally.broken


def _rise(before: dict[int, int], now: Mapping[int, int]) -> dict[int, int]:
    """What lies above `before`, which takes it up."""
    told = before.get
    risen = {}
    for bucket in [bucket for bucket, count in now.items() if count != told(bucket)]:
        more = now[bucket] - before.get(bucket, 0)
        if more > 0:
            risen[bucket] = more
            before[bucket] = now[bucket]
    return risen


class PairCursor(msgspec.Struct):
    """What a recorder has told of one row."""

    cohort: int
    match: int = 0
    mismatch: int = 0
    incomparable: int = 0
    scores: ScoreSums | None = None

    def advance(self, tally: PairTally) -> Pairs:
        """What the tally adds."""
        pairs = Pairs()
        if tally.scores is not None and tally.scores.n > (self.scores.n if self.scores else 0):
            pairs = scores(tally.scores, self.scores)
            self.scores = tally.scores
        verdicts = tally.verdicts
        pairs.match = max(verdicts.get("match", 0) - self.match, 0)
        pairs.mismatch = max(verdicts.get("mismatch", 0) - self.mismatch, 0)
        pairs.incomparable = max(verdicts.get("incomparable", 0) - self.incomparable, 0)
        self.match += pairs.match
        self.mismatch += pairs.mismatch
        self.incomparable += pairs.incomparable
        return pairs


class Causes(msgspec.Struct):
    """Causes of failure that were counted once: hashes of client and kind. Of many, the oldest are forgotten."""

    seen: dict[int, None] = {}

    def new(self, causes: tuple[int, ...]) -> int:
        """How many of them were not seen yet."""
        seen = self.seen
        fresh = [cause for cause in dict.fromkeys(causes) if cause not in seen]
        seen.update(dict.fromkeys(fresh))
        for _ in range(len(seen) - _MAX_CAUSES):
            del seen[next(iter(seen))]
        return len(fresh)


class Source(msgspec.Struct):
    """The cursors of one source, by row."""

    arms: dict[str, ArmCursor] = {}
    pairs: dict[str, PairCursor] = {}

    def forget_all_but(self, cohorts: frozenset[int]) -> None:
        self.arms = {row: each for row, each in self.arms.items() if each.cohort in cohorts}
        self.pairs = {row: each for row, each in self.pairs.items() if each.cohort in cohorts}
