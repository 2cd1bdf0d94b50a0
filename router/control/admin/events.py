"""The event stream: every change as it happens, as server-sent events. Floor 4."""

import asyncio
from contextlib import suppress
from typing import Any

from aiohttp import web

from router.control.admin.wire import API, Route, encode
from router.control.bulletin import Bulletin, Listening
from router.errors import Refused

EVENTS = f"{API}/events"

MAX_LISTENERS = 64

KEEP_ALIVE = 15.0
"""Seconds of silence after which a stream says that it is still there."""

CLOSING = "closing"


class Events:
    """Tells whoever listens what the bulletin announces."""

    def __init__(self, bulletin: Bulletin) -> None:
        self._bulletin = bulletin
        self._listeners = 0

    def routes(self) -> list[Route]:
        """The one there is."""
        return [("GET", EVENTS, self.events)]

    async def events(self, request: web.Request) -> web.StreamResponse:
        if self._listeners >= MAX_LISTENERS:
            raise Refused(503, f"{MAX_LISTENERS} listeners are connected, which is all there may be")
        self._listeners += 1
        try:
            with self._bulletin.listen() as listening:
                stream = web.StreamResponse(
                    headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
                )
                await stream.prepare(request)
                with suppress(ConnectionError):  # the listener has left
                    await _tell(stream, listening)
                return stream
        finally:
            self._listeners -= 1

    async def say_goodbye(self, app: web.Application) -> None:
        """Ends the streams, which would otherwise hold up the shutdown."""
        self._bulletin.announce({"event": CLOSING})


async def _tell(stream: web.StreamResponse, listening: Listening) -> None:
    missed = 0
    await stream.write(b": listening\n\n")
    while True:
        try:
            news = await asyncio.wait_for(listening.next(), KEEP_ALIVE)
        except TimeoutError:
            await stream.write(b": keep-alive\n\n")
            continue
        if listening.missed > missed:
            await stream.write(_event({"event": "missed", "count": listening.missed - missed}))
            missed = listening.missed
        await stream.write(_event(news))
        if news["event"] == CLOSING:
            return


def _event(news: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (str(news["event"]).encode(), encode(news))
