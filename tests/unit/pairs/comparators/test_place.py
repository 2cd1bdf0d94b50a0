"""A place is found by position or name, through what is hidden, and never twice."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from router.pairs.comparators.place import Found, OnePlace, find, find_both
from router.pairs.content import Content
from router.pairs.pointer import split
from router.pairs.values import ABSENT, Hidden


def at(value: Any, pointer: str, *, exposed: bool = True) -> Found:
    return find(Content(b"", value, exposed=exposed), split(pointer))


DOCUMENT = {
    "a": [{"b": 1}, {"b": 2}],
    "outputs": [{"name": "x", "data": [1]}, {"name": "y", "data": [2]}],
    "": 3,
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/a/1/b", 2),
        ("/", 3),
        ("/outputs/0/data", [1]),
        ("/outputs/y/data", [2]),
        ("/outputs/y/data/0", 2),
        ("/a/b", ABSENT),
        ("/a/2", ABSENT),
        ("/a/-1", ABSENT),
        ("/a/1/b/c", ABSENT),
        ("/outputs/z/data", ABSENT),
        ("/a/" + "9" * 5000, ABSENT),
    ],
)
def test_one_document(pointer: str, value: Any) -> None:
    assert at(DOCUMENT, pointer).value == value


def test_the_parent_comes_along() -> None:
    assert at(DOCUMENT, "/outputs/y/data").parent == {"name": "y", "data": [2]}


@pytest.mark.parametrize("document", [ABSENT, None, 1, "text", []])
def test_nothing_stands_in_what_has_no_members(document: Any) -> None:
    assert at(document, "/a").value is ABSENT


@pytest.mark.parametrize(
    ("document", "value"),
    [
        ({"a": Hidden([1])}, [1]),
        ({"a": [Hidden(1)]}, [1]),
        (Hidden({"a": [1]}), [1]),
        ({"a": [{"b": Hidden(Hidden(1))}]}, [{"b": 1}]),
    ],
)
def test_what_is_hidden_is_found_and_known_to_be_secret(document: Any, value: Any) -> None:
    assert at(document, "/a", exposed=False)[::2] == (value, True)


def test_what_is_not_hidden_is_no_secret() -> None:
    assert at({"a": [1], "b": Hidden(2)}, "/a", exposed=False)[::2] == ([1], False)


def test_the_shadow_is_read_at_the_output_of_the_primary_s_name() -> None:
    turned = {"outputs": DOCUMENT["outputs"][::-1]}  # type: ignore[index]
    left, right = find_both(Content(b"", DOCUMENT), Content(b"", turned), ("outputs", "0", "data"))
    assert (left.value, right.value) == ([1], [1])


def test_a_name_of_digits_is_no_name() -> None:
    left = {"outputs": [{"name": "1", "data": "a"}, {"name": "0", "data": "b"}]}
    assert [
        each.value for each in find_both(Content(b"", left), Content(b"", left), ("outputs", "0", "data"))
    ] == [
        "a",
        "a",
    ]


def test_a_place_is_one_place() -> None:
    class Model(BaseModel):
        at: OnePlace

    assert Model(at="/a~1b/0").at == "/a~1b/0"
    with pytest.raises(ValidationError, match="without"):
        Model(at="/choices/*/message")
    with pytest.raises(ValidationError, match="no JSON pointer"):
        Model(at="choices")
