"""What ends a body: the table of RFC 9112 §6.3, and chunks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.http1.framing import (
    MAX_LENGTH,
    Framing,
    Malformed,
    chunk,
    request_framing,
    response_framing,
    unchunk,
)


@pytest.mark.parametrize(
    ("minor", "fields", "framing", "length"),
    [
        (1, {}, Framing.NONE, 0),
        (1, {b"content-length": b"0"}, Framing.NONE, 0),
        (1, {b"content-length": b"7"}, Framing.LENGTH, 7),
        (0, {b"content-length": b"7"}, Framing.LENGTH, 7),
        (1, {b"transfer-encoding": b"Chunked"}, Framing.CHUNKED, 0),
    ],
)
def test_requests(minor: int, fields: dict[bytes, bytes], framing: Framing, length: int) -> None:
    assert request_framing(minor, fields) == (framing, length)


@pytest.mark.parametrize(
    ("minor", "coding"), [(1, b"gzip"), (1, b"gzip, chunked"), (1, b""), (0, b"chunked")]
)
def test_other_codings_of_a_request_are_refused(minor: int, coding: bytes) -> None:
    with pytest.raises(Malformed):
        request_framing(minor, {b"transfer-encoding": coding})


LENGTH = {b"content-length": b"7"}


@pytest.mark.parametrize(
    ("status", "to_head", "fields", "framing", "length"),
    [
        (200, False, {}, Framing.UNTIL_CLOSE, 0),
        (200, False, LENGTH, Framing.LENGTH, 7),
        (200, False, {b"content-length": b"0"}, Framing.NONE, 0),
        (200, False, {b"transfer-encoding": b"chunked"}, Framing.CHUNKED, 0),
        (200, True, LENGTH, Framing.NONE, 0),
        (200, True, {b"transfer-encoding": b"chunked"}, Framing.NONE, 0),
        (204, False, LENGTH, Framing.NONE, 0),
        (304, False, LENGTH, Framing.NONE, 0),
        (103, False, LENGTH, Framing.NONE, 0),
        (205, False, {}, Framing.UNTIL_CLOSE, 0),
    ],
)
def test_responses(
    status: int, to_head: bool, fields: dict[bytes, bytes], framing: Framing, length: int
) -> None:
    assert response_framing(status, to_head, fields) == (framing, length)


def test_other_codings_of_a_response_are_refused() -> None:
    with pytest.raises(Malformed):
        response_framing(200, False, {b"transfer-encoding": b"gzip"})


@given(st.binary(min_size=1))
def test_a_chunk_is_undone(data: bytes) -> None:
    whole = chunk(data)
    assert unchunk(whole) == data
    assert int(whole.partition(b"\r\n")[0], 16) == len(data)


def test_a_length_no_number_of_63_bits_holds_is_refused() -> None:
    assert request_framing(1, {b"content-length": b"%d" % MAX_LENGTH}) == (Framing.LENGTH, MAX_LENGTH)
    beyond = {b"content-length": b"%d" % (MAX_LENGTH + 1)}
    with pytest.raises(Malformed):
        request_framing(1, beyond)
    with pytest.raises(Malformed):
        response_framing(200, False, beyond)


@pytest.mark.parametrize("zeros", [20, 5000], ids=["more than others read", "more than int reads"])
def test_a_length_of_too_many_digits_is_refused_whatever_it_says(zeros: int) -> None:
    long = {b"content-length": b"0" * zeros}
    with pytest.raises(Malformed):
        request_framing(1, long)
    for status, to_head in ((200, False), (200, True), (304, False)):
        with pytest.raises(Malformed):
            response_framing(status, to_head, long)
