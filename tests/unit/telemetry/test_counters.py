"""Log buckets: exact edges, exact merging, bounded error."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channel import Histogram
from router.telemetry.counters import BUCKETS, GAMMA, VersionCounter, bucket_of, edge, merge, quantile

SECONDS = st.floats(1e-5, 9000.0)


@given(SECONDS)
def test_a_bucket_holds_what_lies_between_its_edges(seconds: float) -> None:
    index = bucket_of(seconds)
    assert seconds <= edge(index) * (1 + 1e-8)
    assert index == 0 or seconds > edge(index - 1) * (1 - 1e-8)


@pytest.mark.parametrize("index", [0, 1, 17, 300, BUCKETS - 1])
def test_an_edge_belongs_to_the_bucket_below_it(index: int) -> None:
    assert bucket_of(edge(index)) == index


@given(SECONDS)
def test_a_bound_times_1_2_is_nine_buckets_on(seconds: float) -> None:
    assert math.isclose(edge(bucket_of(seconds)) * 1.2, edge(bucket_of(seconds) + 9), rel_tol=1e-9)


@pytest.mark.parametrize(
    ("seconds", "index"), [(0.0, 0), (-1.0, 0), (1e-9, 0), (1e6, BUCKETS - 1), (1e300, BUCKETS - 1)]
)
def test_what_lies_outside_counts_in_the_first_or_last_bucket(seconds: float, index: int) -> None:
    assert bucket_of(seconds) == index


def test_a_version_counter_tells_what_changed_and_in_full() -> None:
    counter = VersionCounter("d", "v1", "live")
    assert counter.tally() is not None, "a new series is told even before anything happened"
    assert counter.tally() is None
    counter.start()
    counter.start()
    counter.finish(200, 0.25, 0.125)
    first = counter.tally()
    assert first is not None
    assert (first.codes, first.in_flight) == ({200: 1}, 1)
    assert first.duration == Histogram({bucket_of(0.25): 1}, 0.25)
    assert first.first_byte == Histogram({bucket_of(0.125): 1}, 0.125)
    counter.finish(502, 0.25, -1.0)
    second = counter.tally()
    assert second is not None
    assert (second.codes, second.in_flight) == ({200: 1, 502: 1}, 0)
    assert second.first_byte == first.first_byte, "no first byte came"
    assert first.codes == {200: 1}, "what was told does not change afterwards"


def test_what_failed_is_told_apart_and_each_cause_once() -> None:
    counter = VersionCounter("d", "v2", "live", 4, "region=eu")
    for cause in (7, 7, 8):
        counter.start()
        counter.blame(cause)
        counter.fall_back()
    told = counter.tally()
    assert told is not None
    assert (told.cohort, told.slice, told.fallbacks, told.in_flight) == (4, "region=eu", 3, 0)
    assert told.causes == (7, 8)
    counter.start()
    counter.blame(8)
    counter.blame(9)
    again = counter.tally()
    assert again is not None
    assert again.causes == (9,)
    counter.touch()
    all_again = counter.tally()
    assert all_again is not None
    assert set(all_again.causes) == {7, 8, 9}


def test_a_counter_absorbs_another() -> None:
    one, other = VersionCounter("d", "v", "live"), VersionCounter("d", "v", "live", 1)
    for counter, code, seconds in ((one, 200, 0.1), (other, 200, 0.1), (other, 500, 2.0)):
        counter.start()
        counter.finish(code, seconds, seconds)
    other.fallbacks, other.broken = 2, 1
    one.absorb(other)
    told = one.tally()
    assert told is not None
    assert (told.codes, told.fallbacks, told.broken) == ({200: 2, 500: 1}, 2, 1)
    assert told.duration.counts == {bucket_of(0.1): 2, bucket_of(2.0): 1}
    assert told.duration.sum == pytest.approx(2.2)
    assert sum(told.first_byte.counts.values()) == 3


HISTOGRAMS = st.builds(
    Histogram, st.dictionaries(st.integers(0, 40), st.integers(1, 9)), st.integers(0, 99).map(float)
)


@given(HISTOGRAMS, HISTOGRAMS, HISTOGRAMS)
def test_merging_is_exact_in_any_order(a: Histogram, b: Histogram, c: Histogram) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(c, b))
    assert sum(merge(a, b).counts.values()) == sum(a.counts.values()) + sum(b.counts.values())


@given(st.lists(SECONDS, min_size=1, max_size=60), st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99, 1.0]))
def test_a_quantile_is_at_most_one_bucket_above_the_true_one(durations: list[float], q: float) -> None:
    counter = VersionCounter("d", "v", "live")
    for seconds in durations:
        counter.start()
        counter.finish(200, seconds, -1.0)
    tally = counter.tally()
    assert tally is not None
    true = sorted(durations)[max(math.ceil(q * len(durations) - 1e-9), 1) - 1]
    found = quantile(tally.duration, q)
    assert found is not None
    assert true * (1 - 1e-8) <= found <= true * GAMMA * (1 + 1e-8)


def test_no_observations_have_no_quantile() -> None:
    assert quantile(Histogram({}, 0.0), 0.5) is None
