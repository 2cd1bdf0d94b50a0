from router.pairs.comparators.base import Answer
from router.pairs.comparators.bytes import BytesComparator
from router.pairs.content import open_message
from tests.support.captures import message


def test_one_byte_decides_and_no_content_gets_out() -> None:
    one, two = (Answer(200, open_message(message(body))) for body in (b'{"a": 1}', b'{"a":1}'))
    comparison = BytesComparator().compare(one, two)
    assert comparison.verdict == "mismatch"
    assert [(d.at, d.primary, d.shadow) for d in comparison.differences] == [("body", "8 bytes", "7 bytes")]


def test_what_the_head_says_of_the_bytes_makes_no_difference() -> None:
    one = Answer(200, open_message(message(b"data: {}\n\n", ((b"content-type", b"text/event-stream"),))))
    two = Answer(200, open_message(message(b"data: {}\n\n", ())))
    assert BytesComparator().compare(one, two).verdict == "match"
