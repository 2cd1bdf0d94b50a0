"""Streams are split as WHATWG says, completions put together as if they had not been streamed, and nothing hostile
does harm."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.streams import Event, Pace, assemble, evened, events, pace

LINES = st.lists(
    st.sampled_from(["data: a", "data:b", "data", "data:  c", "event: e", ": comment", "", "id: 1", "x: y"]),
    max_size=12,
)


def sse(*chunks: Any, end: str = "\n", done: bool = True) -> bytes:
    told = [f"data: {json.dumps(chunk)}{end}{end}" for chunk in chunks] + [f"data: [DONE]{end}{end}"] * done
    return "".join(told).encode()


def chunk(*choices: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"id": "c1", "object": "chat.completion.chunk", **rest, "choices": list(choices)}


def delta(index: int = 0, finish_reason: str | None = None, **said: Any) -> dict[str, Any]:
    return {"index": index, "delta": said, "finish_reason": finish_reason}


def put_together(*chunks: Any) -> dict[str, Any]:
    stream = assemble(sse(*chunks))
    assert stream is not None
    return stream.value


# Events


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"data: a\n\n", [(b"message", b"a")]),
        (
            b"data: a\r\n\r\ndata: b\r\rdata: c\n\n",
            [(b"message", b"a"), (b"message", b"b"), (b"message", b"c")],
        ),
        (b"data: a\ndata: b\n\n", [(b"message", b"a\nb")]),
        (b"data:a\ndata:  b\n\n", [(b"message", b"a\n b")]),
        (b"data\n\n", [(b"message", b"")]),
        (b"event: ping\ndata: {}\n\ndata: x\n\n", [(b"ping", b"{}"), (b"message", b"x")]),
        (b"event: nothing\n\ndata: x\n\n", [(b"message", b"x")]),
        (b": comment\nid: 1\nretry: 5\nDATA: no\ndata: a: b\n\n", [(b"message", b"a: b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [(b"message", b"a")]),
        (b"data: whole\n\ndata: cut\n", [(b"message", b"whole")]),
        (b"data: cut", []),
        ("data: a\u2028b\x0b\x0cc\x85\n\n".encode(), [(b"message", "a\u2028b\x0b\x0cc\x85".encode())]),
        (b"", []),
    ],
)
def test_events(data: bytes, found: list[tuple[bytes, bytes]]) -> None:
    assert list(events(data)) == [Event(*each) for each in found]


@given(LINES)
def test_line_ends_make_no_difference(lines: list[str]) -> None:
    one, *others = [list(events(end.join([*lines, ""]).encode())) for end in ("\n", "\r\n", "\r")]
    assert others == [one, one]


@given(st.binary())
def test_any_bytes_are_some_events(data: bytes) -> None:
    list(events(data))


# Completions


def test_a_chat_completion() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    stream = assemble(
        sse(
            chunk(delta(role="assistant", content="")),
            chunk(delta(content="Yes")),
            chunk(delta(content=", é")),
            chunk(delta(finish_reason="stop")),
            chunk(usage=usage),
        )
    )
    assert stream is not None
    assert (stream.strict, stream.chunks) == (True, 2)
    assert stream.value == {
        "id": "c1",
        "object": "chat.completion",
        "usage": usage,
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yes, é"}}
        ],
    }


def test_choices_come_together_by_index_in_any_order() -> None:
    value = put_together(
        chunk(delta(1, content="b")),
        chunk(delta(0, content="a"), delta(1, content="B", finish_reason="length")),
        chunk(delta(0, finish_reason="stop")),
    )
    assert [(c["index"], c["message"]["content"], c["finish_reason"]) for c in value["choices"]] == [
        (0, "a", "stop"),
        (1, "bB", "length"),
    ]


def test_tool_calls_are_joined_by_index() -> None:
    def call(index: int, arguments: str, **rest: Any) -> dict[str, Any]:
        name = {"name": rest.pop("name")} if "name" in rest else {}
        return {"index": index, **rest, "function": {**name, "arguments": arguments}}

    value = put_together(
        chunk(
            delta(role="assistant", content=None, tool_calls=[call(0, "", id="x", type="function", name="f")])
        ),
        chunk(delta(tool_calls=[call(0, '{"a"'), call(1, "{", id="y", type="function", name="g")])),
        chunk(delta(tool_calls=[call(1, "}"), call(0, ":1}", type="function")])),
        chunk(delta(finish_reason="tool_calls")),
    )
    (choice,) = value["choices"]
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
            {"id": "y", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }


def test_refusals_reasoning_and_log_probabilities_are_joined() -> None:
    value = put_together(
        chunk({**delta(refusal="I can"), "logprobs": {"content": [{"token": "a", "logprob": -1}]}}),
        chunk({**delta(refusal="not", reasoning_content="hm"), "logprobs": {"content": [{"token": "b"}]}}),
        chunk({**delta(reasoning_content="m"), "logprobs": None}),
    )
    (choice,) = value["choices"]
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": "I cannot",
        "reasoning_content": "hmm",
    }
    assert choice["logprobs"] == {"content": [{"token": "a", "logprob": -1}, {"token": "b"}]}


def test_a_text_completion() -> None:
    def part(text: str, reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}
        return {"object": "text_completion", "choices": [choice]}

    assert put_together(part("a"), part("b", "stop")) == {
        "object": "text_completion",
        "choices": [{"index": 0, "text": "ab", "finish_reason": "stop"}],
    }


def test_an_error_in_the_middle_stays_and_what_follows_done_does_not_count() -> None:
    data = sse(chunk(delta(content="a")), {"error": {"code": 500}}) + sse(chunk(delta(content="b")))
    stream = assemble(data)
    assert stream is not None
    assert stream.value["error"] == {"code": 500}
    assert stream.value["choices"][0]["message"]["content"] == "a"


def test_a_stream_that_ends_early_has_no_finish_reason() -> None:
    stream = assemble(sse(chunk(delta(content="a")), done=False) + b'data: {"choices": [')
    assert stream is not None
    assert stream.value["choices"] == [
        {"index": 0, "finish_reason": None, "message": {"role": "assistant", "content": "a"}}
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"data: [DONE]\n\n",
        b"data: hello\n\n",
        b"data: {\n\n",
        b"data: 1\n\n",
        b'data: {"error": "busy"}\n\n',
        b'data: {"choices": 1}\n\n',
        b'data: {"choices": [1]}\n\n',
        b'data: {"choices": [{"index": "0"}]}\n\n',
        b'data: {"choices": [{"index": true}]}\n\n',
        b'data: {"choices": [{"index": 0, "delta": "a"}]}\n\n',
        sse(chunk(delta(content="a")))[:-14] + b"data: nonsense\n\n",
        b'{"choices": []}',
    ],
)
def test_what_is_no_completion_is_none(data: bytes) -> None:
    assert assemble(data) is None


def test_types_that_change_do_no_harm() -> None:
    value = put_together(
        chunk(delta(content="a", tool_calls={"x": "1"}, function_call=[1])),
        chunk(delta(content=["b"], tool_calls=[{"index": 10**30, "id": "z"}], function_call={"name": "f"})),
        chunk(delta(content=5)),
    )
    message = value["choices"][0]["message"]
    assert message == {
        "role": "assistant",
        "content": 5,
        "tool_calls": [{"id": "z"}],
        "function_call": {"name": "f"},
    }


MEMBERS = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["index", "delta", "content", "tool_calls", "text"]), inner, max_size=3
        )
    ),
)


@given(st.lists(st.fixed_dictionaries({"choices": MEMBERS | st.lists(MEMBERS, max_size=2)}), max_size=4))
def test_any_chunks_make_json_or_nothing(chunks: list[Any]) -> None:
    stream = assemble(sse(*chunks))
    if stream is not None:
        json.dumps(stream.value)


@given(st.lists(st.text(max_size=6), max_size=8), st.integers(0, 3))
def test_how_a_text_is_cut_makes_no_difference(parts: list[str], where: int) -> None:
    cut = put_together(chunk(), *[chunk(delta(where, content=part)) for part in parts])
    whole = put_together(chunk(), *[chunk(delta(where, content="".join(parts)))] * bool(parts))
    assert cut == whole


@pytest.mark.parametrize(
    "data",
    [
        sse(chunk(delta(content="x")))[:-14] * 40_000,
        b"data: x\n" * 500_000,
        b"\n" * 4_000_000,
        b"data:\n\n" * 500_000,
        sse(chunk(delta(tool_calls=[{"index": 0, "function": {"arguments": "x"}}])))[:-14] * 20_000,
        b'data: {"choices": [{"delta": {"a": ' + b'{"a": ' * 900 + b"1" + b"}" * 900 + b"}}]}\n\n",
    ],
    ids=["many_chunks", "one_long_event", "empty_lines", "empty_events", "tool_calls", "deep"],
)
def test_a_hostile_stream_costs_no_more_than_its_size(data: bytes) -> None:
    began = time.process_time()
    assemble(data)
    assert time.process_time() - began < 3.0


# Beside answers that were not streamed


def test_a_stream_and_an_answer_that_was_not_one_are_evened() -> None:
    whole = {
        "object": "chat.completion",
        "usage": {"completion_tokens": 1},
        "choices": [
            {
                "index": 0,
                "logprobs": None,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "a", "refusal": None, "tool_calls": []},
            }
        ],
    }
    streamed = put_together(chunk(delta(content="a")), chunk(delta(finish_reason="stop")))
    streamed.pop("id")
    left, right = evened(whole, streamed)
    assert left == right
    told = {**streamed, "usage": {"completion_tokens": 2}}
    assert evened(whole, told)[1]["usage"] == {"completion_tokens": 2}


# Pace


def test_pace_by_usage() -> None:
    value = {"choices": [{"finish_reason": "stop"}], "usage": {"completion_tokens": 30}}
    assert pace(value, 10, 1100.0, 100.0) == Pace("stop", 30, "usage", 100.0, 30.0)


@pytest.mark.parametrize("usage", [None, {}, {"completion_tokens": True}, {"completion_tokens": -1}, "x"])
def test_pace_by_chunks(usage: Any) -> None:
    value = {"choices": [], "usage": usage}
    assert pace(value, 10, 600.0, 100.0) == Pace(None, 10, "chunks", 100.0, 20.0)


def test_no_time_no_rate() -> None:
    value = {"choices": [{"finish_reason": None}]}
    for latency, first in ((None, None), (5.0, None), (5.0, 5.0)):
        found = pace(value, 1, latency, first)
        assert found is not None
        assert found.tokens_per_second is None
    assert pace({"a": 1}, 1, 2.0, 1.0) is None
    assert pace(None, 1, 2.0, 1.0) is None
