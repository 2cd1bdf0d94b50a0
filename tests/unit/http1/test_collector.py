"""What both parsers share: fields are gathered, trailers are not, and nothing is without a bound."""

import pytest

from router.http1.collector import Collector
from router.http1.framing import HeadTooLarge, Malformed
from router.http1.head import HeadLimits

pytestmark = pytest.mark.uncompiled


class Heads(Collector):
    """Takes every head, or refuses it."""

    def __init__(self, limits: HeadLimits | None = None, refuse: str = "") -> None:
        super().__init__(limits)
        self.taken = 0
        self._refuse = refuse

    def _take_head(self) -> None:
        if self._refuse:
            raise Malformed(self._refuse)
        self._check_size(10)
        self.taken += 1
        self._in_head = False

    @property
    def names(self) -> list[bytes]:
        return [field[1] for field in self._fields]


def test_fields_are_gathered_and_trailers_are_not() -> None:
    heads = Heads()
    heads.on_header(b"A", b"1 \t")
    heads.on_headers_complete()
    heads.on_header(b"T", b"2")
    assert heads.names == [b"A"]
    assert heads._index == {b"a": b"1"}


def test_a_body_that_llhttp_is_led_into_brings_no_second_head() -> None:
    heads = Heads()
    heads.on_headers_complete()
    heads.on_headers_complete()
    assert heads.taken == 1


def test_a_refusal_is_kept_for_the_caller() -> None:
    heads = Heads(refuse="why")
    with pytest.raises(Malformed, match="why"):
        heads.on_headers_complete()
    assert str(heads._refused) == "why"


def test_a_head_has_a_size_and_a_number_of_fields() -> None:
    many = Heads(HeadLimits(fields=2))
    for name in (b"a", b"b", b"c"):
        many.on_header(name, b"1")
    with pytest.raises(HeadTooLarge, match="2 fields"):
        many.on_headers_complete()
    large = Heads(HeadLimits(size=100))
    large._head_size = 200  # a read that holds more than the head
    large.on_header(b"a", b"1")
    large.on_headers_complete()
    assert large.taken == 1
    large = Heads(HeadLimits(size=100))
    large._head_size = 200
    large.on_header(b"a", b"1" * 100)
    with pytest.raises(HeadTooLarge, match="100 bytes"):
        large.on_headers_complete()


def test_what_never_ends_is_refused_by_name() -> None:
    heads = Heads()
    with pytest.raises(HeadTooLarge, match="the head is over"):
        heads._refuse_endless()
    heads.on_headers_complete()
    with pytest.raises(HeadTooLarge, match="no data"):
        heads._refuse_endless()
