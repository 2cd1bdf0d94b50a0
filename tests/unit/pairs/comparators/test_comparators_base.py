"""What every registered comparator keeps to, whatever it measures."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.comparators import Comparator
from router.pairs.comparators.base import Answer, Comparison
from router.pairs.content import Content, open_message
from tests.support.captures import message

KINDS = get_args(get_args(Comparator)[0])
COMPARATORS = [kind() for kind in KINDS]

every = pytest.mark.parametrize("comparator", COMPARATORS, ids=lambda each: str(each.tag))

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "outputs", "choices", "name", "a", "*"]), inner, max_size=4)
    ),
    max_leaves=12,
)
BODIES = st.binary(max_size=20) | VALUES.map(lambda value: json.dumps(value).encode())


def answer(body: bytes, status: int = 200) -> Answer:
    return Answer(status, open_message(message(body, ())))


def well_formed(comparison: Comparison) -> None:
    if comparison.verdict == "match":
        assert (comparison.score, comparison.differences, comparison.more) == (1.0, (), 0)
    elif comparison.verdict == "mismatch":
        assert comparison.score is not None
        assert 0.0 <= comparison.score < 1.0
        assert comparison.differences
        assert len(comparison.differences) <= 20
    else:
        assert comparison.score is None
        assert comparison.differences
    json.dumps([[d.at, d.primary, d.shadow] for d in comparison.differences], allow_nan=False)


def test_the_registry_is_not_empty() -> None:
    assert {kind.model_fields["tag"].default for kind in KINDS} >= {"json", "bytes"}


@every
@given(body=BODIES)
def test_an_answer_matches_itself(comparator: Comparator, body: bytes) -> None:
    assert comparator.compare(answer(body), answer(body)).verdict == "match"


@every
@given(left=BODIES, right=BODIES)
def test_the_verdict_does_not_depend_on_the_order(comparator: Comparator, left: bytes, right: bytes) -> None:
    there, back = (
        comparator.compare(answer(left), answer(right)),
        comparator.compare(answer(right), answer(left)),
    )
    assert there.verdict == back.verdict
    assert there.score == back.score
    well_formed(there)
    well_formed(back)


@every
def test_another_status_is_a_mismatch_there(comparator: Comparator) -> None:
    found = comparator.compare(answer(b"1", 200), answer(b"1", 503))
    well_formed(found)
    assert found.verdict == "mismatch"
    assert [(d.at, d.primary, d.shadow) for d in found.differences] == [("status", 200, 503)]


@every
@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (Answer(0, Content(b""), "timeout"), "timeout"),
        (Answer(200, Content(b"1"), "", truncated=True), "truncated"),
        (Answer(200, open_message(message(b"1", ((b"content-encoding", b"br"),)))), None),
        (Answer(200, open_message(message(b"x", ((b"content-encoding", b"br"),)))), "content-encoding br"),
    ],
)
def test_a_broken_side_makes_it_incomparable_and_is_named(
    comparator: Comparator, broken: Answer, named: str | None
) -> None:
    whole = answer(b"1")
    if named is None:  # JSON after all
        assert comparator.compare(whole, broken).verdict == "match"
        return
    for found in (comparator.compare(whole, broken), comparator.compare(broken, whole)):
        well_formed(found)
        assert found.verdict == "incomparable"
        (difference,) = found.differences
        assert difference.at == "error"
        assert named in str(difference.primary or difference.shadow)
        assert None in (difference.primary, difference.shadow)


@every
def test_a_content_coding_makes_no_difference(comparator: Comparator) -> None:
    import gzip

    packed = open_message(message(gzip.compress(b'{"a": 1}'), ((b"content-encoding", b"gzip"),)))
    assert comparator.compare(answer(b'{"a": 1}'), Answer(200, packed)).verdict == "match"


@every
def test_deep_nesting_does_no_harm(comparator: Comparator) -> None:
    def nested(depth: int, leaf: Any) -> bytes:
        return b"[" * depth + json.dumps(leaf).encode() + b"]" * depth

    for depth in (300, 900, 990, 5000):
        well_formed(comparator.compare(answer(nested(depth, 1)), answer(nested(depth, 2))))
