"""The raw upstream of the benchmark: answers every request at once with the same few bytes.

    python -m bench.upstream PORT

It only looks for the end of a head and skips a body of known length, so that it is never what is measured.
"""

import asyncio
import sys
from typing import cast

import uvloop

BODY = b'{"model_name":"loan","outputs":[{"name":"approved","datatype":"FP32","shape":[1],"data":[0.8731]}]}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)


class RawModel(asyncio.Protocol):
    """Answers each request once its head and body are in."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer = buffer = self._buffer + data if self._buffer else data
        answers = 0
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            at = buffer.lower().find(b"content-length:", 0, end)
            length = int(buffer[at + 15 : buffer.index(b"\r\n", at)]) if at >= 0 else 0
            if len(buffer) < end + 4 + length:
                break
            buffer = buffer[end + 4 + length :]
            answers += 1
        self._buffer = buffer
        if answers:
            self._transport.write(ANSWER * answers)


async def serve(port: int) -> None:
    """Until killed."""
    server = await asyncio.get_running_loop().create_server(RawModel, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
