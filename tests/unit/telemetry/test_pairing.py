"""Rows of recorders: the latest counts, several recorders add up, old cohorts are folded and nothing is lost."""

from router.channel import FieldTally, PairDetail, PairTally, RecorderTally, ScoreSums, ValueSums
from router.telemetry.pairing import MAX_COHORTS, OLDER, PairCounts


def row(match: int, cohort: int = 1, slice: str = "", mismatch: int = 0) -> PairTally:
    scores = ScoreSums(match, float(match), float(match), (0.0,) * 8, (0.0,) * 8)
    verdicts = {"match": match, "mismatch": mismatch}
    return PairTally("loan", "v1", "v2", verdicts, {"/y": mismatch}, cohort, slice, scores)


def detail(count: int, examples: tuple[str, ...], first: float, last: float) -> PairDetail:
    values = ValueSums(count, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, {0: count})
    return PairDetail(
        "loan", "v1", "v2", {"/y": FieldTally(count, examples, first, last)}, {"a -> b": count}, values
    )


def counts(*tallies: RecorderTally) -> PairCounts:
    found = PairCounts()
    for tally in tallies:
        found.take(tally)
    return found


def test_the_latest_row_replaces_the_one_before_and_others_stay() -> None:
    found = counts(RecorderTally((row(1), row(5, 2)), ()), RecorderTally((row(3),), ()))
    (total,) = found.totals().values()
    assert total.verdicts["match"] == 8


def test_slices_count_pairs_again_and_so_not_in_the_total() -> None:
    found = counts(RecorderTally((row(4), row(3, slice="r=n"), row(1, slice="r=s")), ()))
    assert found.totals()["loan", "v1", "v2"].verdicts["match"] == 4
    assert {each.slice: each.verdicts["match"] for each in found.rows("loan")} == {"": 4, "r=n": 3, "r=s": 1}
    assert found.rows("other") == []


def test_recorders_add_up() -> None:
    one = counts(RecorderTally((row(4, mismatch=1),), (), (detail(1, ("a", "b"), 5, 9),)))
    other = counts(RecorderTally((row(2, mismatch=2),), (), (detail(2, ("b", "c", "d"), 3, 7),)))
    merged = PairCounts.merged((one, other))
    total = merged.totals()["loan", "v1", "v2"]
    assert (total.verdicts, total.fields) == ({"match": 6, "mismatch": 3}, {"/y": 3})
    assert total.scores is not None
    assert (total.scores.n, total.scores.total) == (6, 6.0)
    (found,) = merged.details("loan")
    assert found.fields["/y"] == FieldTally(3, ("a", "b", "c"), 3, 9)
    assert found.flips == {"a -> b": 3}
    assert found.values is not None
    assert found.values.n == 3
    assert one.totals()["loan", "v1", "v2"].verdicts["match"] == 4, (
        "merging changes nothing of what was merged"
    )


def test_cohorts_that_are_long_over_are_one_row() -> None:
    found = PairCounts()
    for cohort in range(1, MAX_COHORTS + 30):
        found.take(RecorderTally((row(1, cohort), row(1, cohort, "r=n")), ()))
    rows = found.rows("loan")
    assert {each.cohort for each in rows if not each.slice} >= {MAX_COHORTS + 29}
    assert len(rows) == 2 * (MAX_COHORTS + 1)
    assert found.totals()["loan", "v1", "v2"].verdicts["match"] == MAX_COHORTS + 29
    assert OLDER < 0
