"""Upgraded connections: bytes in both directions, each side paused while the other can't take more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

WRITE_BUFFER = 64 << 10
FLUSH = 30.0
"""Seconds in which a side takes what was written before the other one ended; then it is cut off."""


class Tunnel:
    """Two transports joined. Ends as a whole when either side ends, after what was read has been written."""

    __slots__ = ("_on_closed", "_sides")

    def __init__(self, on_closed: Callable[[], None]) -> None:
        self._on_closed: Callable[[], None] | None = on_closed
        self._sides: tuple[_Side, ...] = ()

    def close(self) -> None:
        for side in self._sides:
            side.transport.close()

    def side_lost(self) -> None:
        self.close()
        loop = asyncio.get_running_loop()
        for side in self._sides:
            loop.call_later(FLUSH, side.transport.abort)
        on_closed, self._on_closed = self._on_closed, None
        if on_closed is not None:
            on_closed()


class _Side(asyncio.Protocol):
    __slots__ = ("_other", "_tunnel", "transport")

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport, other: asyncio.Transport) -> None:
        self._tunnel = tunnel
        self._other = other
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._other.write(data)

    def pause_writing(self) -> None:
        if not self._other.is_closing():
            self._other.pause_reading()

    def resume_writing(self) -> None:
        if not self._other.is_closing():
            self._other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tunnel.side_lost()


def join(
    client: asyncio.Transport,
    upstream: asyncio.Transport,
    from_client: bytes,
    from_upstream: bytes,
    on_closed: Callable[[], None],
) -> Tunnel:
    """Joins two transports, beginning with what was already read from each; `on_closed` is called once."""
    tunnel = Tunnel(on_closed)
    sides = (_Side(tunnel, client, upstream), _Side(tunnel, upstream, client))
    tunnel._sides = sides
    for side in sides:
        side.transport.set_protocol(cast(asyncio.BaseProtocol, side))
        side.transport.set_write_buffer_limits(WRITE_BUFFER)
        side.transport.resume_reading()
    for side in sides:
        if side.transport.get_write_buffer_size() > WRITE_BUFFER:
            side.pause_writing()  # it was told to the protocol before this one
    if from_client:
        upstream.write(from_client)
    if from_upstream:
        client.write(from_upstream)
    return tunnel
