"""Fields, labels and numbers of many pairs, within bounds."""

import pytest

from router.channel import FieldTally
from router.pairs.details import MAX_EXAMPLES, MAX_FIELDS, MAX_FLIPS, OTHER, Details, count_fields, field

AT = "2026-01-01T00:00:{:02}.500000Z"
START = 1767225600.5


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


def test_fields_are_bounded() -> None:
    counts: dict[str, int] = {}
    for number in range(MAX_FIELDS + 50):
        count_fields(counts, {f"/k{number}", "/k0"})
    assert len(counts) == MAX_FIELDS + 1
    assert counts["/k0"] == MAX_FIELDS + 50
    assert counts[OTHER] == 50


def test_a_field_has_its_first_examples_and_when_it_was_seen() -> None:
    details = Details()
    for number in (5, 3, 9, 4, 3):
        details.differ(f"id-{number}", AT.format(number), {"/y"})
    assert details.fields == {"/y": FieldTally(5, ("id-5", "id-3", "id-9"), START + 3, START + 9)}


def test_details_are_bounded() -> None:
    details = Details()
    for number in range(MAX_FIELDS + 10):
        details.differ(f"id-{number}", AT.format(0), {f"/k{number}"})
    assert len(details.fields) == MAX_FIELDS + 1
    assert details.fields[OTHER].count == 10
    assert len(details.fields[OTHER].examples) == MAX_EXAMPLES
    for number in range(MAX_FLIPS + 10):
        details.label("x" * 1000, str(number))
    assert len(details.flips) == MAX_FLIPS + 1
    assert details.flips[OTHER] == 10
    assert max(map(len, details.flips)) < 200


def test_labels_and_numbers() -> None:
    details = Details()
    assert details.detail("loan", "v1", "v2").values is None
    for pair in (("cat", "dog"), ("cat", "cat"), ("cat", "dog")):
        details.label(*pair)
    details.value(1.0, 2.0)
    found = details.detail("loan", "v1", "v2")
    assert found.flips == {"cat -> dog": 2, "cat -> cat": 1}
    assert found.values is not None
    assert (found.values.n, found.values.distance) == (1, 1.0)
