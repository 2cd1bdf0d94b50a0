"""The Python baseline: a proxy as most would write it, with aiohttp's server and client, on uvloop.

    python -m bench.aiohttp_proxy PORT UPSTREAM CANDIDATE

One user in ten goes to the candidate, by a hash of the header.
"""

import sys
from collections.abc import Mapping
from zlib import crc32

import aiohttp
import uvloop
from aiohttp import web

from bench.peers import SHARE

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host"}


class Proxy:
    """Forwards every request, bodies streamed."""

    def __init__(self, session: aiohttp.ClientSession, stable: str, candidate: str) -> None:
        self._session = session
        self._stable = stable
        self._candidate = candidate

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Asks one of the two versions and passes its answer on as it comes."""
        user = request.headers.get("x-user-id", "").encode()
        base = self._candidate if crc32(user) % 100 < SHARE else self._stable
        body = await request.read() if request.can_read_body else None
        async with self._session.request(
            request.method, base + request.raw_path, headers=_end_to_end(request.headers), data=body
        ) as answer:
            response = web.StreamResponse(status=answer.status, headers=_end_to_end(answer.headers))
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response


def _end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}


async def app(stable: int, candidate: int) -> web.Application:
    """The application; its client has no limit of connections."""
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
    proxy = Proxy(session, f"http://127.0.0.1:{stable}", f"http://127.0.0.1:{candidate}")
    application = web.Application(client_max_size=1 << 30)
    application.router.add_route("*", "/{path:.*}", proxy.handle)
    return application


if __name__ == "__main__":
    port, upstream, second = map(int, sys.argv[1:4])
    uvloop.install()
    web.run_app(app(upstream, second), host="127.0.0.1", port=port, access_log=None, print=None)
