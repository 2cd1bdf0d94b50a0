"""Copies: which leave, what of the request they get, how they are bounded; and the two halves of a pair."""

from router.dataplane.mirror import LATE
from router.patterns.plan import Copies, Plan
from tests.support.mirrored import OK, V1, V2, Mirrored
from tests.support.wires import leftovers


async def test_both_halves_have_one_key() -> None:
    mirrored = Mirrored()
    await mirrored.ask()
    await mirrored.answer("live")
    await mirrored.answer("shadow")
    assert mirrored.halves == [("primary", "v1", 200, ""), ("shadow", "v2", 200, "")]
    one, other = mirrored.recorder.captures
    assert one.exchange == other.exchange
    assert leftovers(mirrored.plane.engine) == []


async def test_the_budget_is_kept_and_what_it_drops_is_counted() -> None:
    mirrored = Mirrored(max_in_flight=1)
    for _ in range(3):
        await mirrored.ask()
        await mirrored.answer("live")
    await mirrored.ask(b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 101\r\n\r\n" + b"x" * 101)
    assert len(mirrored.sent_to("shadow")) == 1
    counts = mirrored.plane.engine.events.counts
    assert counts[("router_copies_dropped_total", "d", "v2", "max_in_flight")] == 2
    assert counts[("router_copies_dropped_total", "d", "v2", "body_too_large")] == 1


async def test_a_request_that_was_refused_at_once_is_not_copied() -> None:
    mirrored = Mirrored()
    mirrored.plane.engine.runtime.set_down(frozenset((V1,)))
    await mirrored.ask()
    assert b" 503 " in mirrored.wire.sent
    assert mirrored.sent_to("shadow") == []
    assert mirrored.halves == []


STREAMED = b"POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"
SIZED = b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nabc"


async def test_a_copy_gets_the_body_as_it_streams() -> None:
    mirrored = Mirrored()
    await mirrored.ask(STREAMED)
    shadow = mirrored.sent_to("shadow")[0]
    assert shadow.sent.endswith(b"\r\n\r\n3\r\nabc\r\n"), "it left before the request was whole"
    await mirrored.ask(b"2\r\nde\r\n0\r\n\r\n")
    assert shadow.sent.endswith(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    await mirrored.answer("shadow")
    await mirrored.answer("live")
    assert mirrored.halves == [("shadow", "v2", 200, ""), ("primary", "v1", 200, "")]
    request = mirrored.recorder.captures[1].request
    assert request is not None
    assert (request.message.body, request.message.truncated) == (b"abcde", False)
    assert len(mirrored.plane.endpoint(V2, "shadow")._idle) == 1, "the connection is good for another copy"


async def test_a_body_that_outgrows_the_limit_ends_its_copy_and_the_pair_says_so() -> None:
    mirrored = Mirrored()
    await mirrored.ask(STREAMED)
    await mirrored.ask(b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n")
    await mirrored.answer("live")
    assert mirrored.sent_to("shadow")[0].aborted
    assert mirrored.halves == [("shadow", "v2", 0, "body_too_large"), ("primary", "v1", 200, "")]
    assert leftovers(mirrored.plane.engine) == []


async def test_a_copy_of_a_request_whose_client_leaves_in_the_middle_ends_too() -> None:
    mirrored = Mirrored()
    await mirrored.ask(SIZED)
    mirrored.wire.lose()
    assert [half[3] for half in mirrored.halves] == ["client_gone", "client_gone"]
    assert mirrored.sent_to("shadow")[0].aborted
    assert leftovers(mirrored.plane.engine) == []


async def test_a_copy_of_a_whole_request_goes_on_when_the_client_leaves() -> None:
    mirrored = Mirrored()
    await mirrored.ask()
    mirrored.wire.lose()
    await mirrored.answer("shadow")
    assert mirrored.halves == [("primary", "v1", 0, "client_gone"), ("shadow", "v2", 200, "")]


async def test_what_the_taps_keep_is_bounded_for_the_worker_and_given_back() -> None:
    mirrored = Mirrored()
    tapped = mirrored.plane.engine.tapped
    tapped.left = left = 12
    streamed = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nans\r\n3\r\nwer\r\n0\r\n\r\n"
    await mirrored.ask(SIZED)
    await mirrored.ask(b"de")
    await mirrored.answer("live", streamed)
    await mirrored.answer("shadow", streamed)
    assert tapped.left == left
    primary, shadow = mirrored.recorder.captures
    assert primary.request is not None
    assert (primary.request.message.body, primary.request.message.truncated) == (b"abcde", False)
    kept = primary.answer.message
    assert (kept.body, kept.size, kept.truncated) == (b"an", 6, True), (
        "the request and its copy took the rest"
    )
    kept = shadow.answer.message
    assert (kept.body, kept.size, kept.truncated) == (b"answer", 6, False)
    assert mirrored.wire.sent.endswith(b"3\r\nans\r\n3\r\nwer\r\n0\r\n\r\n")
    await mirrored.ask(b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 13\r\n\r\n123")
    counts = mirrored.plane.engine.events.counts
    assert counts[("router_copies_dropped_total", "d", "v2", "memory")] == 1


async def test_a_whole_answer_is_kept_up_to_the_limit() -> None:
    mirrored = Mirrored()
    await mirrored.ask()
    long = b"HTTP/1.1 200 OK\r\ncontent-length: 150\r\n\r\n" + b"x" * 150
    await mirrored.answer("live", long)
    await mirrored.answer("shadow", long)
    kept = [capture.answer.message for capture in mirrored.recorder.captures]
    assert [(len(each.body), each.size, each.truncated) for each in kept] == [(100, 150, True)] * 2


async def test_no_copy_leaves_while_live_work_waits() -> None:
    mirrored = Mirrored()
    mirrored.plane.engine.wheel.late = 2 * LATE
    await mirrored.ask()
    await mirrored.answer("live")
    assert mirrored.sent_to("shadow") == []
    assert mirrored.plane.engine.events.counts[("router_copies_dropped_total", "d", "v2", "live_busy")] == 1
    assert mirrored.halves == []


async def test_the_version_itself_gets_a_copy_for_the_noise() -> None:
    copies = Copies(10_000, {"v1": ("v2",)}, 5.0, 8, 100, noise=10_000)
    mirrored = Mirrored(Plan("v1", copies=copies, cohort=7))
    await mirrored.ask()
    await mirrored.answer("live")
    labels = {wire.sent.partition(b"x-router-shadow: ")[2][:2] for wire in mirrored.sent_to("shadow")}
    assert labels == {b"v1", b"v2"}
    for wire in mirrored.sent_to("shadow"):
        wire.protocol.data_received(OK)
    assert mirrored.recorder.captures[0].copies == ("v2", "v1")
    assert {capture.cohort for capture in mirrored.recorder.captures} == {7}
    assert sorted(half[:2] for half in mirrored.halves) == [
        ("primary", "v1"),
        ("shadow", "v1"),
        ("shadow", "v2"),
    ]


async def test_a_candidate_that_fails_at_once_still_makes_a_pair() -> None:
    copies = Copies(10_000, {"v2": ("v1",), "v1": ("v2",)}, 5.0, 8, 100)
    mirrored = Mirrored(Plan("v1", "v2", 10_000, fallback="v1", copies=copies))
    mirrored.plane.endpoint(V2).down = True
    await mirrored.ask()
    await mirrored.answer("shadow")
    await mirrored.answer("live")
    assert mirrored.halves == [("primary", "v2", 0, "no_endpoint"), ("shadow", "v1", 200, "")]
    assert mirrored.wire.sent.endswith(b"ok")
    assert leftovers(mirrored.plane.engine) == []
