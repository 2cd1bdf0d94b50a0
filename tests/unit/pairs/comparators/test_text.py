"""The text comparator: how much two texts have in common, streamed or not."""

import json
import sys
import time
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.comparators.base import Answer, Comparison
from router.pairs.comparators.text import _MARKS, NO_TEXT, PIECE, Normalize, TextComparator, similarity
from router.pairs.content import open_message
from router.pairs.redaction import Redactor
from router.pairs.settings import RedactSpec
from tests.support.captures import message

AT = "/choices/0/message/content"
STREAMED = ((b"Content-Type", b"text/event-stream; charset=utf-8"),)


def completion(content: Any, name: str = "1") -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {"id": name, "object": "chat.completion", "choices": [{"index": 0, "message": message}]}


def stream(*parts: str) -> bytes:
    chunks = [
        {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": part}}]}
        for part in parts
    ]
    return b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"


def compare(left: Any, right: Any, **settings: Any) -> Comparison:
    answers = [
        Answer(
            200,
            open_message(
                message(value, STREAMED if value[:5] == b"data:" else ())
                if isinstance(value, bytes)
                else message(value)
            ),
        )
        for value in (left, right)
    ]
    return TextComparator(**settings).compare(*answers)


@pytest.mark.parametrize(
    ("settings", "left", "right", "alike"),
    [
        ({}, "a  b\n", " a b", True),
        ({}, "ab", "a b", False),
        ({"whitespace": False}, "a  b", "a b", False),
        ({}, "Ja", "ja", False),
        ({"case": True}, "STRASSE", "straße", True),
        ({}, "e\u0301", "é", True),
        ({"unicode": False}, "e\u0301", "é", False),
        ({}, "Yes.", "Yes", False),
        ({"punctuation": True}, "“Yes”, he said!", "Yes he said", True),
        ({"punctuation": True}, "a_b - c", "ab c", True),
        ({}, "", " \n", True),
    ],
)
def test_what_makes_no_difference(settings: dict[str, bool], left: str, right: str, alike: bool) -> None:
    found = compare(completion(left), completion(right), at=AT, normalize=Normalize(**settings))
    assert found.verdict == ("match" if alike else "mismatch")
    assert (found.score == 1.0) == alike


def test_marks_without_end_are_taken_as_they_are() -> None:
    """Putting them in order takes time that grows with the square of their number."""
    above, below = "\u0301", "\u0323"
    began = time.perf_counter()
    hostile = "e" + above * 100_000 + below * 100_000
    assert Normalize().apply(hostile) == hostile
    assert time.perf_counter() - began < 1.0
    assert Normalize().apply("e" + above * 15 + below * 15) == "ẹ" + below * 14 + above * 15
    assert Normalize().apply("e" + above * 31) == "e" + above * 31


def test_every_combining_mark_is_known() -> None:
    assert all(code in _MARKS for code in range(sys.maxunicode + 1) if unicodedata.combining(chr(code)))


def test_similar_enough() -> None:
    left, right = completion("The cat sat on the mat."), completion("The cat sat on a mat.")
    score = compare(left, right, at=AT).score
    assert score == pytest.approx(1 - 4 / 44)
    found = compare(left, right, at=AT, min_similarity=0.9)
    assert (found.verdict, found.score, found.differences) == ("match", score, ())
    found = compare(left, right, at=AT, min_similarity=0.95)
    assert (found.verdict, found.score) == ("mismatch", score)
    assert [(d.at, d.primary, d.shadow) for d in found.differences] == [
        (AT, "The cat sat on the mat.", "The cat sat on a mat.")
    ]


def test_texts_are_shown_where_they_part() -> None:
    left, right = "x" * 1000 + "yes" + "z" * 1000, "x" * 1000 + "no"
    (difference,) = compare(completion(left), completion(right), at=AT).differences
    assert difference.primary == "…" + "x" * 40 + "yes" + "z" * 157 + "…"
    assert difference.shadow == "…" + "x" * 40 + "no"


def test_a_stream_is_compared_with_a_stream_and_with_an_answer_that_was_none() -> None:
    for settings in ({"at": AT}, {}):
        assert compare(stream("Hel", "lo"), stream("H", "ello"), **settings).verdict == "match"
        assert compare(stream("Hel", "lo"), completion("Hello"), **settings).verdict == "match"
        assert compare(completion("Hello"), stream("Hell"), **settings).score == pytest.approx(8 / 9)


def test_without_a_place_the_texts_of_all_choices_count_and_nothing_else() -> None:
    one, two = completion("Hello", "1"), completion("Hello", "2")
    assert compare(one, two).verdict == "match"
    one["choices"].append({"index": 1, "message": {"content": "again"}})
    assert compare(one, two).verdict == "mismatch"
    assert compare({"choices": [{"text": "a"}]}, {"choices": [{"text": "a"}], "id": 1}).verdict == "match"


def test_without_a_place_other_answers_are_the_text() -> None:
    found = compare(b"Hello", b"Hallo", min_similarity=0.8)
    assert (found.verdict, found.score) == ("match", 0.8)
    assert compare(b"Hello", b"Hallo").differences[0].at == "body"
    assert compare(b"\xff", b"a").differences[0].primary == NO_TEXT
    assert compare(b"\xff", b"\xfe").verdict == "incomparable"
    assert compare(b"\xff", b"\xff").verdict == "match"


@pytest.mark.parametrize(
    "other", [{}, completion(None), completion(["a"]), completion(1), b"a", b"data: x\n\n"]
)
def test_a_side_without_text_is_a_mismatch(other: Any) -> None:
    found = compare(completion("a"), other, at=AT)
    assert (found.verdict, found.score, found.differences[0].shadow) == ("mismatch", 0.0, NO_TEXT)


def test_two_sides_without_text_have_nothing_to_compare_even_if_they_are_equal() -> None:
    assert compare(completion(None), completion(None), at=AT).verdict == "incomparable"


@pytest.mark.parametrize("settings", [{}, {"at": AT}])
def test_hidden_text_is_compared_and_not_told(settings: dict[str, str]) -> None:
    redactor = Redactor(RedactSpec(response=(AT,)))
    one, two, three = (
        Answer(200, redactor.response_content(message(completion(text, name))))
        for text, name in (("s3cr3t", "1"), ("s3cr3t!", "1"), ("s3cr3t", "2"))
    )
    found = TextComparator(**settings).compare(one, two)
    assert found.verdict == "mismatch"
    assert [(d.primary, d.shadow) for d in found.differences] == [("[redacted]", "[redacted]")]
    assert TextComparator(**settings).compare(one, three).verdict == "match"


@given(st.text(max_size=40), st.text(max_size=40))
def test_similarity_is_that_of_the_longest_common_subsequence(left: str, right: str) -> None:
    rows = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            rows[i + 1][j + 1] = rows[i][j] + 1 if a == b else max(rows[i][j + 1], rows[i + 1][j])
    if left or right:
        assert similarity(left, right) == pytest.approx(2 * rows[-1][-1] / (len(left) + len(right)))
    assert similarity(left, right) == similarity(right, left)


@given(st.integers(0, 3 * PIECE), st.integers(0, 3 * PIECE))
def test_long_texts_are_never_taken_for_more_similar_than_they_are(length: int, other: int) -> None:
    left, right = "ab" * (length // 2), "ab" * (other // 2)
    if left or right:
        upper = 2 * min(len(left), len(right)) / (len(left) + len(right))
        assert similarity(left, right) <= upper + 1e-12
        assert similarity(left, right) == similarity(right, left)


def test_long_texts_are_compared_in_bounded_time() -> None:
    left, right = "abcdefghij" * 100_000, "bcdefghijka" * 90_000
    began = time.process_time()
    assert 0.5 < similarity(left, right) < 1.0
    assert time.process_time() - began < 2.0
