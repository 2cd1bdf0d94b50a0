"""Taps are bounded; halves of pairs are handed over, or dropped and counted, and never waited for."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from router.channel import Frame, Half, Link, Taken, encode
from router.dataplane import capture
from router.dataplane.capture import RecorderLink, Tap, Tapped
from router.telemetry.events import EventCounter
from tests.support.captures import half
from tests.support.workers import until


@given(st.lists(st.binary(min_size=1, max_size=20)), st.integers(0, 50))
def test_a_tap_keeps_the_beginning_and_counts_all(pieces: list[bytes], limit: int) -> None:
    tap = Tap(limit, Tapped())
    for piece in pieces:
        tap.add(piece)
    whole = b"".join(pieces)
    assert (tap.body, tap.size, tap.whole) == (whole[:limit], len(whole), len(whole) <= limit)


class Recorder:
    """A recorder; `takes`: it says of each half that it has taken it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.captures: list[Half] = []
        self.takes = False
        self.links: list[Link] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._accept, self.path)

    def _accept(self) -> Link:
        link = Link(self._on_frame, lambda _: None)
        self.links.append(link)
        return link

    def _on_frame(self, link: Link, frame: Frame) -> None:
        assert isinstance(frame, Half)
        self.captures.append(frame)
        if self.takes:
            link.send(Taken(1))

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for link in self.links:
            link.close()


@pytest_asyncio.fixture
async def recorder(tmp_path: Path) -> AsyncIterator[Recorder]:
    recorder = Recorder(str(tmp_path / "r"))
    yield recorder
    recorder.stop()


def dropped(events: EventCounter, reason: str) -> int:
    return events.counts.get(("router_captures_dropped_total", "loan", reason), 0)


async def test_what_comes_while_the_recorder_is_away_waits_for_it(recorder: Recorder) -> None:
    events = EventCounter()
    link = RecorderLink(recorder.path, asyncio.get_running_loop(), events)
    link.start()
    for number in range(3):
        link.send(half(f"early-{number}"))
    for round_number in range(2):  # the second one after a crash
        Path(recorder.path).unlink(missing_ok=True)
        await recorder.start()
        await until(lambda: link._link is not None, what="connected")
        link.send(half(f"then-{round_number}"))
        await until(lambda: len(recorder.captures) == round_number + 4, what="the half recorded")  # noqa: B023
        recorder.links[-1].send(Taken(len(link._untaken)))
        await until(lambda: not link._untaken, what="all taken")
        recorder.stop()
        await until(lambda: link._link is None, what="the loss noticed")
    await link.close()
    names = [each.exchange.decode() for each in recorder.captures]
    assert names == ["early-0", "early-1", "early-2", "then-0", "then-1"]
    assert events.counts == {}


async def test_what_waits_is_bounded_and_counted(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "WAITING_LIMIT", 100_000)
    monkeypatch.setattr(capture, "BATCH_BYTES", 100_000)
    monkeypatch.setattr(capture, "CLOSE_LIMIT", 0.05)
    events = EventCounter()
    link = RecorderLink(recorder.path, asyncio.get_running_loop(), events)
    link.start()
    for _ in range(10):
        link.send(half("big", b"x" * 30_000))
    assert dropped(events, "recorder_down") == 7
    await link.close()
    assert dropped(events, "recorder_down") == 10


async def test_a_recorder_that_does_not_read_costs_halves_but_never_holds_up(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "RECORDER_BACKLOG", 100_000)
    monkeypatch.setattr(capture, "CLOSE_LIMIT", 0.1)
    await recorder.start()
    events = EventCounter()
    link = RecorderLink(recorder.path, asyncio.get_running_loop(), events)
    link.start()
    await until(lambda: recorder.links and recorder.links[0].connected, what="connected")
    transport = recorder.links[0]._transport
    assert transport is not None
    transport.pause_reading()
    for _ in range(100):
        link.send(half("big", b"x" * 50_000))
    assert dropped(events, "recorder_slow") > 50
    async with asyncio.timeout(2):
        await link.close()


async def test_what_a_recorder_that_dies_has_not_taken_is_the_next_ones(recorder: Recorder) -> None:
    await recorder.start()
    events = EventCounter()
    link = RecorderLink(recorder.path, asyncio.get_running_loop(), events)
    link.start()
    await until(lambda: link._link is not None, what="connected")
    for number in range(5):
        link.send(half(f"half-{number}"))
    await until(lambda: len(recorder.captures) == 5, what="all at the recorder")
    recorder.links[0].send(Taken(2))
    recorder.links[0].send(Taken(1))
    recorder.stop()
    await until(lambda: link._link is None, what="the loss noticed")
    link.send(half("half-5"))
    recorder.takes = True
    Path(recorder.path).unlink(missing_ok=True)
    await recorder.start()
    await until(lambda: len(recorder.captures) == 8, what="the rest at the next recorder")
    assert [each.exchange for each in recorder.captures[5:]] == [b"half-3", b"half-4", b"half-5"]
    await link.close()
    assert events.counts == {}


async def test_what_kills_one_recorder_after_the_other_is_given_up_and_counted(recorder: Recorder) -> None:
    events = EventCounter()
    link = RecorderLink(recorder.path, asyncio.get_running_loop(), events)
    link.start()
    link.send(half("poison"))
    for turn in range(capture.FRUITLESS + 1):
        assert dropped(events, "recorder_died") == 0
        Path(recorder.path).unlink(missing_ok=True)
        await recorder.start()
        await until(lambda: len(recorder.captures) == turn + 1, what="another attempt")  # noqa: B023
        recorder.stop()
        await until(lambda: link._link is None, what="the loss noticed")
    assert dropped(events, "recorder_died") == 1
    await link.close()


async def test_closing_sends_what_waits(recorder: Recorder) -> None:
    await recorder.start()
    link = RecorderLink(recorder.path, asyncio.get_running_loop(), EventCounter())
    link.start()
    await until(lambda: link._link is not None, what="connected")
    for _ in range(20):
        link.send(half("big", b"x" * 50_000))
    recorder.takes = True
    await link.close()
    await until(lambda: len(recorder.captures) == 20, what="all recorded")


async def test_closing_waits_until_all_is_taken(recorder: Recorder) -> None:
    """A recorder that has what was sent and dies before it says so has lost it."""
    await recorder.start()
    events = EventCounter()
    link = RecorderLink(recorder.path, asyncio.get_running_loop(), events)
    link.start()
    await until(lambda: link._link is not None, what="connected")
    for _ in range(3):
        link.send(half("last"))
    closing = asyncio.create_task(link.close())
    await until(lambda: len(recorder.captures) == 3, what="all at the recorder")
    recorder.links[0].send(Taken(2))
    await until(lambda: len(link._untaken) == 1, what="two taken")
    assert not closing.done()
    recorder.links[0].send(Taken(1))
    await closing
    assert events.counts == {}


async def test_what_was_sent_goes_to_the_next_recorder_before_what_waits(recorder: Recorder) -> None:
    await recorder.start()
    link = RecorderLink(recorder.path, asyncio.get_running_loop(), EventCounter())
    link.start()
    await until(lambda: link._link is not None, what="connected")
    link.send(half("sent"))
    await until(lambda: len(recorder.captures) == 1, what="the first one sent")
    lost = link._link
    assert lost is not None
    link.send(half("waits"))
    link._on_lost(lost)
    assert [data for _, data in link._waiting] == [encode(half("sent")), encode(half("waits"))]
    recorder.takes = True
    await link.close()
    lost.close()
