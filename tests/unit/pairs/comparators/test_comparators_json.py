"""The json comparator: what differs, where, and what is let pass."""

import json
import struct
import time
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


# Lists whose order says nothing


def test_members_of_an_unordered_list_meet_wherever_they_stand() -> None:
    left = {"labels": [{"k": "a", "p": 0.5}, {"k": "b", "p": 0.25}], "x": [1, 2]}
    right = {"labels": [{"k": "b", "p": 0.25}, {"k": "a", "p": 0.5 + 1e-9}], "x": [1, 2]}
    assert compare(left, right).verdict == "mismatch"
    assert compare(left, right, unordered=("/labels",)).verdict == "match"
    assert compare(left, right, unordered=("/*",)).verdict == "match"
    assert compare({"a": [left]}, {"a": [right]}, unordered=("/a/*/labels",)).verdict == "match"


def test_members_without_one_alike_are_named_on_their_own_side() -> None:
    found_ = compare({"a": [1, 2, 3]}, {"a": [3, 4, 1]}, unordered=("/a",))
    assert found(found_) == [("/a/1", 2, "[missing]"), ("/a/1", "[missing]", 4)]
    assert found_.score == 0.5
    assert found(compare({"a": [1, 1]}, {"a": [1]}, unordered=("/a",))) == [("/a/1", 1, "[missing]")]


def test_ignored_members_and_parts_of_members_of_unordered_lists() -> None:
    left, right = {"a": [{"k": 1, "id": 1}, {"k": 2, "id": 2}]}, {"a": [{"k": 2, "id": 3}, {"k": 1, "id": 4}]}
    assert compare(left, right, unordered=("/a",)).verdict == "mismatch"
    assert compare(left, right, unordered=("/a",), ignore=("/a/*/id",)).verdict == "match"
    assert compare(left, {"a": []}, unordered=("/a",), ignore=("/a/*",)).verdict == "match"


def test_a_star_and_a_name_at_one_place_both_count_for_lists() -> None:
    left, right = {"a": {"x": [1, 2], "y": 1}}, {"a": {"x": [2, 1], "y": 2}}
    assert compare(left, right, unordered=("/*/x",), ignore=("/a/y",)).verdict == "match"


def test_unordered_lists_in_unordered_lists() -> None:
    left, right = {"a": [[1, 2], [3, 4]]}, {"a": [[4, 3], [2, 1]]}
    assert compare(left, right, unordered=("/a",)).verdict == "mismatch"
    assert compare(left, right, unordered=("/a", "/a/*")).verdict == "match"


def test_unordered_lists_in_unordered_lists_cost_no_more_than_a_moment() -> None:
    def members(offset: int) -> dict[str, Any]:
        return {"a": [[[n, m + offset, "x"] for m in range(30)] for n in range(64)]}

    pointers = ("/a", "/a/*", "/a/*/*")
    assert compare(members(0), {"a": members(0)["a"][::-1]}, unordered=pointers).verdict == "match"
    began = time.process_time()
    comparison = compare(members(0), members(100), unordered=pointers)
    assert time.process_time() - began < 10.0
    assert (comparison.verdict, comparison.score) == ("incomparable", None)
    assert comparison.differences[0].primary == "unordered lists take too long to compare"


def test_unordered_data_of_a_v2_output() -> None:
    left, right = v2(("p", [1, 2]), ("q", [5])), v2(("q", [5]), ("p", [2, 1]))
    assert compare(left, right, unordered=("/outputs/*/data",)).verdict == "match"


def test_hidden_members_of_an_unordered_list_are_compared_and_not_told() -> None:
    comparator = JsonComparator(unordered=("/a",))
    one, two, three = (redacted({"a": members}, "/a/*") for members in (["x", "y"], ["y", "x"], ["y", "z"]))
    assert comparator.compare(one, two).verdict == "match"
    differences = comparator.compare(one, three).differences
    assert [(each.primary, each.shadow) for each in differences] == [
        ("[redacted]", "[missing]"),
        ("[missing]", "[redacted]"),
    ]


