"""Both ends of server-sent events: a model server that streams tokens, and clients that read them.

    python -m bench.streams serve PORT
    python -m bench.streams load PORT PATH STREAMS

The server answers `GET <path>/<every>` with a stream that gets an event every so many ms, spread evenly over time; with
0, only a first one. No stream gets more than that before all are open, which is when no new one has come for half a
second: those that are open would slow down the opening of the others. An event is 160 bytes in a chunk of its own, as
language model servers send them.
"""

import asyncio
import sys
import threading
from contextlib import suppress
from typing import cast

import uvloop

from bench.counting import tell

EVENT = b'data: {"id":"c1","object":"chunk","choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}]}'
EVENT = EVENT.ljust(158) + b"\n\n"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)

TICK = 0.01
"""Seconds between two looks at who is due."""

QUIET = 0.5
"""Seconds without a new stream until events flow."""

_OPENING = 64
"""Streams that the load opens at once."""


class Streaming(asyncio.Protocol):
    """One stream of the server."""

    def __init__(self, beat: "Beat") -> None:
        self._beat = beat

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        every = int(data.split(b" ", 2)[1].rpartition(b"/")[2] or 0) if data.startswith(b"GET") else 0
        self._transport.write(HEAD + CHUNK)
        if data.startswith(b"GET"):
            self._beat.add(self._transport, every)
        else:
            self._transport.write(b"0\r\n\r\n")  # a question whether we are there: a short stream

    def connection_lost(self, exc: Exception | None) -> None:
        self._beat.drop(self._transport)


class Beat:
    """Writes to every stream when it is due; streams with the same interval are spread over it."""

    def __init__(self) -> None:
        self._slots: dict[int, list[set[asyncio.Transport]]] = {}
        self._added = 0
        self._flows_from = 0.0

    def add(self, transport: asyncio.Transport, every: int) -> None:
        """An event every so many ms from now on; 0: none."""
        if every:
            slots = self._slots.setdefault(every, [set() for _ in range(max(1, round(every / 1e3 / TICK)))])
            slots[self._added % len(slots)].add(transport)
            self._added += 1
            self._flows_from = asyncio.get_running_loop().time() + QUIET

    def drop(self, transport: asyncio.Transport) -> None:
        """Its client has gone."""
        for slots in self._slots.values():
            for slot in slots:
                slot.discard(transport)

    def _write(self, tick: int) -> None:
        for slots in self._slots.values():
            for transport in slots[tick % len(slots)]:
                transport.write(CHUNK)

    async def run(self) -> None:
        """Until cancelled. A tick that comes late is made up for."""
        loop = asyncio.get_running_loop()
        ticks, began = 0, loop.time()
        while True:
            if loop.time() >= self._flows_from:
                self._write(ticks)
            ticks += 1
            await asyncio.sleep(max(0.0, began + ticks * TICK - loop.time()))


async def serve(port: int) -> None:
    """Until killed."""
    beat = Beat()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Streaming(beat), "127.0.0.1", port, backlog=4096)
    async with server:
        await beat.run()


class Reader(asyncio.Protocol):
    """One stream of the load."""

    def __init__(self, readers: "Readers", request: bytes) -> None:
        self._readers = readers
        self._request = request
        self.first = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        events = data.count(b"\n\n")
        self._readers.events += events
        if events and not self.first.done():
            self.first.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._readers.broken += 1


class Readers:
    """All streams of the load, and what they have seen."""

    def __init__(self) -> None:
        self.open = 0
        self.events = 0
        self.broken = 0

    def counts(self) -> dict[str, float]:
        """Streams that got their first event, events, and streams that ended."""
        return {"open": self.open, "events": self.events, "broken": self.broken}

    async def run(self, port: int, path: str, streams: int) -> None:
        """Opens them, and reads until cancelled."""
        request = f"GET {path} HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\n\r\n".encode()
        gate = asyncio.Semaphore(_OPENING)

        async def one() -> None:
            async with gate:
                loop = asyncio.get_running_loop()
                with suppress(OSError, TimeoutError):
                    _, reader = await loop.create_connection(lambda: Reader(self, request), "127.0.0.1", port)
                    await asyncio.wait_for(reader.first, 20)
                    self.open += 1

        await asyncio.gather(*(one() for _ in range(streams)))
        await asyncio.Event().wait()


def main() -> None:
    """Entry point of `python -m bench.streams`."""
    if sys.argv[1] == "serve":
        uvloop.run(serve(int(sys.argv[2])))
    readers = Readers()
    threading.Thread(target=tell, args=(readers.counts,), daemon=True).start()
    uvloop.run(readers.run(int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))


if __name__ == "__main__":
    main()
