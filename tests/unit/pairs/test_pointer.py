import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from router.pairs.comparators.json import JsonComparator
from router.pairs.pointer import covers, join, overlap, split


@given(st.lists(st.text(), min_size=1))
def test_splitting_undoes_joining(segments: list[str]) -> None:
    assert split(join(tuple(segments))) == tuple(segments)


def test_escapes_and_positions() -> None:
    assert split("/a~1b/~0c/0") == ("a/b", "~c", "0")
    assert join(("outputs", 0, "a/b")) == "/outputs/0/a~1b"
    assert join(()) == ""


@pytest.mark.parametrize("pointer", ["", "a", "a/b", "/a~2", "/~"])
def test_what_is_no_pointer_is_refused(pointer: str) -> None:
    with pytest.raises(ValidationError, match="is no JSON pointer"):
        JsonComparator(ignore=(pointer,))


@pytest.mark.parametrize(
    ("pattern", "at", "within", "meets"),
    [
        ("/a", "/a", True, True),
        ("/a", "/a/b", True, True),
        ("/a/b", "/a", False, True),
        ("/a/*/c", "/a/7/c/d", True, True),
        ("/a/*/c", "/a/7/d", False, False),
        ("/a", "/b", False, False),
    ],
)
def test_what_a_pattern_covers_and_what_it_meets(pattern: str, at: str, within: bool, meets: bool) -> None:
    assert covers(split(pattern), split(at)) is within
    assert overlap(split(pattern), split(at)) is overlap(split(at), split(pattern)) is meets
