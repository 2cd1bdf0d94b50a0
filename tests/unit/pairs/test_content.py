"""Bodies are opened once, whatever they are, and written in a form strict readers accept."""

import gzip
import json
import zlib
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from router.channel import Message
from router.pairs import content
from router.pairs.content import ABSENT, MAX_DECODED, open_message
from tests.support.captures import message


def encoded(body: bytes, coding: bytes) -> Message:
    return message(body, ((b"content-encoding", coding),))


def gzipped(data: bytes) -> bytes:
    """Without the time of packing: it would get into the tests' names."""
    return gzip.compress(data, mtime=0)


def deflate_bare(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def written(kept: Message) -> tuple[Any, str]:
    """What a strict reader gets back from the log."""
    body, encoding = open_message(kept).logged()
    return msgspec.json.decode(msgspec.json.encode(body)), encoding


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        (b"gzip", gzipped(b'{"a":1}')),
        (b"X-GZIP", gzipped(b'{"a":1}')),
        (b"gzip", gzipped(b'{"a"') + gzipped(b":1}")),
        (b"deflate", zlib.compress(b'{"a":1}')),
        (b"deflate", deflate_bare(b'{"a":1}')),
        (b"zstd", zstandard.compress(b'{"a":1}')),
        (b"deflate, gzip", gzipped(zlib.compress(b'{"a":1}'))),
        (b"identity", b'{"a":1}'),
    ],
)
def test_content_codings_are_removed(coding: bytes, packed: bytes) -> None:
    opened = open_message(encoded(packed, coding))
    assert (opened.value, opened.problem) == ({"a": 1}, "")


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        (b"br", b"\x0b\x02\x80"),
        (b"gzip", gzipped(b"x" * 100)[:-4]),
        (b"gzip", b"\x1f\x8bnonsense"),
        (b"zstd", b"nonsense"),
        (b"gzip", gzipped(b"") * 50_000),
        (b"gzip, gzip, gzip, gzip", gzipped(b"1")),
        (b"gzip", gzipped(b"\0" * (MAX_DECODED + 1))),
        (b"zstd", zstandard.compress(b"\0" * (MAX_DECODED + 1))),
    ],
    ids=["unknown", "cut", "broken", "not_zstd", "members", "codings", "gzip_bomb", "zstd_bomb"],
)
def test_what_cannot_be_decoded_is_named_and_kept_as_it_came(coding: bytes, packed: bytes) -> None:
    opened = open_message(encoded(packed, coding))
    assert coding.decode() in opened.problem
    assert opened.data == packed
    assert opened.value is ABSENT


def test_json_that_is_not_in_the_coding_its_head_names_is_taken_as_it_is() -> None:
    assert open_message(encoded(b'{"a":1}', b"gzip")).value == {"a": 1}


@pytest.mark.parametrize(
    ("body", "logged"),
    [
        (b"", (None, "none")),
        (b"null", (None, "json")),
        (b'{"a": [1, 2.50]}', ({"a": [1, 2.5]}, "json")),
        (b'{\n "a": 1\r\n}\n', ({"a": 1}, "json")),
        (b'{"a": NaN, "b": -Infinity}', ('{"a": NaN, "b": -Infinity}', "text")),
        (b'{"a": 1e999}', ('{"a": 1e999}', "text")),
        (b'"\\ud800"', ('"\\ud800"', "text")),
        ("größer\n".encode(), ("größer\n", "text")),
        (b"data: {}\n\ndata: [DONE]\n\n", ("data: {}\n\ndata: [DONE]\n\n", "text")),
        (b"\xff\xfe", ("//4=", "base64")),
        (b"a\0b", ("YQBi", "base64")),
        (b"[" * 5000 + b"]" * 5000, ("[" * 5000 + "]" * 5000, "text")),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_the_form_in_the_log(body: bytes, logged: tuple[Any, str]) -> None:
    assert written(message(body)) == logged


def test_a_cut_body_is_text_up_to_its_last_whole_character() -> None:
    assert written(message('{"a": "é'.encode()[:-1], truncated=True)) == ('{"a": "', "text")


def test_a_cut_body_is_never_json() -> None:
    assert open_message(message(b"12", truncated=True)).value is ABSENT


def test_numbers_keep_their_digits_in_the_log() -> None:
    body, _ = open_message(
        message(b'{"a": 0.10000000000000000555, "b": 123456789012345678901234567890}')
    ).logged()
    assert b"0.10000000000000000555" in msgspec.json.encode(body)
    assert b"123456789012345678901234567890" in msgspec.json.encode(body)


@given(st.binary(max_size=200), st.sampled_from([b"", b"gzip", b"deflate", b"zstd", b"gzip, zstd", b"br"]))
def test_any_bytes_in_any_coding_make_one_line_that_strict_readers_accept(body: bytes, coding: bytes) -> None:
    opened, _ = open_message(encoded(body, coding)).logged()
    line = msgspec.json.encode(opened)
    assert b"\n" not in line
    json.loads(line, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=10))
def test_json_of_the_standard_library_parses(value: Any) -> None:
    parsed, _ = content.parse(json.dumps(value).encode())
    assert repr(parsed) == repr(value)
