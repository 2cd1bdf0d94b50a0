"""What rollouts leave behind: samples of a canary at 10 %, then at 50 %."""

from collections.abc import Iterator

from msgspec.structs import replace

from router.rollout.evidence_counts import Arm, Block, Exposed, Sample
from router.rollout.phase import Phase
from router.rollout.samples import EvidenceSample
from router.rollout.state import RolloutState

AT_10 = RolloutState("loan", "canary", "v1", ("v2",), Phase.PROGRESSING, 0, 1000, cohort=4, began=4)
AT_50 = replace(AT_10, step=1, share=5000, cohort=5)


def arm(requests: int, failed: int) -> Arm:
    return Arm(requests, requests, failed, failed, {100: requests})


def samples(
    state: RolloutState,
    error_rate: float,
    count: int,
    since: float = 0.0,
    every: float = 10.0,
    rps: float = 100.0,
) -> Iterator[EvidenceSample]:
    """What 1 % failures of stable, and this part of the candidate's, leave behind."""
    share = state.share / 10_000
    mine, theirs = round(rps * every * share), round(rps * every * (1 - share))
    for number in range(count):
        opened, closed = since + number * every, since + (number + 1) * every
        whole = Sample(arm(mine, round(mine * error_rate)), arm(theirs, round(theirs * 0.01)))
        block = Block(state.cohort, Exposed(state.share, state.mirror), opened, closed, whole)
        yield EvidenceSample(round(closed), closed, 1000.0 + closed, state, state.candidates[0], (block,))


GOOD = [*samples(AT_10, 0.01, 20), *samples(AT_50, 0.01, 12, since=200.0)]
BAD = [*samples(AT_10, 0.05, 20), *samples(AT_50, 0.05, 12, since=200.0)]
"""The candidate fails as often as stable, and five times as often."""
