"""Tells whoever listens what happened; a listener who is too slow misses the oldest, and learns how many.

Floor 4.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

BACKLOG = 256
"""News one listener may be behind."""


class Listener(Protocol):
    """Whoever takes news."""

    def put(self, news: dict[str, Any]) -> None:
        """Keeps it or drops it; returns at once."""


class Listening:
    """One listener's end. `missed` counts the news it was too slow for."""

    def __init__(self) -> None:
        self.missed = 0
        self._news: asyncio.Queue[dict[str, Any]] = asyncio.Queue(BACKLOG)

    async def next(self) -> dict[str, Any]:
        """The oldest news not yet taken; waits for it."""
        return await self._news.get()

    def put(self, news: dict[str, Any]) -> None:
        """Adds to the backlog; when that is full, the oldest makes room."""
        if self._news.full():
            self._news.get_nowait()
            self.missed += 1
        self._news.put_nowait(news)


class Bulletin:
    """Where the controller announces, and admin connections listen."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def attach(self, listener: Listener) -> None:
        """It gets all news from now on."""
        self._listeners.add(listener)

    def detach(self, listener: Listener) -> None:
        """It gets no more."""
        self._listeners.discard(listener)

    @contextmanager
    def listen(self) -> Iterator[Listening]:
        """All news from now on."""
        listening = Listening()
        self.attach(listening)
        try:
            yield listening
        finally:
            self.detach(listening)

    def announce(self, news: dict[str, Any]) -> None:
        """Hands the news to every listener; waits for none."""
        for listening in self._listeners:
            listening.put(news)
