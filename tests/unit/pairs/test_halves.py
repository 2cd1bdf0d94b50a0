"""What a worker sends in one piece becomes a capture."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from router.channel import CapturedRequest, Half, Message
from router.pairs.halves import opened
from tests.support.captures import half

NAMES = st.from_regex(rb"[A-Za-z-]{1,8}", fullmatch=True)
VALUES = st.from_regex(rb"([!-~]([ -~]{0,8}[!-~])?)?", fullmatch=True)


def test_the_half_of_a_primary_has_the_request() -> None:
    capture = opened(
        msgspec.structs.replace(half("x"), asked_body=b"abc", asked_size=5, asked_truncated=True)
    )
    assert (capture.exchange, capture.role, capture.id, capture.copies) == ("x", "primary", "id", ("v2",))
    assert capture.request == CapturedRequest(
        b"GET", b"/v2/models/loan/ready", Message(((b"Host", b"loan.test"),), b"abc", 5, True)
    )
    assert (capture.answer.latency_ms, capture.answer.first_byte_ms) == (2.0, 1.0)
    assert capture.answer.message == Message(((b"Content-Type", b"application/json"),), b"{}", 2, False)


def test_the_half_of_a_copy_that_got_no_answer() -> None:
    lost = Half(b"x", b"", 0.0, "d", 1, 4, "v2", "", 0, b"", b"", 0, False, 5.0, -1.0, "timeout")
    capture = opened(lost)
    assert (capture.role, capture.request, capture.cohort) == ("shadow", None, 4)
    assert (capture.answer.status, capture.answer.error, capture.answer.first_byte_ms) == (
        0,
        "timeout",
        -1000.0,
    )
    assert capture.answer.message.headers == ()


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5))
def test_fields_come_back_as_they_were_sent(fields: list[tuple[bytes, bytes]]) -> None:
    text = b"\r\n".join(b"%b: %b" % field for field in fields)
    assert opened(msgspec.structs.replace(half("x"), head=text)).answer.message.headers == tuple(fields)
