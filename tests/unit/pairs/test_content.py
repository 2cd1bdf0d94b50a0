"""Bodies are opened once, whatever they are, and written in a form strict readers accept."""

import base64
import gzip
import json
import struct
import zlib
from typing import Any

import brotli
import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from router.channel import Message
from router.pairs import tensors
from router.pairs.codings import MAX_DECODED
from router.pairs.content import open_message
from router.pairs.redaction import Redactor
from router.pairs.settings import RedactSpec
from router.pairs.values import ABSENT
from tests.support.captures import message, shadow


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
        (b"br", brotli.compress(b'{"a":1}')),
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
        (b"lzma", b"\x0b\x02\x80"),
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


def test_a_whole_body_that_ends_in_the_middle_of_a_character_loses_no_byte() -> None:
    body = "plain text, é".encode()[:-1]
    assert written(message(body)) == (base64.b64encode(body).decode(), "base64")


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


# Streams and binary tensors

EVENTS = ((b"Content-Type", b"Text/Event-Stream"),)
CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n'
STREAM = CHUNK % b"s3cr3t" + CHUNK % b"!" + b"data: [DONE]\n\n"
ANSWER = {"index": 0, "finish_reason": None, "message": {"role": "assistant", "content": "s3cr3t!"}}

HEAD = b'{"outputs":[{"name":"y","datatype":"FP32","shape":[2],"parameters":{"binary_data_size":8}}]}'
TENSORS = HEAD + struct.pack("<2f", 0.5, 2.0)


def with_tensors(body: bytes, length: object = len(HEAD), *others: tuple[bytes, bytes]) -> Message:
    return message(body, ((b"Inference-Header-Content-Length", str(length).encode()), *others))


def test_a_stream_has_the_value_of_its_answer_and_is_logged_as_it_came() -> None:
    opened = open_message(message(STREAM, EVENTS))
    assert (opened.value, opened.form, opened.chunks) == ({"choices": [ANSWER]}, "events", 2)
    assert written(message(STREAM, EVENTS)) == (STREAM.decode(), "text")
    packed = gzipped(STREAM)
    assert open_message(message(packed, (*EVENTS, (b"content-encoding", b"gzip")))).value == {
        "choices": [ANSWER]
    }


def test_events_that_are_no_completion_have_no_value() -> None:
    opened = open_message(message(b"data: hello\n\n", EVENTS))
    assert (opened.value, opened.form, opened.problem) == (ABSENT, "events", "")


def test_binary_tensors_have_the_value_of_json_and_are_logged_as_they_came() -> None:
    opened = open_message(with_tensors(TENSORS))
    tensor = {"name": "y", "datatype": "FP32", "shape": [2], "data": [0.5, 2.0]}
    assert (opened.value, opened.form) == ({"outputs": [tensor]}, "tensors")
    assert written(with_tensors(TENSORS)) == (base64.b64encode(TENSORS).decode(), "base64")
    packed = with_tensors(gzipped(TENSORS), len(HEAD), (b"content-encoding", b"gzip"))
    assert open_message(packed).value == {"outputs": [tensor]}


@pytest.mark.parametrize("length", [0, 5, len(HEAD) - 1, -1, "", "x", "9" * 5000, "\u00b2"])
def test_tensors_whose_head_is_not_there_have_no_value(length: object) -> None:
    opened = open_message(
        message(TENSORS, ((b"inference-header-content-length", str(length).encode("latin-1")),))
    )
    assert (opened.value, opened.problem) == (ABSENT, "")


def test_unsound_tensors_have_no_value_and_too_many_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_message(with_tensors(TENSORS[:-1])).value is ABSENT
    assert open_message(with_tensors(TENSORS[:-1])).problem == ""
    monkeypatch.setattr(tensors, "MAX_ELEMENTS", 1)
    assert "more than 1 elements" in open_message(with_tensors(TENSORS)).problem


@pytest.mark.parametrize("headers", [EVENTS, ((b"inference-header-content-length", b"5"),)])
def test_a_redacted_body_in_the_spool_is_json_whatever_its_head_says(headers: Any) -> None:
    opened = open_message(message(b'{"a": "[redacted]"}', headers))
    assert (opened.value, opened.form) == ({"a": "[redacted]"}, "json")


@pytest.mark.parametrize(
    ("kept", "pointer"),
    [
        (message(STREAM, EVENTS), "/choices/0/message/content"),
        (with_tensors(TENSORS), "/outputs/0/data"),
    ],
    ids=["events", "tensors"],
)
def test_redaction_hides_in_streams_and_tensors(kept: Message, pointer: str) -> None:
    redactor = Redactor(RedactSpec(response=(pointer,)))
    body, encoding = redactor.response_content(kept).logged()
    line = msgspec.json.encode(body)
    assert encoding == "json"
    assert b"[redacted]" in line
    assert b"s3cr3t" not in line
    assert b"0.5" not in line
    safe = redactor.capture(shadow("a", kept)).answer.message
    assert b"s3cr3t" not in safe.body
    assert struct.pack("<f", 0.5) not in safe.body
    again, _ = redactor.response_content(safe).logged()
    assert msgspec.json.decode(again) == msgspec.json.decode(body)


def test_numbers_of_tensors_that_json_does_not_know_make_no_strict_json() -> None:
    kept = with_tensors(HEAD + struct.pack("<2f", float("nan"), 2.0))
    body, encoding = Redactor(RedactSpec(response=("/outputs/0/name",))).response_content(kept).logged()
    assert encoding == "text"
    assert '"data":[NaN,2.0]' in body


HOSTILE = st.sampled_from(
    [b"content-type: text/event-stream", b"inference-header-content-length: 20", b"content-encoding: br"]
)


@given(st.binary(max_size=60) | st.just(STREAM) | st.just(TENSORS), st.lists(HOSTILE, max_size=3))
def test_any_bytes_under_any_head_are_opened(body: bytes, lines: list[bytes]) -> None:
    headers = tuple((name, value) for name, _, value in (line.partition(b": ") for line in lines))
    open_message(message(body, headers)).logged()
