"""What was counted of a rollout: additive numbers, by arm, block and segment. Floor 2, pure.

Two arms are compared: the candidate, and the version trusted now ("stable"). Everything here is a sum, so that
workers, blocks and restarts are merged by adding. Nothing here knows of gates: what was counted serves any.
"""

from collections.abc import Mapping

import msgspec

from router.channel import ScoreSums
from router.rollout.inference import NOTHING, Side, Terms, block_terms, plus, split_terms
from router.shares import SHARE_PARTS


class Arm(msgspec.Struct):
    """The requests of one side.

    `routed` were sent to it, `done` of them are over, `failed` of these are its failures: status 500 and above, an
    answer broken off, or one that another version had to give. `counted` are the failures that count: the same, or
    one for each client and cause. `durations` are seconds to the last byte, by bucket (`telemetry.counters`).
    """

    routed: int = 0
    done: int = 0
    failed: int = 0
    counted: int = 0
    durations: dict[int, int] = {}

    def add(self, more: "Arm") -> None:
        self.routed += more.routed
        self.done += more.done
        self.failed += more.failed
        self.counted += more.counted
        add_counts(self.durations, more.durations)

    def slower_than(self, bucket: int) -> int:
        """How many took longer than the upper edge of a bucket: exact."""
        return sum([count for index, count in self.durations.items() if index > bucket])

    @property
    def timed(self) -> int:
        return sum(self.durations.values())

    def quantile(self, q: float) -> int | None:
        """The first bucket up to which at least the part q lies; None without any. From above: q is mostly high."""
        left = self.timed
        rank = q * left
        for index in sorted(self.durations, reverse=True):
            left -= self.durations[index]
            if left < rank:
                return index
        return None


class Pairs(msgspec.Struct):
    """Answers of both sides to one request, by verdict; and the sums of their scores (`channel.ScoreSums`)."""

    match: int = 0
    mismatch: int = 0
    incomparable: int = 0
    scored: int = 0
    total: float = 0.0
    log_scores: Terms = NOTHING
    log_losses: Terms = NOTHING

    @property
    def compared(self) -> int:
        return self.match + self.mismatch

    @property
    def comparable(self) -> int:
        """Pairs that say something: a comparator gives a match or not, a score, or both."""
        return max(self.compared, self.scored)

    def add(self, more: "Pairs") -> None:
        self.match += more.match
        self.mismatch += more.mismatch
        self.incomparable += more.incomparable
        if more.scored:
            self.scored += more.scored
            self.total += more.total
            self.log_scores = plus(self.log_scores, more.log_scores)
            self.log_losses = plus(self.log_losses, more.log_losses)


class Sample(msgspec.Struct):
    """Both arms and their pairs; `noise` are pairs of stable with itself."""

    candidate: Arm = msgspec.field(default_factory=Arm)
    stable: Arm = msgspec.field(default_factory=Arm)
    pairs: Pairs = msgspec.field(default_factory=Pairs)
    noise: Pairs = msgspec.field(default_factory=Pairs)

    def add(self, more: "Sample") -> None:
        self.candidate.add(more.candidate)
        self.stable.add(more.stable)
        self.pairs.add(more.pairs)
        self.noise.add(more.noise)


class Exposed(msgspec.Struct, frozen=True):
    """How the requests of one cohort were divided: `share` and `mirror` of SHARE_PARTS; `drawn`, each anew.

    Where requests of one client stay together (sticky), and where the candidate only gets copies, the split is taken
    as it came out instead of as it was drawn. Not so for failures where each client counts once: clients are drawn,
    whatever part of the requests is theirs.
    """

    share: int
    mirror: int = 0
    drawn: bool = True
    once_per_client: bool = False

    @property
    def role(self) -> str:
        """As what the candidate is counted (`channel.SeriesTally.role`); empty while it gets nothing."""
        return "live" if self.share else "shadow" if self.mirror else ""

    @property
    def alone(self) -> bool:
        """There is no stable traffic to compare with."""
        return self.share >= SHARE_PARTS

    @property
    def by_draw(self) -> bool:
        return self.drawn and 0 < self.share < SHARE_PARTS

    @property
    def clustered(self) -> bool:
        """Whether each client is on one side with all its requests: what sets clients apart sets the sides apart."""
        return not self.drawn and 0 < self.share < SHARE_PARTS

    @property
    def failures_by_draw(self) -> bool:
        """Whether who fails was drawn: a request, or a client that counts once."""
        return (self.drawn or self.once_per_client) and 0 < self.share < SHARE_PARTS

    @property
    def weight(self) -> float:
        return self.share / SHARE_PARTS

    def terms(self, nc: int, kc: int, ns: int, ks: int, ratio: float, side: Side) -> Terms:
        """The bet on the ratio of two rates of events: `kc` of the candidate's `nc` requests, `ks` of stable's `ns`.

        Copies (share 0) are judged by the same blocks. An original and its copy are not independent, which only
        lowers E: a failure on the candidate's side multiplies it by a > 1, one on stable's by b < 1, and with
        positively correlated failures E[a^X b^Y] <= E[a^X] E[b^Y], since one factor rises and the other falls.
        """
        if self.alone:
            return NOTHING
        if self.by_draw:
            return split_terms(self.weight, kc, ks, ratio, side)
        return block_terms(nc, kc, ns, ks, ratio, side)

    def failure_terms(self, nc: int, kc: int, ns: int, ks: int, ratio: float, side: Side) -> Terms:
        """The same for failures that count (`Arm.counted`). A client with half of all requests counts once like any
        other, so that the part of the requests says nothing of whose failure is to be expected."""
        if self.failures_by_draw:
            return split_terms(self.weight, kc, ks, ratio, side)
        return self.terms(nc, kc, ns, ks, ratio, side)

    def as_it_came(self) -> "Exposed":
        """The same with the split taken from the requests, whatever was intended."""
        return msgspec.structs.replace(self, drawn=False, once_per_client=False)


class Block(msgspec.Struct):
    """What one stretch of time added for one cohort, whole and by segment (`<name>=<value>`).

    `opened` and `closed` in seconds the rollout has run. Applied in the order of closing (`Evidence.apply`), blocks
    are all there is to know: whoever keeps them can judge the same rollout by other gates.
    """

    cohort: int
    exposed: Exposed
    opened: float
    closed: float = 0.0
    whole: Sample = msgspec.field(default_factory=Sample)
    slices: dict[str, Sample] = {}

    def sample(self, slice: str) -> Sample:
        """The sums of a segment; of the whole for an empty name."""
        if not slice:
            return self.whole
        known = self.slices.get(slice)
        if known is None:
            known = self.slices[slice] = Sample()
        return known


def scores(told: ScoreSums, before: ScoreSums | None) -> Pairs:
    """What scores added since they were told before."""
    if before is None:
        return Pairs(scored=told.n, total=told.total, log_scores=told.log_scores, log_losses=told.log_losses)
    return Pairs(
        scored=told.n - before.n,
        total=told.total - before.total,
        log_scores=_minus(told.log_scores, before.log_scores),
        log_losses=_minus(told.log_losses, before.log_losses),
    )


def add_counts(total: dict[int, int], more: Mapping[int, int]) -> None:
    for key, count in more.items():
        total[key] = total.get(key, 0) + count


def _minus(one: Terms, other: Terms) -> Terms:
    return tuple([a - b for a, b in zip(one, other, strict=True)])
