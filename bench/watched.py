"""The raw upstream, remembering when it was last asked: what a candidate still gets after a rollback.

    python -m bench.watched PORT

`GET /last` answers the monotonic time, in seconds, of the last other request (0 for none); the clock is the same for
all processes of a machine.
"""

import asyncio
import sys
from time import monotonic

import uvloop

from bench.upstream import RawModel


class Last:
    """When any connection was last asked."""

    at = 0.0


class WatchedModel(RawModel):
    """Notes the time of what comes, and tells it."""

    def __init__(self, last: Last) -> None:
        self._last = last

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET /last "):
            text = b"%.6f" % self._last.at
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text))
        else:
            self._last.at = monotonic()
            super().data_received(data)


async def serve(port: int) -> None:
    """Until killed."""
    last = Last()
    server = await asyncio.get_running_loop().create_server(lambda: WatchedModel(last), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
