"""The connections to the admin API: how many there may be, and who has to leave for whom. Floor 4.

Whoever reaches the address can connect, with a token or without, and each connection is a descriptor of the
controller: it needs those to start workers and to check model servers. So there is a bound, and those who come in
vain do not use it up: where one more comes than there may be, the oldest connection that never brought a call it
was allowed to make is closed. One that brings no whole head within IDLE, or says nothing for as long, is closed anyway.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable

from aiohttp import web

from router.control.admin.access import OPEN
from router.control.admin.problems import Handler

MOST = 256
"""Connections at a time."""

IDLE = 75.0
"""Seconds a connection may be without a request, which is whole when its head is."""

HANDSHAKE = 10.0
"""Seconds for the TLS handshake."""


class Reception:
    """See the module. `remember` is the innermost middleware of the application that `open` serves."""

    def __init__(self) -> None:
        self._known: set[asyncio.BaseProtocol] = set()
        self._leaving: set[asyncio.BaseProtocol] = set()  # a closed one is present until its task has ended
        self._doors: list[asyncio.Server] = []

    async def open(
        self, server: web.Server, sockets: Iterable[socket.socket], context: ssl.SSLContext | None
    ) -> None:
        """Accepts connections on these sockets from now on."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            door = await loop.create_server(
                lambda: self._receive(server),
                sock=sock,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE if context is not None else None,
            )
            self._doors.append(door)

    def close(self) -> None:
        """Accepts none any more; those that are there stay."""
        for door in self._doors:
            door.close()

    @web.middleware
    async def remember(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Whose call came as far as this was let in; where anybody is, that says nothing."""
        if request.path not in OPEN:
            self._known.add(request.protocol)
        return await handler(request)

    def _receive(self, server: web.Server) -> asyncio.BaseProtocol:
        connections = server.connections  # in the order in which they came
        self._known.intersection_update(connections)
        self._leaving.intersection_update(connections)
        present = [each for each in connections if each not in self._leaving]
        if self._known.issuperset(present) and len(present) >= MOST:
            return _TurnedAway()
        # Several, where many came in one turn of the loop: they are present only from the next one on.
        strangers = [each for each in present if each not in self._known]
        for stranger in strangers[: max(0, len(present) - MOST + 1)]:
            self._leaving.add(stranger)
            stranger.force_close()
        return server()


class _TurnedAway(asyncio.Protocol):
    """What a connection gets where there is no room."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