MEMBERS = st.lists(
    st.none()
    | st.booleans()
    | st.integers(0, 3)
    | st.sampled_from("ab")
    | st.lists(st.integers(0, 2), max_size=2),
    max_size=8,
)


@given(MEMBERS, MEMBERS)
def test_unordered_is_ordered_once_both_are_sorted(left: list[Any], right: list[Any]) -> None:
    exact = NumberTolerance(relative=0, absolute=0)
    sorted_ = compare(
        {"a": sorted(left, key=json.dumps)}, {"a": sorted(right, key=json.dumps)}, numbers=exact
    )
    assert compare({"a": left}, {"a": right}, unordered=("/a",), numbers=exact).verdict == sorted_.verdict


@given(MEMBERS, MEMBERS)
def test_what_matches_in_order_matches_without(left: list[Any], right: list[Any]) -> None:
    loose = NumberTolerance(absolute=1)
    if compare({"a": left}, {"a": right}, numbers=loose).verdict == "match":
        assert compare({"a": left}, {"a": right}, unordered=("/a",), numbers=loose).verdict == "match"


# Streams and tensors


def events(*parts: str, **rest: Any) -> Answer:
    chunks = [
        {"id": "x", "object": "chat.completion.chunk", **rest, "choices": [choice]}
        for choice in (
            *({"index": 0, "delta": {"content": part}} for part in parts),
            {"index": 0, "delta": {}, "finish_reason": "stop"},
        )
    ]
    body = b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks)
    return Answer(
        200, open_message(message(body + b"data: [DONE]\n\n", ((b"content-type", b"text/event-stream"),)))
    )


def whole(content: str) -> Answer:
    choice = {
        "index": 0,
        "logprobs": None,
        "message": {"role": "assistant", "content": content, "refusal": None},
    }
    usage = {"completion_tokens": 2}
    return answer(
        {
            "id": "y",
            "object": "chat.completion",
            "usage": usage,
            "choices": [{**choice, "finish_reason": "stop"}],
        }
    )


def test_streams_are_compared_by_what_they_say() -> None:
    comparator = JsonComparator()
    assert comparator.compare(events("Hel", "lo"), events("H", "ello", model="b")).verdict == "match"
    assert comparator.compare(events("Hel", "lo"), whole("Hello")).verdict == "match"
    assert comparator.compare(whole("Hello"), events("Hello")).verdict == "match"
    for other in (events("Hell"), whole("Hell")):
        comparison = comparator.compare(events("Hello"), other)
        assert found(comparison) == [("/choices/0/message/content", "Hello", "Hell")]


def test_a_stream_that_nobody_can_read_is_named() -> None:
    broken = Answer(200, open_message(message(b"data: {\n\n", ((b"content-type", b"text/event-stream"),))))
    (difference,) = JsonComparator().compare(whole("a"), broken).differences
    assert (difference.at, difference.shadow) == ("body", "no completion in events, 9 bytes")


def test_binary_tensors_are_compared_with_json() -> None:
    head = b'{"id":"1","outputs":[{"name":"p","datatype":"FP32","parameters":{"binary_data_size":8}}]}'

    def binary(*numbers: float) -> Answer:
        body = head + struct.pack("<2f", *numbers)
        return Answer(
            200, open_message(message(body, ((b"inference-header-content-length", str(len(head)).encode()),)))
        )

    def plain(*numbers: float) -> Answer:
        return answer({"id": "2", "outputs": [{"name": "p", "datatype": "FP32", "data": numbers}]})

    comparator = JsonComparator()
    assert comparator.compare(binary(0.1, 0.9), plain(0.1, 0.9)).verdict == "match"
    assert found(comparator.compare(plain(0.1, 0.9), binary(0.1, 0.5))) == [("/outputs/0/data/1", 0.9, 0.5)]
    unsound = Answer(
        200, open_message(message(head + b"123", ((b"inference-header-content-length", b"%d" % len(head)),)))
    )
    (difference,) = comparator.compare(plain(1), unsound).differences
    assert difference.shadow == f"no sound binary tensors, {len(head) + 3} bytes"
