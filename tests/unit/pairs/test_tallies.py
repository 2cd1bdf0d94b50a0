import pytest

from router.channel import PairTally, RecorderTally
from router.pairs.comparators.json import JsonComparator
from router.pairs.joining import Joined
from router.pairs.pair import Pair, build
from router.pairs.redaction import Redactor
from router.pairs.settings import RedactSpec
from router.pairs.tallies import MAX_FIELDS, OTHER, Tallies, count_fields, field
from tests.support.captures import primary, shadow


def pair(left: object, right: object) -> Pair:
    return build(
        Joined(primary("a", left), shadow("a", right), "v2", ()), JsonComparator(), Redactor(RedactSpec())
    )


@pytest.mark.parametrize(
    ("at", "name"),
    [
        ("/a/b", "/a/b"),
        ("/predictions/17/score", "/predictions/*/score"),
        ("/predictions/17/3", "/predictions/*/*"),
        ("/outputs/1/data/17", "/outputs/1/data/*"),
        ("/x/outputs/1", "/x/outputs/*"),
        ("/a1/2b", "/a1/2b"),
        ("status", "status"),
        ("", ""),
    ],
)
def test_positions_in_lists_are_one_field(at: str, name: str) -> None:
    assert field(at) == name


def test_counts_are_cumulative_and_given_only_when_changed() -> None:
    tallies = Tallies()
    assert tallies.frame() is None
    tallies.pair(pair({"y": [1, 2]}, {"y": [3, 4]}))
    tallies.pair(pair(1, 1))
    tallies.drop("loan", "late", 2)
    expected = RecorderTally(
        (PairTally("loan", "v1", "v2", {"mismatch": 1, "match": 1}, {"/y/*": 1}),), ((("loan", "late"), 2),)
    )
    assert tallies.frame() == expected
    assert tallies.frame() is None
    tallies.drop("loan", "late")
    frame = tallies.frame()
    assert frame is not None
    assert frame.dropped == ((("loan", "late"), 3),)
    assert frame.pairs == expected.pairs


def test_fields_are_bounded() -> None:
    counts: dict[str, int] = {}
    for number in range(MAX_FIELDS + 50):
        count_fields(counts, {f"/k{number}", "/k0"})
    assert len(counts) == MAX_FIELDS + 1
    assert counts["/k0"] == MAX_FIELDS + 50
    assert counts[OTHER] == 50
