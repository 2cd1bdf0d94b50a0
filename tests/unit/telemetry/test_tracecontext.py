"""`traceparent`, by the examples of W3C Trace Context."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.telemetry.tracecontext import Parent, new_span, new_trace, parse, traceparent

TRACE, SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
GIVEN = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"


def test_a_parent_is_read() -> None:
    assert parse(GIVEN + b"01") == Parent(TRACE, SPAN, True)
    assert parse(GIVEN + b"00") == Parent(TRACE, SPAN, False)
    assert parse(GIVEN + b"03") == Parent(TRACE, SPAN, True), "other flags are not ours to judge"


def test_a_later_version_may_say_more() -> None:
    assert parse(b"cc" + GIVEN[2:] + b"01-what-the-future-brings") == Parent(TRACE, SPAN, True)


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        GIVEN + b"01-more",
        b"ff" + GIVEN[2:] + b"01",
        GIVEN.upper() + b"01",
        GIVEN.replace(b"4bf92f3577b34da6a3ce929d0e0e4736", b"0" * 32) + b"01",
        GIVEN.replace(b"00f067aa0ba902b7", b"0" * 16) + b"01",
        GIVEN + b"1",
        GIVEN + b"01 ",
        b"00-a-b-01",
        b"cc" + GIVEN[2:] + b"01.x",
    ],
)
def test_what_is_not_valid_is_no_parent(wrong: bytes) -> None:
    assert parse(wrong) is None


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))
def test_what_is_written_is_read(trace: int, span: int) -> None:
    line = traceparent(trace, span)
    assert line.endswith(b"\r\n")
    assert parse(line[len(b"traceparent: ") : -2]) == Parent(trace, span, True)


def test_new_ids_differ_and_fit() -> None:
    assert len({new_trace() for _ in range(100)}) == len({new_span() for _ in range(100)}) == 100
    assert 0 < new_trace() < 2**128
    assert 0 < new_span() < 2**64
