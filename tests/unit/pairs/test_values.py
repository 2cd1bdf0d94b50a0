"""JSON is read leniently, written strictly where it can be, and what is hidden stays so."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.values import ABSENT, Hidden, dump, dump_strict, parse


@pytest.mark.parametrize(
    ("data", "value", "strict"),
    [
        (b'{"a": [1, 2.5, null, true]}', {"a": [1, 2.5, None, True]}, True),
        (b"null", None, True),
        (b"-Infinity", float("-inf"), False),
        (b'"\\ud800"', "\ud800", False),
        (b"", ABSENT, True),
        (b"{", ABSENT, True),
        (b"\xff", ABSENT, True),
        (b"[" * 100_000, ABSENT, True),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_reading(data: bytes, value: Any, strict: bool) -> None:
    assert parse(data) == (value, strict)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=10))
def test_json_of_the_standard_library_parses(value: Any) -> None:
    assert repr(parse(json.dumps(value).encode())[0]) == repr(value)


@pytest.mark.parametrize("write", [dump, dump_strict])
def test_what_is_hidden_is_written_as_what_is_shown(write: Any) -> None:
    value = {"a": Hidden({"b": "s3cr3t"}), "c": [Hidden("s3cr3t", "hmac-sha256:00")]}
    assert write(value) == b'{"a":"[redacted]","c":["hmac-sha256:00"]}'


def test_numbers_beyond_json_are_written_bare() -> None:
    assert dump([float("nan"), 1]) == b"[NaN,1]"
