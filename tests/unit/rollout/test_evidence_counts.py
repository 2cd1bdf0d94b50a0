from itertools import product
from math import exp, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channel import Histogram
from router.rollout.evidence_counts import Arm, Block, Exposed, Pairs, Sample, add_counts
from router.rollout.inference import NOTHING, block_terms, log_e, split_terms
from router.telemetry.counters import bucket_of, edge, quantile
from tests.support.evidence import paired

COUNTS = st.dictionaries(st.integers(0, 300), st.integers(1, 20), max_size=12)


@given(COUNTS, st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999]))
def test_a_quantile_is_that_of_the_histogram(durations: dict[int, int], q: float) -> None:
    expected = quantile(Histogram(durations, 0.0), q)
    found = Arm(durations=durations).quantile(q)
    assert (found is None) == (expected is None)
    assert found is None or edge(found) == expected


@given(COUNTS, COUNTS)
def test_arms_are_added_in_any_order(one: dict[int, int], other: dict[int, int]) -> None:
    def arm(durations: dict[int, int]) -> Arm:
        n = sum(durations.values())
        return Arm(n, n, n // 2, n // 3, dict(durations))

    left, right = arm(one), arm(other)
    left.add(arm(other))
    right.add(arm(one))
    assert left == right


def test_slower_than_an_edge_is_exact() -> None:
    bucket = bucket_of(0.1)
    arm = Arm(durations={bucket: 5, bucket + 1: 3})
    assert arm.slower_than(bucket) == 3


def test_only_pairs_that_were_compared_or_scored_say_something() -> None:
    assert Pairs(match=3, mismatch=1, incomparable=9).comparable == 4
    assert Pairs(incomparable=9, scored=7).comparable == 7


@pytest.mark.parametrize(
    ("exposed", "role", "by_draw", "alone"),
    [
        (Exposed(0, 10_000), "shadow", False, False),
        (Exposed(500, 1_000), "live", True, False),
        (Exposed(500, 0, drawn=False), "live", False, False),
        (Exposed(10_000), "live", False, True),
        (Exposed(0), "", False, False),
    ],
)
def test_an_exposure_says_how_requests_are_divided(
    exposed: Exposed, role: str, by_draw: bool, alone: bool
) -> None:
    assert (exposed.role, exposed.by_draw, exposed.alone) == (role, by_draw, alone)


def test_a_drawn_split_takes_the_weight_that_was_drawn_and_not_the_requests_that_came() -> None:
    assert Exposed(500).terms(999, 3, 1, 0, 1.0, "above") == split_terms(0.05, 3, 0, 1.0)


def test_clients_that_count_once_are_weighed_as_they_were_drawn_whatever_their_requests() -> None:
    sticky = Exposed(500, drawn=False, once_per_client=True)
    assert sticky.failure_terms(10, 3, 990, 1, 1.0, "above") == split_terms(0.05, 3, 1, 1.0)
    assert sticky.terms(10, 3, 990, 1, 1.0, "above") == block_terms(10, 3, 990, 1, 1.0)
    each = Exposed(500, drawn=False)
    assert each.failure_terms(10, 3, 990, 1, 1.0, "below") == block_terms(10, 3, 990, 1, 1.0, "below")
    copies = Exposed(0, 10_000, once_per_client=True)
    assert copies.failure_terms(10, 3, 10, 1, 1.0, "above") == block_terms(10, 3, 10, 1, 1.0)


def test_alone_there_is_nothing_to_compare() -> None:
    assert Exposed(10_000).terms(100, 50, 0, 0, 1.0, "above") == NOTHING


def test_failures_that_come_with_their_copies_lower_the_evidence() -> None:
    """The expectation over all outcomes of four originals and their copies, which fail together or not at all."""
    rate, exposed = 0.3, Exposed(0, 10_000)
    together = apart = 0.0
    for outcome in product((0, 1), repeat=4):
        chance = prod(rate if failed else 1 - rate for failed in outcome)
        k = sum(outcome)
        together += chance * exp(log_e(exposed.terms(4, k, 4, k, 1.0, "above")))
        for copies in product((0, 1), repeat=4):
            other = chance * prod(rate if failed else 1 - rate for failed in copies)
            apart += other * exp(log_e(exposed.terms(4, sum(copies), 4, k, 1.0, "above")))
    assert together < apart <= 1.0 + 1e-12


def test_a_block_keeps_its_segments() -> None:
    block = Block(1, Exposed(500), 0.0)
    block.sample("region=eu").candidate.done += 1
    block.sample("").candidate.done += 2
    assert block.whole == Sample(candidate=Arm(done=2))
    assert block.slices == {"region=eu": Sample(candidate=Arm(done=1))}


def test_counts_are_added() -> None:
    total = {1: 1}
    add_counts(total, {1: 2, 3: 4})
    assert total == {1: 3, 3: 4}
    assert paired(1, 0).verdicts["match"] == 1
