"""The parser: alike for every split, never wider than what h11 reads, and no surprise from any bytes."""

import pytest

from router.http1.framing import LAST_CHUNK, HeadTooLarge, Malformed, TargetTooLong, chunk
from router.http1.head import HeadLimits
from router.http1.parser import RequestParser, ResponseParser
from tests.support.parsing import (
    CHUNKS,
    PLAIN,
    RESPONSES,
    UPGRADE,
    Requests,
    Responses,
    read_requests,
    read_response,
)


def test_a_head_cut_behind_a_chunked_request_is_no_place_for_another_one() -> None:
    """What lies in the second piece is the value of a field, whatever it looks like."""
    events, _ = read_requests(
        [CHUNKS + b"GET /a HTTP/1.1\r\nx-foo: ", b"GET /evil HTTP/1.1\r\nhost: y\r\n\r\n"]
    )
    targets = [event[1] for event in events if len(event) > 3]
    assert targets == [b"/c", b"/a"]


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: 1\r\n" * HeadLimits().fields + b"\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 70_000,
    ],
    ids=["value", "fields", "endless"],
)
def test_heads_have_limits(head: bytes) -> None:
    with pytest.raises(HeadTooLarge):
        RequestParser(Requests()).feed(head)


@pytest.mark.parametrize("rest", [b" HTTP/1.1\r\nhost: x\r\n\r\n", b"a" * 70_000], ids=["whole", "endless"])
def test_targets_have_a_limit(rest: bytes) -> None:
    limits = HeadLimits(target=2000)
    RequestParser(Requests(), limits=limits).feed(b"GET /" + b"a" * 1999 + b" HTTP/1.1\r\nhost: x\r\n\r\n")
    with pytest.raises(TargetTooLong, match="2000"):
        RequestParser(Requests(), limits=limits).feed(b"GET /" + b"a" * 2000 + rest)


def test_limits_of_a_head_are_those_given() -> None:
    limits = HeadLimits(size=5000, fields=120)
    head = b"GET / HTTP/1.1\r\nhost: x\r\n%b\r\n"
    RequestParser(Requests(), limits=limits).feed(head % (b"a: 1\r\n" * 119))
    RequestParser(Requests(), limits=limits).feed(head % (b"x: " + b"a" * 4900 + b"\r\n"))
    with pytest.raises(HeadTooLarge, match="120 fields"):
        RequestParser(Requests(), limits=limits).feed(head % (b"a: 1\r\n" * 120))
    with pytest.raises(HeadTooLarge, match="5000"):
        RequestParser(Requests(), limits=limits).feed(head % (b"x: " + b"a" * 5000 + b"\r\n"))


@pytest.mark.parametrize("waste", [b"x: " + b"a" * 3000, b"5;" + b"a" * 3000], ids=["trailer", "extension"])
def test_what_a_chunked_body_brings_beside_its_data_is_bounded(waste: bytes) -> None:
    """Else a trailer without an end would be gathered for ever."""
    start = b"0\r\n" if waste[:1] == b"x" else b""
    chunked = b"transfer-encoding: chunked\r\n\r\n" + start
    requests = RequestParser(Requests(), limits=HeadLimits(size=5000))
    requests.feed(b"POST / HTTP/1.1\r\nhost: x\r\n" + chunked)
    requests.feed(waste)
    with pytest.raises(HeadTooLarge):
        requests.feed(b"a" * 3000)
    responses = ResponseParser(limits=HeadLimits(size=5000))
    responses.expect(Responses(), False)
    responses.feed(b"HTTP/1.1 200 OK\r\n" + chunked)
    responses.feed(waste)
    with pytest.raises(HeadTooLarge):
        responses.feed(b"a" * 3000)


