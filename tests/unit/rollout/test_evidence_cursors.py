from hypothesis import given
from hypothesis import strategies as st

from router.channel import Histogram
from router.rollout.evidence_counts import Arm, Pairs
from router.rollout.evidence_cursors import ArmCursor, Causes, PairCursor, Source
from tests.support.evidence import CANDIDATE, paired, series


def test_a_tally_adds_what_is_new_and_told_again_nothing() -> None:
    cursor = ArmCursor(1, candidate=True)
    tally = series(CANDIDATE, 10, 2, took={0.1: 10})
    assert cursor.advance(tally, each=True) == Arm(10, 10, 2, 2, tally.duration.counts)
    assert cursor.advance(tally, each=True) == Arm()
    more = cursor.advance(series(CANDIDATE, 13, 3, took={0.1: 12, 0.5: 1}), each=True)
    assert (more.done, more.failed, sum(more.durations.values())) == (3, 1, 3)


def test_an_older_tally_told_late_adds_nothing_and_takes_nothing_back() -> None:
    cursor = ArmCursor(1, candidate=True)
    cursor.advance(series(CANDIDATE, 10, 2), each=True)
    assert cursor.advance(series(CANDIDATE, 4, 1), each=True) == Arm()
    assert cursor.advance(series(CANDIDATE, 11, 2), each=True).done == 1


def test_what_fails_without_a_code_fails_too() -> None:
    arm = ArmCursor(1, candidate=True).advance(series(CANDIDATE, 10, 1, fallbacks=3, broken=2), each=True)
    assert (arm.done, arm.failed) == (13, 6)


def test_a_request_counts_as_sent_while_it_is_on_its_way() -> None:
    cursor = ArmCursor(1, candidate=True)
    first = cursor.advance(series(CANDIDATE, 2, in_flight=5), each=True)
    assert (first.routed, first.done, cursor.in_flight) == (7, 2, 5)
    later = cursor.advance(series(CANDIDATE, 7), each=True)
    assert (later.routed, later.done, cursor.in_flight) == (0, 5, 0)


def test_a_copy_that_the_router_took_back_is_nobodys_failure() -> None:
    tally = series(CANDIDATE, 10, 1, role="shadow")
    tally.codes[599] = 4
    arm = ArmCursor(1, candidate=True).advance(tally, each=True)
    assert (arm.done, arm.failed) == (10, 1)


def test_where_causes_count_failures_do_not() -> None:
    assert ArmCursor(1, candidate=True).advance(series(CANDIDATE, 10, 4), each=False).counted == 0


@given(st.lists(st.integers(0, 50), max_size=20))
def test_in_whatever_order_tallies_come_each_request_counts_once(dones: list[int]) -> None:
    cursor, total = ArmCursor(1, candidate=True), Arm()
    for done in dones:
        total.add(cursor.advance(series(CANDIDATE, done, done // 3, took={0.1: done}), each=True))
    highest = max(dones, default=0)
    assert (total.done, total.failed, total.timed) == (highest, highest // 3, highest)


def test_pairs_and_scores_advance_together() -> None:
    cursor = PairCursor(1)
    first = cursor.advance(paired(3, 1, scores={1.0: 1, 0.5: 1}))
    assert (first.match, first.mismatch, first.scored) == (3, 1, 2)
    assert cursor.advance(paired(3, 1, scores={1.0: 1, 0.5: 1})) == Pairs()
    more = cursor.advance(paired(4, 1, scores={1.0: 1, 0.5: 1, 0.25: 1}))
    assert (more.match, more.mismatch, more.scored) == (1, 0, 1)
    assert abs(more.total - 0.25) < 1e-12


def test_pairs_that_can_not_be_compared_are_counted_too() -> None:
    cursor, tally = PairCursor(1), paired(1, 0)
    tally.verdicts["incomparable"] = 5
    assert cursor.advance(tally).incomparable == 5
    tally.verdicts["incomparable"] = 7
    assert cursor.advance(tally).incomparable == 2


def test_a_cause_is_new_once_and_the_oldest_are_forgotten() -> None:
    causes = Causes()
    assert causes.new((1, 2, 2)) == 2
    assert causes.new((2, 3)) == 1
    assert causes.new(tuple(range(10, 10_010))) == 10_000
    assert len(causes.seen) == 10_000
    assert causes.new((10_009,)) == 0
    assert causes.new((1,)) == 1


def test_rows_of_old_cohorts_are_forgotten() -> None:
    source = Source({"a": ArmCursor(1, True), "b": ArmCursor(2, True)}, {"c": PairCursor(1)})
    source.forget_all_but(frozenset({2}))
    assert (list(source.arms), list(source.pairs)) == (["b"], [])


def test_a_worker_that_starts_anew_under_another_name_has_cursors_of_its_own() -> None:
    one, other = ArmCursor(1, True), ArmCursor(1, True)
    one.advance(series(CANDIDATE, 5), each=True)
    assert other.durations == Histogram({}, 0.0).counts
    assert other.advance(series(CANDIDATE, 5), each=True).done == 5
