"""The replay itself: a few requests at a time, in the log's order, each when the pace allows it."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Protocol

from router.channel import Capture, CapturedAnswer
from router.pairs.replay import Headers, Outgoing, outgoing
from router.replay.pacing import Pacer

GIVE_UP = 50
"""Connections refused in a row after which the new version counts as gone."""


class Gone(Exception):
    """The new version takes no connections."""


class Sender(Protocol):
    """Who sends one request and says how it went."""

    async def send(self, outgoing: Outgoing) -> CapturedAnswer: ...


class Replay:
    """Sends each of `captures` and hands it to `take` with its answer. At most `concurrency` are under way, and
    the next one is read only when it is its turn."""

    def __init__(
        self,
        captures: Iterator[Capture],
        sender: Sender,
        pacer: Pacer,
        headers: Headers,
        take: Callable[[Capture, CapturedAnswer], None],
        clock: Callable[[], float],
    ) -> None:
        self._captures = captures
        self._sender = sender
        self._pacer = pacer
        self._headers = headers
        self._take = take
        self._clock = clock
        self._turn = asyncio.Lock()
        self._refused = 0

    async def run(self, concurrency: int) -> None:
        """Returns when all are answered. Raises Gone when there is nobody to answer."""
        tasks = [asyncio.create_task(self._work()) for _ in range(concurrency)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        while (capture := await self._next()) is not None:
            answer = await self._sender.send(outgoing(capture, self._headers))
            self._take(capture, answer)
            self._refused = self._refused + 1 if answer.error == "connect_failed" else 0
            if self._refused >= GIVE_UP:
                raise Gone

    async def _next(self) -> Capture | None:
        async with self._turn:
            capture = next(self._captures, None)
            if capture is not None and (delay := self._pacer.delay(self._clock())) > 0:
                await asyncio.sleep(delay)
            return capture
