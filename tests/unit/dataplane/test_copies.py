"""One copy: sent once, over in time, recorded and counted whatever becomes of it."""

import pytest

from router.patterns.plan import Plan
from tests.support.mirrored import GET, V1, V2, Mirrored
from tests.support.wires import leftovers, settle
from tests.support.workers import deployment


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"nonsense\r\n\r\n", "bad_upstream_answer"),
        (b"HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", "bad_upstream_answer"),
        (b"", "upstream_reset"),
        (None, "timeout"),
    ],
)
async def test_a_copy_that_fails_is_recorded_and_counted_once(answer: bytes | None, error: str) -> None:
    mirrored = Mirrored()
    await mirrored.ask()
    await mirrored.answer("live")
    shadow = mirrored.sent_to("shadow")[0]
    if answer:
        await mirrored.answer("shadow", answer)
    elif answer is None:
        shadow.protocol.on_deadline(shadow.protocol.deadline)
    shadow.lose()
    assert [half[3] for half in mirrored.halves] == ["", error]
    assert sum(mirrored.plane.codes("v2", "shadow").values()) == 1
    assert mirrored.wire.sent.endswith(b"ok")
    assert leftovers(mirrored.plane.engine) == []


async def test_a_copy_that_gets_no_connection_in_time_is_withdrawn() -> None:
    mirrored = Mirrored()
    await mirrored.ask()
    await mirrored.answer("live")
    mirrored.plane.loop.stall = True
    await mirrored.ask()
    endpoint = mirrored.plane.endpoint(V2, "shadow")
    assert len(endpoint._waiters) == 1
    copy = endpoint._waiters[0]
    copy.on_deadline(mirrored.plane.engine.time)  # type: ignore[attr-defined]
    assert len(endpoint._waiters) == 0
    assert mirrored.halves[-1] == ("shadow", "v2", 0, "timeout")


async def test_copies_that_waited_are_withdrawn_by_a_new_plan() -> None:
    mirrored = Mirrored()
    mirrored.client.data_received(GET)
    mirrored.plane.publish(deployment({"v1": V1, "v2": V2}, Plan("v1")))
    await settle()
    await mirrored.answer("live")
    assert mirrored.sent_to("shadow") == []
    assert ("shadow", "v2", 0, "withdrawn") in mirrored.halves
    assert leftovers(mirrored.plane.engine) == []


async def test_an_answer_that_breaks_off_counts_as_a_failure() -> None:
    mirrored = Mirrored()
    await mirrored.ask()
    await mirrored.answer("shadow", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
    mirrored.sent_to("shadow")[0].lose()
    assert mirrored.plane.codes("v2", "shadow") == {502: 1}
    await mirrored.answer("live")
    assert mirrored.halves == [("shadow", "v2", 200, "upstream_reset"), ("primary", "v1", 200, "")]


async def test_an_answer_before_the_request_is_whole_ends_the_copy_and_its_connection() -> None:
    mirrored = Mirrored()
    await mirrored.ask(b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nabc")
    await mirrored.answer("shadow", b"HTTP/1.1 413 L\r\ncontent-length: 0\r\n\r\n")
    assert mirrored.halves == [("shadow", "v2", 413, "")]
    assert mirrored.sent_to("shadow")[0].aborted
    await mirrored.ask(b"de")
    await mirrored.answer("live")
    assert [half[0] for half in mirrored.halves] == ["shadow", "primary"]
    assert leftovers(mirrored.plane.engine) == []


@pytest.mark.parametrize(
    ("framing", "size"),
    [(b"content-length: 500\r\n\r\n", 500), (b"transfer-encoding: chunked\r\n\r\nc8\r\n", 200)],
)
async def test_an_answer_that_is_too_large_is_not_read_to_its_end(framing: bytes, size: int) -> None:
    mirrored = Mirrored()
    await mirrored.ask()
    await mirrored.answer("shadow", b"HTTP/1.1 200 OK\r\n" + framing + b"x" * 200)
    assert mirrored.halves == [("shadow", "v2", 200, "body_too_large")]
    kept = mirrored.recorder.captures[0].answer.message
    assert (kept.body, kept.size, kept.truncated) == (b"x" * 100, size, True)
    assert mirrored.sent_to("shadow")[0].aborted
    assert mirrored.plane.codes("v2", "shadow") == {200: 1}
    await mirrored.answer("live")
    assert leftovers(mirrored.plane.engine) == []
