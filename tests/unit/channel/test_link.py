"""Frames survive every way a stream may cut them; garbage ends the conversation, not the process."""

import asyncio
import socket
from typing import get_args

import msgspec
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from router.channel import (
    MAX_FRAME,
    AnyFrame,
    Applied,
    Capture,
    CapturedAnswer,
    CapturedRequest,
    Certificates,
    Drain,
    Ended,
    EndpointsDown,
    Erase,
    Erasing,
    FieldTally,
    Frame,
    FrameReader,
    Histogram,
    Link,
    Listener,
    LogLevel,
    Message,
    Orphan,
    PairDetail,
    PairTally,
    Publish,
    RecorderSettings,
    RecorderTally,
    ScoreSums,
    SeriesTally,
    Start,
    Taken,
    Tally,
    ValueSums,
    encode,
)
from tests.support.captures import half

LISTENERS = (Listener(7, "127.0.0.1:80"), Listener(8, "[::1]:443", "cert.pem", "key.pem"))

MESSAGE = Message(((b"A", b"\xff\x00"), (b"A", b"2")), b"\x00body\xff", 900, True)
FRAMES: list[Frame] = [
    Start(3, LISTENERS, "recorder.sock", "worker-3.sock", "worker-3.counts"),
    Certificates({"0.0.0.0:443": ("cert.pem", "key.pem")}),
    Publish(2**40, b"\x00" * 300),
    Applied(1),
    EndpointsDown(("http://a", "http://b")),
    Drain(1.5, True),
    Tally(
        (SeriesTally("d", "v", "live", {200: 1}, Histogram({3: 1}, 0.5), Histogram({}, 0.0), 2),),
        ((("router_retries_total", "d", "v"), 3),),
        ("http://a",),
    ),
    Ended(Tally((), ((("router_retries_total", "d", "v"), 3),)), ("worker-0-ab",)),
    Orphan(71, 0, 9, LISTENERS),
    Capture(
        "x1", "primary", "id", 1.5, "d", 4, CapturedAnswer("v", "http://a", 200, MESSAGE, 1.0, 0.5, ""),
        CapturedRequest(b"POST", b"/a?b", MESSAGE), ("v2",),
    ),
    Taken(3),
    half("x"),
    RecorderSettings("pairs", 1 << 20, 3600.0, 1e6, {"d": b"{}"}),
    RecorderTally(
        (PairTally("d", "v1", "v2", {"match": 3}, {"/x": 1}, 2, "r=n", ScoreSums(1, 0.5, 0.25, (0.1,), (0.2,))),),
        ((("d", "full"), 2),),
        (PairDetail("d", "v1", "v2", {"/x": FieldTally(1, ("id",), 1.0, 2.0)}, {"a -> b": 1},
                    ValueSums(1, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0, {3: 1})),),
    ),
    Erase(1, "d", "alice"),
    LogLevel("debug"),
    Erasing(1, 5, 10, finished=True),
]  # fmt: skip


def test_every_kind_of_frame_is_tried() -> None:
    assert {type(frame) for frame in FRAMES} == set(get_args(AnyFrame))


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
def test_a_frame_survives_every_split(frame: Frame) -> None:
    data = encode(frame)
    for cut in range(len(data) + 1):
        reader = FrameReader()
        assert reader.feed(data[:cut]) + reader.feed(data[cut:]) == [frame]


@given(st.lists(st.sampled_from(FRAMES), max_size=6), st.data())
def test_a_stream_of_frames_survives_any_cutting(frames: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(encode(frame) for frame in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader, found = FrameReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.feed(stream[start:end])
    assert found == frames


def test_an_oversized_frame_is_refused_before_it_is_read() -> None:
    with pytest.raises(ValueError, match="over the limit"):
        FrameReader().feed((MAX_FRAME + 1).to_bytes(4, "big"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode({"type": "Nonsense"}),
        msgspec.msgpack.encode({"type": "Applied", "generation": "one"}),
        msgspec.msgpack.encode({"type": "Applied"}),
        msgspec.msgpack.encode([1, 2]),
        msgspec.msgpack.encode({"type": "Applied", "generation": 1}) + b"\x00",
    ],
)
def test_garbage_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        FrameReader().feed(len(body).to_bytes(4, "big") + body)


@given(st.binary(max_size=200))
def test_no_bytes_whatever_raise_anything_but_value_error(data: bytes) -> None:
    try:
        frames = FrameReader().feed(data)
    except ValueError:
        return
    assert all(isinstance(frame, Frame) for frame in frames)


class End:
    """One end of a link, and what it saw."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()
        self.lost = asyncio.Event()
        self.losses = 0
        self.link = Link(lambda _, frame: self.frames.put_nowait(frame), self._on_lost)

    def _on_lost(self, _: Link) -> None:
        self.losses += 1
        self.lost.set()

    async def attach(self, sock: socket.socket) -> "End":
        await asyncio.get_running_loop().create_unix_connection(lambda: self.link, sock=sock)
        return self


async def both_ends() -> tuple[End, End]:
    one, other = socket.socketpair()
    return await End().attach(one), await End().attach(other)


async def test_a_link_carries_frames_both_ways_in_order() -> None:
    one, other = await both_ends()
    for frame in FRAMES:
        one.link.send(frame)
    other.link.send(Applied(5))
    assert [await asyncio.wait_for(other.frames.get(), 5) for _ in FRAMES] == FRAMES
    assert await asyncio.wait_for(one.frames.get(), 5) == Applied(5)
    assert one.link.connected
    assert one.link.backlog == 0
    one.link.close()
    await asyncio.wait_for(other.lost.wait(), 5)


async def test_both_ends_learn_once_that_a_link_is_lost() -> None:
    one, other = await both_ends()
    one.link.close()
    assert not one.link.connected
    one.link.send(Applied(1))
    await asyncio.wait_for(asyncio.gather(one.lost.wait(), other.lost.wait()), 5)
    other.link.send(Applied(1))
    other.link.close()
    assert (one.losses, other.losses, other.link.connected) == (1, 1, False)
    assert other.frames.empty()
    assert one.link.backlog == 0


async def test_a_malformed_frame_closes_the_link() -> None:
    ours, theirs = socket.socketpair()
    end = await End().attach(ours)
    with theirs:
        theirs.sendall(encode(Applied(1)) + b"\x00\x00\x00\x01\xc1")
        await asyncio.wait_for(end.lost.wait(), 5)
    assert not end.link.connected


async def test_what_the_other_end_does_not_take_is_counted() -> None:
    ours, theirs = socket.socketpair()
    end = await End().attach(ours)
    with theirs:
        end.link.send(Publish(1, bytes(4 << 20)))
        assert end.link.backlog > 0
        end.link.close()


def test_a_frame_leaves_at_once() -> None:
    async def received() -> bytes:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.setblocking(False)
            end = await End().attach(ours)
            end.link.send(Applied(1))
            data = theirs.recv(100)  # before the loop has another turn
            end.link.close()
            return data

    assert uvloop.run(received()) == encode(Applied(1))


def test_a_frame_that_is_nested_too_deeply_is_malformed() -> None:
    body = b"\x82\xa4type\xa5Taken\xa1x" + b"\x91" * 100_000 + b"\xc0"
    with pytest.raises(ValueError, match="nested"):
        FrameReader().feed(len(body).to_bytes(4, "big") + body)
