"""What every registered comparator keeps to, whatever it measures."""

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.comparators import Comparator
from router.pairs.comparators.base import Answer, Comparison
from router.pairs.comparators.bytes import BytesComparator
from router.pairs.comparators.json import JsonComparator
from router.pairs.comparators.label import LabelComparator
from router.pairs.comparators.score import ScoreComparator
from router.pairs.comparators.text import TextComparator
from router.pairs.content import Content, open_message
from router.pairs.redaction import Redactor
from router.pairs.settings import RedactSpec
from tests.support.captures import message

KINDS = get_args(get_args(Comparator)[0])
COMPARATORS: list[Any] = [
    JsonComparator(),
    JsonComparator(unordered=("/a", "/outputs")),
    LabelComparator(at="/a"),
    LabelComparator(at="/a", kind="value"),
    ScoreComparator(at="/a", tolerance=0.5),
    TextComparator(min_similarity=0.5),
    TextComparator(at="/a"),
    BytesComparator(),
]
LOOKS_AT = {"label": b'{"a": [0.2, 0.8]}', "score": b'{"a": 0.5}', "text": b'{"a": "yes"}'}
"""A body with what comparators that look at one place need there."""


every = pytest.mark.parametrize(
    "comparator", COMPARATORS, ids=[f"{each.tag}{number}" for number, each in enumerate(COMPARATORS)]
)

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
        assert comparison.score is not None
        assert 0.0 <= comparison.score <= 1.0
        assert (comparison.differences, comparison.more) == ((), 0)
    elif comparison.verdict == "mismatch":
        assert comparison.score is not None
        assert 0.0 <= comparison.score < 1.0
        assert comparison.differences
        assert len(comparison.differences) <= 20
    else:
        assert comparison.score is None
        assert comparison.differences
    # Strict JSON, whose strings can be written.
    json.dumps(msgspec.to_builtins(comparison), allow_nan=False, ensure_ascii=False).encode()


def test_every_registered_comparator_is_tried_here() -> None:
    assert {type(each) for each in COMPARATORS} == set(KINDS)


@every
@given(body=BODIES)
def test_an_answer_never_differs_from_itself(comparator: Comparator, body: bytes) -> None:
    found = comparator.compare(answer(body), answer(body))
    well_formed(found)
    # Where a comparator finds nothing to look at, that is no agreement.
    looks = getattr(comparator, "at", None) is not None
    assert found.verdict == "match" or (looks and found.verdict == "incomparable")
    assert found.score in (1.0, None)


@every
def test_an_answer_matches_itself(comparator: Comparator) -> None:
    body = LOOKS_AT.get(comparator.tag, b"anything")
    assert comparator.compare(answer(body), answer(body)).score == 1.0


@every
@given(left=BODIES, right=BODIES)
def test_the_verdict_does_not_depend_on_the_order(comparator: Comparator, left: bytes, right: bytes) -> None:
    there, back = (
        comparator.compare(answer(left), answer(right)),
        comparator.compare(answer(right), answer(left)),
    )
    assert there.verdict == back.verdict
    assert there.score == back.score
    assert there.labels == (back.labels and back.labels[::-1])
    assert there.values == (back.values and back.values[::-1])
    well_formed(there)
    well_formed(back)


@every
def test_another_status_is_a_mismatch_there(comparator: Comparator) -> None:
    found = comparator.compare(answer(b"1", 200), answer(b"1", 503))
    well_formed(found)
    assert found.verdict == "mismatch"
    assert [(d.at, d.primary, d.shadow) for d in found.differences] == [("status", 200, 503)]


@every
@pytest.mark.parametrize(("one", "two"), [(500, 500), (503, 503), (500, 599)])
def test_that_both_fail_is_no_agreement(comparator: Comparator, one: int, two: int) -> None:
    found = comparator.compare(answer(b"out of memory", one), answer(b"out of memory", two))
    well_formed(found)
    assert (found.verdict, found.score) == ("incomparable", None)
    (difference,) = found.differences
    assert (difference.at, difference.primary, difference.shadow) == (
        "error", f"status_{one}", f"status_{two}"
    )  # fmt: skip


@every
def test_both_refuse_a_request_alike(comparator: Comparator) -> None:
    body = LOOKS_AT.get(comparator.tag, b"anything")
    assert comparator.compare(answer(body, 422), answer(body, 422)).verdict == "match"


@every
@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (Answer(0, Content(b""), "timeout"), "timeout"),
        (Answer(200, Content(b"1"), "", truncated=True), "truncated"),
        (Answer(200, open_message(message(b"x", ((b"content-encoding", b"br"),)))), "content-encoding br"),
    ],
)
def test_a_broken_side_makes_it_incomparable_and_is_named(
    comparator: Comparator, broken: Answer, named: str
) -> None:
    whole = answer(b"1")
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

    body = LOOKS_AT.get(comparator.tag, b"anything")
    packed = open_message(message(gzip.compress(body), ((b"content-encoding", b"gzip"),)))
    assert comparator.compare(answer(body), Answer(200, packed)).verdict == "match"


@every
def test_deep_nesting_does_no_harm(comparator: Comparator) -> None:
    def nested(depth: int, leaf: Any) -> bytes:
        return b"[" * depth + json.dumps(leaf).encode() + b"]" * depth

    for depth in (300, 900, 990, 5000):
        for wrap in (b"%s", b'{"a": %s}', b'{"outputs": %s}'):
            one, two = (answer(wrap % nested(depth, leaf)) for leaf in (1, 2))
            well_formed(comparator.compare(one, two))


@every
@given(left=BODIES, right=BODIES, redact=st.lists(st.sampled_from(["/a", "/*", "/outputs/*"]), min_size=1))
def test_redaction_hides_and_does_not_change_the_verdict(
    comparator: Comparator, left: bytes, right: bytes, redact: list[str]
) -> None:
    bare = comparator.compare(answer(left), answer(right))
    redactor = Redactor(RedactSpec(response=tuple(redact)))
    concealed = [Answer(200, redactor.response_content(message(body, ()))) for body in (left, right)]
    found = comparator.compare(*concealed)
    well_formed(found)
    assert found.verdict == bare.verdict