def test_data_of_a_chunked_body_is_not() -> None:
    sink = Requests()
    parser = RequestParser(sink, limits=HeadLimits(size=5000))
    parser.feed(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(100):
        parser.feed(chunk(b"x" * 1000))
    parser.feed(LAST_CHUNK)
    assert sink.events[-1] == ("end",)


def test_many_requests_in_one_read_are_no_large_head() -> None:
    events, malformed = read_requests([PLAIN * 3000 + CHUNKS * 1000])
    assert not malformed
    assert events.count(("end",)) == 4000


def test_a_refusal_is_told_even_while_the_caller_handles_another_error() -> None:
    """As when a connection could not be made for an upgrade, and the bytes behind it are no request."""
    parser = RequestParser(Requests())
    parser.feed(UPGRADE + b"GET / HTTP/1.1\r\n\r\n")
    try:
        raise OSError
    except OSError:
        with pytest.raises(Malformed, match="Host"):
            parser.resume()


def test_whether_a_message_has_begun() -> None:
    parser = RequestParser(Requests())
    seen = []
    for piece in (PLAIN[:10], PLAIN[10:-2], PLAIN[-2:], CHUNKS + b"GET", b" / HTTP/1.1\r\nhost: x\r\n\r\n"):
        parser.feed(piece)
        seen.append(parser.mid_message)
    assert seen == [True, True, False, True, False]


def test_a_declined_upgrade_goes_on_with_requests() -> None:
    sink = Requests()
    parser = RequestParser(sink)
    parser.feed(UPGRADE + PLAIN[:9])
    parser.feed(PLAIN[9:])
    assert (len(sink.heads), parser.held, sink.held) == (1, PLAIN, len(PLAIN))
    parser.resume()
    assert [head.target for head in sink.heads] == [b"/ws", b"/a?b"]
    assert sink.events[-2:] == [("body", b"abc"), ("end",)]


def test_a_switch_nobody_asked_for_is_malformed() -> None:
    parser = ResponseParser()
    parser.expect(Responses(decline=True), False)
    with pytest.raises(Malformed):
        parser.feed(RESPONSES[11])
    bare = Responses()
    parser = ResponseParser()
    parser.expect(bare, False)
    with pytest.raises(Malformed):
        parser.feed(b"HTTP/1.1 101 Switching\r\n\r\n")
    assert bare.events == []


def test_a_connection_carries_one_response_after_another() -> None:
    parser = ResponseParser()
    for whole in (RESPONSES[0], RESPONSES[3], RESPONSES[7], RESPONSES[9], RESPONSES[0]):
        sink = Responses()
        parser.expect(sink, False)
        parser.feed(whole)
        assert sink.events[-1] == ("end",)
        assert parser.reusable


def test_the_close_ends_only_what_nothing_else_can_end() -> None:
    assert read_response([RESPONSES[4]])[0][-1][-1] is True
    assert read_response([RESPONSES[14]])[0][-1][-1] is False
    assert read_response([RESPONSES[15]])[0][-1][-1] is False


UPGRADE_ELSEWHERE = b"POST /x HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n"


@pytest.mark.parametrize(
    "whole",
    [
        UPGRADE_ELSEWHERE + b"content-length: 3\r\n\r\nabc" + PLAIN,
        UPGRADE_ELSEWHERE + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n" + PLAIN,
        UPGRADE_ELSEWHERE + b"content-length: 0\r\n\r\n" + PLAIN,
    ],
    ids=["length", "chunks", "empty"],
)
def test_the_body_of_a_request_to_upgrade_is_no_request(whole: bytes) -> None:
    """llhttp takes it for the other protocol. Were it parsed as a request, one could be smuggled in it."""
    events, malformed = read_requests([whole])
    assert not malformed
    assert [event[1] for event in events if event[0] in (b"POST", b"GET")] == [b"/x", b"/a?b"]
    assert events.count(("body", b"abc")) == (1 if b"length: 0" in whole else 2)
    for at in range(1, len(whole)):
        assert read_requests([whole[:at], whole[at:]]) == (events, False)


def test_many_requests_to_upgrade_in_one_read_do_not_nest() -> None:
    events, malformed = read_requests(
        [b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n" * 3000]
    )
    assert not malformed
    assert events.count(("end",)) == 3000


@pytest.mark.parametrize("name", [b"connection: close", b"Transfer-Encoding: chunked", b"upgrade: h2c"])
def test_a_trailer_that_llhttp_would_heed_is_refused(name: bytes) -> None:
    wire = b"PUT / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n" + name + b"\r\n\r\n"
    assert read_requests([wire])[1]
    assert read_requests([bytes([byte]) for byte in wire])[1]


def test_a_trailer_says_nothing_about_the_next_answer() -> None:
    wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nconnection: close\r\n\r\n"
    parser = ResponseParser()
    for _ in range(2):
        sink = Responses()
        parser.expect(sink, False)
        parser.feed(wire)
        assert parser.reusable
        assert sink.events[-1] == ("end",)


def test_what_comes_behind_an_answer_to_head_is_no_part_of_its_head() -> None:
    parser = ResponseParser()
    parser.expect(Responses(), True)
    parser.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nT: 1\r\n\r\n")
    assert parser.head is not None
    assert [field[0] for field in parser.head.fields] == [b"transfer-encoding"]


@pytest.mark.parametrize("upgrade", [b"", b"upgrade: h2c\r\n"])
def test_a_101_switches_to_websocket_or_is_malformed(upgrade: bytes) -> None:
    wire = b"HTTP/1.1 101 X\r\nconnection: upgrade\r\n" + upgrade + b"\r\n"
    assert read_response([wire])[1]
