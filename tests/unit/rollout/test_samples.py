"""When samples are taken, how blocks are merged, and that both come back as they went."""

import pytest

from router.rollout.evidence_counts import Arm, Block, Exposed, Sample
from router.rollout.samples import EVERY, EvidenceSample, decode, encode, is_due, is_empty, merged
from router.rollout.state import RolloutState


def block(cohort: int, opened: float, done: int, **slices: int) -> Block:
    sample = Sample(candidate=Arm(done, done, 1, 1, {7: done}))
    apart = {name: Sample(stable=Arm(done=count)) for name, count in slices.items()}
    return Block(cohort, Exposed(1000), opened, opened + 1, sample, apart)


@pytest.mark.parametrize(
    ("last", "ran", "due"),
    [(0, 9.9, False), (0, EVERY, True), (3600, 3609, False), (3600, 3610.1, True), (86400, 86600, False)],
)
def test_a_young_rollout_is_sampled_every_ten_seconds_an_old_one_less_often(
    last: float, ran: float, due: bool
) -> None:
    assert is_due(last, ran) is due


def test_a_week_is_a_few_thousand_samples() -> None:
    last, taken = 0.0, 0
    for second in range(7 * 86400):
        if is_due(last, second):
            last, taken = second, taken + 1
    assert 1500 < taken < 2500


def test_blocks_of_one_cohort_become_one_and_stay_as_they_were() -> None:
    one, two, other = block(4, 0, 10, a=1), block(4, 1, 5, a=2, b=3), block(5, 2, 1)
    first, second = merged([one, two, other])
    assert (first.cohort, first.opened, first.closed, second.cohort) == (4, 0, 2, 5)
    assert (first.whole.candidate.done, first.whole.candidate.durations) == (15, {7: 15})
    assert {name: sample.stable.done for name, sample in first.slices.items()} == {"a": 3, "b": 3}
    assert (one.whole.candidate.done, two.whole.candidate.done) == (10, 5)


def test_a_block_in_which_nothing_came_is_empty() -> None:
    assert is_empty(Block(1, Exposed(1000), 0.0))
    assert not is_empty(block(1, 0, 1))


def test_samples_come_back_as_they_went() -> None:
    state = RolloutState("loan", "canary", "v1", ("v2",), cohort=4, began=2)
    sample = EvidenceSample(3, 12.5, 1000.0, state, "v2", (block(4, 0, 10, a=1),))
    assert decode(encode(sample)) == sample
