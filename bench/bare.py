"""The fixed yardstick: the least an asyncio proxy can do. It decides nothing, checks nothing and counts nothing.

    python -m bench.bare PORT UPSTREAM

Two protocols pass whole messages of known length from one side to the other over kept-alive connections. It stays as it
is: the regression guard (`bench.guard`) and docs/performance.md express our cost in multiples of it.
"""

import asyncio
import sys
from typing import cast

import uvloop


def complete(buffer: bytes) -> int:
    """Bytes of the first message in the buffer, 0 while it is not all there."""
    end = buffer.find(b"\r\n\r\n") + 4
    if end < 4:
        return 0
    at = buffer.lower().find(b"content-length:", 0, end)
    size = end + int(buffer[at + 15 : buffer.index(b"\r\n", at)]) if at >= 0 else end
    return size if len(buffer) >= size else 0


class Client(asyncio.Protocol):
    """A client's connection: one request at a time."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._buffer = b""
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._forward()

    def answered(self, message: bytes) -> None:
        """The answer to the request in flight; the client may have gone."""
        if not self._transport.is_closing():
            self._transport.write(message)
        self._busy = False
        if self._buffer:
            self._forward()

    def _forward(self) -> None:
        size = 0 if self._busy else complete(self._buffer)
        if size:
            message, self._buffer = self._buffer[:size], self._buffer[size:]
            self._busy = True
            self._pool.ask(message, self)


class Model(asyncio.Protocol):
    """A connection to the upstream, back in the pool once its answer is whole."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, message: bytes, client: Client) -> None:
        """Sends a request for this client."""
        self._client = client
        self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if complete(self._buffer):
            message, self._buffer = self._buffer, b""
            self._pool.idle.append(self)
            self._client.answered(message)


class Pool:
    """Idle connections, the last one first."""

    def __init__(self, port: int) -> None:
        self.idle: list[Model] = []
        self._port = port
        self._opening: set[asyncio.Task[None]] = set()

    def ask(self, message: bytes, client: Client) -> None:
        """Sends it on an idle connection, or on a new one."""
        if self.idle:
            self.idle.pop().ask(message, client)
        else:
            task = asyncio.get_running_loop().create_task(self._open(message, client))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, message: bytes, client: Client) -> None:
        loop = asyncio.get_running_loop()
        _, model = await loop.create_connection(lambda: Model(self), "127.0.0.1", self._port)
        model.ask(message, client)


async def serve(port: int, upstream: int) -> None:
    """Until killed."""
    pool = Pool(upstream)
    server = await asyncio.get_running_loop().create_server(lambda: Client(pool), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
