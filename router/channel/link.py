"""How frames travel: encoded, cut out of a byte stream again, and sent over a socket."""

import asyncio
from collections.abc import Callable
from typing import cast

import msgspec

from router.channel.frame import Frame
from router.channel.recording import Capture, Erase, Erasing, Half, RecorderSettings, RecorderTally, Taken
from router.channel.workers import (
    Applied,
    Certificates,
    Drain,
    Ended,
    EndpointsDown,
    LogLevel,
    Orphan,
    Publish,
    Start,
    Tally,
)

MAX_FRAME = 256 << 20
"""Bytes; what claims to be longer is no frame."""

_HEADER = 4

AnyFrame = (
    Start | Certificates | Publish | Applied | EndpointsDown | Drain | Tally | Ended | Orphan | Capture | Half
    | Taken | RecorderSettings | RecorderTally | Erase | Erasing | LogLevel
)  # fmt: skip

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AnyFrame)


def encode(frame: Frame) -> bytes:
    """The frame with its length in front."""
    body = _encoder.encode(frame)
    return len(body).to_bytes(_HEADER, "big") + body


def _decode(data: memoryview) -> Frame:
    try:
        return cast(Frame, _decoder.decode(data))
    except RecursionError:
        raise ValueError("a frame is nested too deeply") from None


class FrameReader:
    """Cuts a byte stream into frames. Holds at most one incomplete frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """All frames that are complete now. Raises ValueError on an oversized or malformed one."""
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        start = 0
        while len(buffer) - start >= _HEADER:
            length = int.from_bytes(buffer[start : start + _HEADER], "big")
            if length > MAX_FRAME:
                raise ValueError(f"a frame of {length} bytes is over the limit of {MAX_FRAME}")
            end = start + _HEADER + length
            if len(buffer) < end:
                break
            with memoryview(buffer) as view:
                frames.append(_decode(view[start + _HEADER : end]))
            start = end
        del buffer[:start]
        return frames


class Link(asyncio.Protocol):
    """One end of a channel: calls `on_frame` for each frame and `on_lost` once when the other end is gone.

    A malformed frame closes the link: the two ends no longer understand each other.
    """

    def __init__(self, on_frame: Callable[["Link", Frame], None], on_lost: Callable[["Link"], None]) -> None:
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # With nothing to wait for, uvloop writes at once and not at the end of its turn: a rollback is on its way
        # before the journal, or a turn full of clients, takes the time.
        self._transport.set_write_buffer_limits(0)

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._reader.feed(data)
        except ValueError:
            self.close()
            return
        for frame in frames:
            self._on_frame(self, frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_lost(self)

    @property
    def connected(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def backlog(self) -> int:
        """Bytes sent that the other end has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send(self, frame: Frame) -> None:
        """Hands the frame to the transport; silently nothing when the link is down (`connected` tells)."""
        self.write(encode(frame))

    def write(self, data: bytes) -> None:
        """`send` for frames that are encoded already."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
