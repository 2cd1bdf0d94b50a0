"""What the recorder counts, by cohort and slice; and the sums that evidence is made of."""

from math import log1p

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from router.channel import PairTally, RecorderTally
from router.pairs.comparators.json import JsonComparator
from router.pairs.joining import Joined
from router.pairs.pair import Pair, build
from router.pairs.redaction import Redactor
from router.pairs.settings import RedactSpec
from router.pairs.tallies import MAX_COHORTS, Tallies
from router.telemetry.grid import GRID
from tests.support.captures import primary, shadow


def pair(left: object, right: object, cohort: int = 0, **slices: str) -> Pair:
    found = build(
        Joined(primary("a", left), shadow("a", right), "v2", ()), JsonComparator(), Redactor(RedactSpec())
    )
    return replace(found, cohort=cohort, slices=slices)


SAME = pair(1, 1)


def frame(tallies: Tallies) -> RecorderTally:
    found = tallies.frame()
    assert found is not None
    return found


def rows(tallies: Tallies) -> dict[tuple[int, str], PairTally]:
    return {(row.cohort, row.slice): row for row in frame(tallies).pairs}


def test_counts_are_cumulative_and_given_only_when_changed() -> None:
    tallies = Tallies()
    assert tallies.frame() is None
    tallies.pair(pair({"y": [1, 2]}, {"y": [3, 4]}))
    tallies.pair(SAME)
    tallies.drop("loan", "late", 2)
    found = frame(tallies)
    (row,) = found.pairs
    assert (row.deployment, row.primary, row.shadow, row.cohort, row.slice) == ("loan", "v1", "v2", 0, "")
    assert (row.verdicts, row.fields) == ({"mismatch": 1, "match": 1}, {"/y/*": 1})
    assert found.dropped == ((("loan", "late"), 2),)
    assert [each.fields["/y/*"].examples for each in found.details] == [("id-a",)]
    assert tallies.frame() is None
    tallies.drop("loan", "late")
    found = frame(tallies)
    assert (found.dropped, found.pairs, found.details) == (((("loan", "late"), 3),), (), ())
    tallies.pair(SAME)
    assert frame(tallies).pairs[0].verdicts == {"mismatch": 1, "match": 2}, "each row in full"


def test_only_rows_that_changed_are_told_again() -> None:
    tallies = Tallies()
    tallies.pair(pair(1, 1, 1, region="north"))
    assert rows(tallies).keys() == {(1, ""), (1, "region=north")}
    tallies.pair(pair(1, 2, 2, region="south"))
    assert rows(tallies).keys() == {(2, ""), (2, "region=south")}
    tallies.pair(pair(1, 1, 1, region="south"))
    found = rows(tallies)
    assert found.keys() == {(1, ""), (1, "region=south")}
    assert found[1, ""].verdicts == {"match": 2}


def test_a_cohort_that_is_over_is_no_evidence_and_rows_stay_few() -> None:
    tallies = Tallies()
    for cohort in range(1, MAX_COHORTS + 3):
        tallies.pair(pair(1, 1, cohort))
    tallies.frame()
    tallies.pair(pair(1, 1, 1))
    tallies.pair(pair(1, 1, MAX_COHORTS))
    assert rows(tallies).keys() == {(0, ""), (MAX_COHORTS, "")}


def test_versions_and_noise_are_counted_apart() -> None:
    tallies = Tallies()
    tallies.pair(SAME)
    noisy = build(
        Joined(primary("a", 1, ("v1",)), shadow("a", 2, "v1"), "v1", ()),
        JsonComparator(),
        Redactor(RedactSpec()),
    )
    tallies.pair(noisy)
    assert [(row.primary, row.shadow, row.verdicts) for row in frame(tallies).pairs] == [
        ("v1", "v1", {"mismatch": 1}),
        ("v1", "v2", {"match": 1}),
    ]


def test_incomparable_pairs_have_no_score() -> None:
    tallies = Tallies()
    tallies.pair(build(Joined(primary("a"), None, "v2", ()), JsonComparator(), Redactor(RedactSpec())))
    assert frame(tallies).pairs[0].scores is None


@given(st.lists(st.one_of(st.sampled_from((0.0, 1.0)), st.floats(0, 1)), min_size=1))
def test_sums_of_scores_are_those_of_their_definition(scores: list[float]) -> None:
    tallies = Tallies()
    for score in scores:
        tallies.pair(replace(SAME, score=score))
    sums = frame(tallies).pairs[0].scores
    assert sums is not None
    assert sums.n == len(scores)
    assert sums.total == pytest.approx(sum(scores))
    assert sums.squares == pytest.approx(sum(score * score for score in scores))
    for rho, log_score, log_loss in zip(GRID, sums.log_scores, sums.log_losses, strict=True):
        assert log_score == pytest.approx(sum(log1p((rho - 1) * score) for score in scores))
        assert log_loss == pytest.approx(sum(log1p((rho - 1) * (1 - score)) for score in scores))
