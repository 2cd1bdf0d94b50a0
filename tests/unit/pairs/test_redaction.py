"""No secret survives redaction, in whatever form it comes."""

import gzip
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channel import Message
from router.pairs.content import open_message
from router.pairs.redaction import Redactor
from router.pairs.settings import RedactSpec
from tests.support.captures import HEADERS, message, primary, shadow


def logged(kept: Message, *pointers: str) -> tuple[Any, str]:
    body, encoding = Redactor(RedactSpec(request=pointers)).request_content(kept).logged()
    return msgspec.json.decode(msgspec.json.encode(body)), encoding


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("/a/b", {"a": {"b": "[redacted]", "c": [1, 2]}, "d": None}),
        ("/a/c/1", {"a": {"b": 1, "c": [1, "[redacted]"]}, "d": None}),
        ("/a/c/*", {"a": {"b": 1, "c": ["[redacted]", "[redacted]"]}, "d": None}),
        ("/*/b", {"a": {"b": "[redacted]", "c": [1, 2]}, "d": None}),
        ("/a", {"a": "[redacted]", "d": None}),
        ("/d", {"a": {"b": 1, "c": [1, 2]}, "d": "[redacted]"}),
        ("/a/c/2", {"a": {"b": 1, "c": [1, 2]}, "d": None}),
        ("/a/c/x", {"a": {"b": 1, "c": [1, 2]}, "d": None}),
        ("/a/b/deeper", {"a": {"b": 1, "c": [1, 2]}, "d": None}),
    ],
)
def test_pointers(pointer: str, expected: Any) -> None:
    assert logged(message({"a": {"b": 1, "c": [1, 2]}, "d": None}), pointer) == (expected, "json")


def test_pointers_may_overlap() -> None:
    assert logged(message({"a": {"b": 1}}), "/a/b", "/a", "/a/*", "/*") == ({"a": "[redacted]"}, "json")


@pytest.mark.parametrize(
    "kept",
    [
        message(b'{"a": "s3cr3t"', HEADERS),
        message(b'{"a": "s3cr3t"}', HEADERS, truncated=True),
        message(b"a=s3cr3t"),
        message(b'{"a": "s3cr3t"}{}'),
        message(b'data: {"a": "s3cr3t"}\n\n'),
        message(b"\xffs3cr3t"),
        Message(HEADERS, b"", 20, True),
    ],
)
def test_a_body_that_is_no_json_is_withheld_whole(kept: Message) -> None:
    assert logged(kept, "/a") == (None, "redacted")


def test_without_pointers_it_is_not() -> None:
    assert logged(message(b"plain")) == ("plain", "text")


def test_an_absent_body_is_not_called_redacted() -> None:
    assert logged(message(b""), "/a") == (None, "none")


def test_secrets_hidden_behind_an_equal_name_or_a_coding_or_nan_are_found() -> None:
    assert logged(message(b'{"a": {"b": "s3cr3t"}, "a": {}}'), "/a/b") == ({"a": {}}, "json")
    packed = message(gzip.compress(b'{"a": "s3cr3t"}'), ((b"Content-Encoding", b"gzip"),))
    assert logged(packed, "/a") == ({"a": "[redacted]"}, "json")
    assert logged(message(b'{"a": "s3cr3t", "b": NaN}'), "/a") == ('{"a":"[redacted]","b":NaN}', "text")


def test_header_names_do_not_mind_case_and_order_stays() -> None:
    redactor = Redactor(RedactSpec(headers=("X-Api-Key",)))
    headers = ((b"a", b"1"), (b"x-API-key", b"s3cr3t"), (b"b", b"2"), (b"X-Api-Key", b"other"))
    assert redactor.headers(headers) == (
        (b"a", b"1"),
        (b"x-API-key", b"[redacted]"),
        (b"b", b"2"),
        (b"X-Api-Key", b"[redacted]"),
    )


def test_credentials_are_redacted_by_default() -> None:
    names = (b"Authorization", b"Cookie", b"Set-Cookie", b"Proxy-Authorization")
    redacted = Redactor(RedactSpec()).headers(tuple((name, b"s3cr3t") for name in names))
    assert {value for _, value in redacted} == {b"[redacted]"}


SIDES = RedactSpec(request=("/card",), response=("/secret",))


def test_a_capture_for_the_spool_holds_no_secret() -> None:
    safe = Redactor(SIDES).capture(primary("a", {"secret": "s3cr3t", "label": 1}))
    text = msgspec.msgpack.encode(safe)
    for secret in (b"hunter2", b"4111", b"s3cr3t"):
        assert secret not in text
    assert open_message(safe.answer.message).value == {"secret": "[redacted]", "label": 1}


def test_a_capture_without_secrets_is_passed_on_as_it_is() -> None:
    half = shadow("a", message(b"1", ()))
    assert Redactor(RedactSpec()).capture(half) is half


def test_a_body_withheld_in_the_spool_stays_withheld_when_it_is_taken_up() -> None:
    redactor = Redactor(SIDES)
    safe = redactor.capture(shadow("a", b"s3cr3t"))
    assert (safe.answer.message.body, safe.answer.message.size) == (b"", 6)
    assert redactor.response_content(safe.answer.message).logged() == (None, "redacted")


def test_a_packed_body_survives_the_way_through_the_spool() -> None:
    redactor = Redactor(SIDES)
    packed = message(gzip.compress(b'{"secret": 1, "b": 2}'), ((b"content-encoding", b"gzip"),))
    safe = redactor.capture(shadow("a", packed))
    body, encoding = redactor.response_content(safe.answer.message).logged()
    assert (msgspec.json.decode(body), encoding) == ({"secret": "[redacted]", "b": 2}, "json")


JSON = st.recursive(
    st.just("s3cr3t") | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("ab"), inner),
)


@given(JSON)
def test_what_a_star_covers_is_gone(value: Any) -> None:
    body, _ = logged(message({"x": [value], "y": value}), "/x/*", "/y")
    assert body == {"x": ["[redacted]"], "y": "[redacted]"}
