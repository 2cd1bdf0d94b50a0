"""Copies: sent once, within their budget, counted whatever becomes of them, and never in the way."""

from typing import cast

import pytest

from router.channel import Capture
from router.dataplane.capture import RecorderLink
from router.patterns.plan import Copies, Plan
from tests.support.wires import DataPlane, Wire, leftovers, settle
from tests.support.workers import deployment

V1, V2 = "http://192.0.2.1:1", "http://192.0.2.2:2"
GET = b"GET /x HTTP/1.1\r\nhost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Recorder:
    def __init__(self) -> None:
        self.captures: list[Capture] = []

    def send(self, capture: Capture) -> None:
        self.captures.append(capture)


class Mirrored:
    """One client of a deployment whose requests are all copied to v2."""

    def __init__(self, plan: Plan | None = None, *, max_in_flight: int = 8) -> None:
        self.copies = Copies(10_000, {"v1": ("v2",), "v2": ("v1",)}, 5.0, max_in_flight, 100)
        self.plane = DataPlane(deployment({"v1": V1, "v2": V2}, plan or Plan("v1", copies=self.copies)))
        self.recorder = Recorder()
        self.plane.engine.recorder = cast(RecorderLink, self.recorder)
        self.client, self.wire = self.plane.client()

    async def ask(self, data: bytes = GET) -> None:
        self.client.data_received(data)
        await settle()

    def sent_to(self, role: str) -> list[Wire]:
        shadow = role == "shadow"
        return [
            wire for wire in self.plane.wires if wire.sent and (b"x-router-shadow" in wire.sent) is shadow
        ]

    async def answer(self, role: str, data: bytes = OK) -> None:
        self.sent_to(role)[-1].protocol.data_received(data)
        await settle()

    @property
    def halves(self) -> list[tuple[str, str, int, str]]:
        return [
            (each.role, each.answer.version, each.answer.status, each.answer.error)
            for each in self.recorder.captures
        ]


async def test_both_halves_have_one_key() -> None:
    mirrored = Mirrored()
    await mirrored.ask()
    await mirrored.answer("live")
    await mirrored.answer("shadow")
    assert mirrored.halves == [("primary", "v1", 200, ""), ("shadow", "v2", 200, "")]
    one, other = mirrored.recorder.captures
    assert one.exchange == other.exchange
    assert leftovers(mirrored.plane.engine) == []


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


async def test_a_chunked_request_is_copied_as_one_chunk() -> None:
    mirrored = Mirrored()
    await mirrored.ask(b"POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
    await mirrored.ask(b"2\r\nde\r\n0\r\n\r\n")
    assert mirrored.sent_to("shadow")[0].sent.endswith(b"\r\n\r\n5\r\nabcde\r\n0\r\n\r\n")
