"""The json comparator: what differs, where, and what is let pass."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.comparators.base import Answer, Comparison
from router.pairs.comparators.json import JsonComparator, NumberTolerance
from router.pairs.content import Content, open_message
from router.pairs.redaction import Redactor
from router.pairs.settings import RedactSpec
from tests.support.captures import message


def answer(value: Any) -> Answer:
    return Answer(200, open_message(message(value)))


def compare(left: Any, right: Any, **settings: Any) -> Comparison:
    return JsonComparator(**settings).compare(answer(left), answer(right))


def found(comparison: Comparison) -> list[tuple[str, Any, Any]]:
    return [(each.at, each.primary, each.shadow) for each in comparison.differences]


@pytest.mark.parametrize(
    ("left", "right", "differences"),
    [
        ({"a": 1}, {"a": 2}, [("/a", 1, 2)]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, [("/a/b/1", 2, 3)]),
        ({"a": 1, "b": 2}, {"a": 1}, [("/b", 2, "[missing]")]),
        ({"a": 1}, {"a": 1, "b": None}, [("/b", "[missing]", None)]),
        ([1, 2], [1], [("/1", 2, "[missing]")]),
        ([1], [1, 2], [("/1", "[missing]", 2)]),
        ({"a": "1"}, {"a": 1}, [("/a", "1", 1)]),
        ({"a": True}, {"a": 1}, [("/a", True, 1)]),
        ({"a": None}, {"a": 0}, [("/a", None, 0)]),
        ({"a": [1]}, {"a": {"0": 1}}, [("/a", "[1]", '{"0":1}')]),
        ({"a": [1]}, {"a": 1}, [("/a", "[1]", 1)]),
        ({"a/b": 1}, {"a/b": 2}, [("/a~1b", 1, 2)]),
        (1, 2, [("", 1, 2)]),
        ({"a": 1.0}, {"a": float("nan")}, [("/a", 1.0, "nan")]),
        ({"a": 1.0}, {"a": float("inf")}, [("/a", 1.0, "inf")]),
        ({"a": 10**400}, {"a": 1.5}, [("/a", "an integer of 1329 bits", 1.5)]),
    ],
)
def test_differences_by_pointer(left: Any, right: Any, differences: list[tuple[str, Any, Any]]) -> None:
    assert found(compare(left, right)) == differences


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([1], [1.0]),
        ([float("nan"), float("inf")], [float("nan"), float("inf")]),
        ([0.1 + 0.2], [0.3]),
        ([0.0], [1e-10]),
    ],
)
def test_what_is_alike(left: Any, right: Any) -> None:
    assert compare(left, right).verdict == "match"


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1), st.floats(0, 1))
def test_tolerance(left: float, right: float, relative: float, absolute: float) -> None:
    within = abs(left - right) <= max(absolute, relative * max(abs(left), abs(right)))
    verdict = compare(left, right, numbers=NumberTolerance(relative=relative, absolute=absolute)).verdict
    assert (verdict == "match") == (within or left == right)


def test_zero_tolerance_is_exact() -> None:
    exact = NumberTolerance(relative=0, absolute=0)
    assert compare(0.1 + 0.2, 0.3, numbers=exact).verdict == "mismatch"


@pytest.mark.parametrize(
    ("pointer", "verdict"),
    [
        ("/a/0/t", "mismatch"),
        ("/a/*/t", "match"),
        ("/*/*/t", "match"),
        ("/*/1", "mismatch"),
        ("/a", "match"),
        ("/b", "mismatch"),
    ],
)
def test_ignored_pointers(pointer: str, verdict: str) -> None:
    left = {"a": [{"t": 1, "x": 0}, {"t": 2, "x": 0}]}
    right = {"a": [{"t": 3, "x": 0}, {"x": 0}]}
    assert compare(left, right, ignore=(pointer,)).verdict == verdict


def test_a_star_and_a_name_at_one_place_both_count() -> None:
    left, right = {"a": {"x": 1, "y": 1}, "b": {"x": 1}}, {"a": {"x": 2, "y": 2}, "b": {"x": 2}}
    assert compare(left, right, ignore=("/*/x", "/a/y")).verdict == "match"
    assert found(compare(left, right, ignore=("/*/x",))) == [("/a/y", 1, 2)]


def v2(*outputs: tuple[str, Any], **rest: Any) -> dict[str, Any]:
    return {**rest, "outputs": [{"name": name, "data": data} for name, data in outputs]}


def test_v2_answers_meet_by_name_and_their_noise_is_ignored() -> None:
    left = v2(("p", [1]), ("q", [2]), id="a", model_name="m", model_version="1", parameters={"x": 1})
    right = v2(("q", [2]), ("p", [1]), id="b", model_name="n", model_version="2")
    assert compare(left, right).verdict == "match"


def test_v2_differences_point_into_the_primary() -> None:
    left, right = v2(("p", [1]), ("q", [2])), v2(("q", [3]), ("p", [1]))
    assert found(compare(left, right)) == [("/outputs/1/data/0", 2, 3)]
    assert compare(left, right, ignore=("/outputs/*/data",)).verdict == "match"
    assert compare(left, right, ignore=("/outputs",)).verdict == "match"


def test_v2_outputs_that_only_one_side_has() -> None:
    found_at = [each[0] for each in found(compare(v2(("p", 1), ("q", 2)), v2(("r", 3), ("p", 1))))]
    assert found_at == ["/outputs/1", "/outputs/0"]


def test_outputs_with_equal_names_or_none_are_compared_by_position() -> None:
    assert compare(v2(("p", 1), ("p", 2)), v2(("p", 2), ("p", 1))).verdict == "mismatch"
    assert compare({"outputs": [1, 2]}, {"outputs": [2, 1]}).verdict == "mismatch"


def test_openai_noise_is_ignored_and_the_content_is_not() -> None:
    def completion(content: str, **noise: Any) -> dict[str, Any]:
        usage = {"total_tokens": 3, "prompt_tokens_details": noise}
        choice = {"index": 0, "message": {"role": "assistant", "content": content}}
        return {**noise, "object": "chat.completion", "choices": [choice], "usage": usage}

    one = completion(
        "yes", id="1", created=1, model="a", system_fingerprint="x", timings={"ms": 1}, service_tier="a"
    )
    two = completion("yes", id="2", created=2, model="b")
    assert compare(one, two).verdict == "match"
    assert found(compare(one, completion("no"))) == [("/choices/0/message/content", "yes", "no")]


def test_the_same_names_elsewhere_are_not_ignored() -> None:
    assert compare({"model": "a"}, {"model": "b"}).verdict == "mismatch"
    assert compare(v2(("p", [{"id": 1}])), v2(("p", [{"id": 2}]))).verdict == "mismatch"


def test_the_score_is_the_part_alike() -> None:
    assert compare([1, 2, 3, 4], [1, 2, 3, 5]).score == 0.75
    assert compare([1], [2]).score == 0.0


def test_many_differences_are_counted_and_few_kept() -> None:
    comparison = compare(list(range(1000)), list(range(1, 1001)))
    assert (len(comparison.differences), comparison.more) == (20, 980)


def test_large_values_are_cut_in_differences() -> None:
    (difference,) = compare({"a": "x" * 10_000}, {}).differences
    assert len(difference.primary) == 201


def test_no_json_matches_only_the_same_bytes() -> None:
    assert compare(b"yes", b"yes").verdict == "match"
    assert found(compare(b"yes", b"no!!")) == [("body", "no JSON, 3 bytes", "no JSON, 4 bytes")]
    assert found(compare({"a": 1}, b"")) == [("body", "JSON, 8 bytes", "no body, 0 bytes")]


def redacted(value: Any, *pointers: str) -> Answer:
    content: Content = Redactor(RedactSpec(response=pointers)).response_content(message(value))
    return Answer(200, content)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"a": {"k": "s3cr3t"}}, {"a": {"k": "s3cr3t!"}}),
        ({"a": {"k": "s3cr3t"}}, {"a": {}}),
        ({"a": {"k": "s3cr3t"}}, {"a": 1}),
        ({"a": {"k": "s3cr3t"}}, {}),
        ({"a": {"k": ["s3cr3t", "s3cr3t"]}}, {"a": {"k": ["s3cr3t"]}}),
    ],
)
def test_differences_hold_no_secret(left: Any, right: Any) -> None:
    for one, two in ((left, right), (right, left)):
        comparison = JsonComparator().compare(redacted(one, "/a/k"), redacted(two, "/a/k"))
        assert comparison.verdict == "mismatch"
        assert "s3cr3t" not in json.dumps([[each.primary, each.shadow] for each in comparison.differences])


def test_secrets_are_compared_with_tolerance_all_the_same() -> None:
    one, two = redacted({"a": 0.1 + 0.2}, "/a"), redacted({"a": 0.3}, "/a")
    assert JsonComparator().compare(one, two).verdict == "match"
