"""Keeps bounded parts of what passes by, and hands halves of pairs to the recorder without ever waiting for it."""

import asyncio
from collections import deque
from time import monotonic

from router.channel import Frame, Half, Link, Taken, encode
from router.telemetry.events import CAPTURES_DROPPED, EventCounter

RECORDER_BACKLOG = 32 << 20
"""Bytes that may wait for the recorder; what comes beyond is dropped and counted."""

TAPPED_LIMIT = 64 << 20
"""Bytes of bodies that one worker keeps for pairs; beyond, bodies are cut and copies are not sent."""

BATCH_TIME = 0.005
"""Seconds that halves gather before they are handed over in one write: to wake the recorder costs more than all the
rest of it."""

BATCH_BYTES = 256 << 10
"""Bytes that are handed over at once."""

WAITING_LIMIT = 8 << 20
"""Bytes that wait while there is no recorder: enough for the moment in which it starts, or starts again."""

FRUITLESS = 3
"""Recorders in a row that may die without a word of what they took, before what they were sent counts as lost."""

RECONNECT_FIRST = 0.02
RECONNECT_LIMIT = 0.2
"""Seconds between attempts to reach a recorder: the first pause, doubled each time up to the limit."""

CLOSE_LIMIT = 5.0
"""Seconds in which the recorder takes what waits when the worker leaves."""


class Tapped:
    """How many more bytes the taps of one worker may keep, all together."""

    __slots__ = ("left",)

    def __init__(self, left: int = TAPPED_LIMIT) -> None:
        self.left = left


class Tap:
    """Keeps the first `limit` bytes of a body that streams by, and its size; less where the worker keeps too much
    already. A body that comes in one piece needs none."""

    __slots__ = ("_kept", "_limit", "_parts", "_tapped", "size")

    def __init__(self, limit: int, tapped: Tapped) -> None:
        self._limit = limit
        self._tapped = tapped
        self._parts: list[bytes] = []
        self._kept = 0
        self.size = 0

    def add(self, data: bytes) -> None:
        self.size += len(data)
        tapped = self._tapped
        room = self._limit - self._kept
        if room > tapped.left:  # noqa: PLR1730 (min() costs a call)
            room = tapped.left
        if room > 0:
            part = data if len(data) <= room else data[:room]
            self._parts.append(part)
            self._kept += len(part)
            tapped.left -= len(part)

    def free(self) -> None:
        """What was kept is needed no more."""
        self._tapped.left += self._kept
        self._kept = 0
        self._parts = []

    @property
    def whole(self) -> bool:
        return self._kept == self.size

    @property
    def body(self) -> bytes:
        parts = self._parts
        return parts[0] if len(parts) == 1 else b"".join(parts)


class RecorderLink:
    """The worker's end of the way to the recorder; connects again by itself when it breaks.

    Halves gather for a moment and leave together. While there is no recorder a bounded part waits for the next one.
    What was sent and not taken is sent to the next one as well, which knows what the dead one had taken.
    """

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop, events: EventCounter) -> None:
        self._path = path
        self._loop = loop
        self._events = events
        self._link: Link | None = None
        self._waiting: list[tuple[str, bytes]] = []
        self._waiting_bytes = 0
        self._flushing: asyncio.TimerHandle | None = None
        self._untaken: deque[tuple[str, bytes]] = deque()
        self._fruitless = 0
        self._delay = RECONNECT_FIRST
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = self._loop.create_task(self._connect())

    def send(self, half: Half) -> None:
        """Hands the half over, or drops it and counts why."""
        data = encode(half)
        self._waiting.append((half.deployment, data))
        self._waiting_bytes += len(data)
        if self._waiting_bytes > BATCH_BYTES:
            self._flush()
        elif self._flushing is None:
            self._flushing = self._loop.call_later(BATCH_TIME, self._flush)

    async def close(self) -> None:
        """Sends what waits and closes."""
        self._flush()
        end = monotonic() + CLOSE_LIMIT
        while (self._waiting or self._untaken) and monotonic() < end:
            await asyncio.sleep(0.01)
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        if self._link is not None:
            self._link.close()
        self._drop_waiting("recorder_down")
        self._count_untaken()

    def _flush(self) -> None:
        """Hands over what has gathered; without a recorder it goes on waiting."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        link = self._link
        if link is None:
            while self._waiting_bytes > WAITING_LIMIT:
                deployment, data = self._waiting.pop()
                self._waiting_bytes -= len(data)
                self._drop(deployment, "recorder_down")
            return
        if link.backlog + self._waiting_bytes > RECORDER_BACKLOG:
            self._drop_waiting("recorder_slow")
        if not self._waiting:
            return
        link.write(b"".join([data for _, data in self._waiting]))
        self._untaken.extend(self._waiting)
        self._waiting = []
        self._waiting_bytes = 0

    def _drop_waiting(self, reason: str) -> None:
        for deployment, _ in self._waiting:
            self._drop(deployment, reason)
        self._waiting = []
        self._waiting_bytes = 0

    async def _connect(self) -> None:
        while not self._closed:
            try:
                _, link = await self._loop.create_unix_connection(
                    lambda: Link(self._on_frame, self._on_lost), self._path
                )
            except OSError:
                await asyncio.sleep(self._delay)
                self._delay = min(self._delay * 2, RECONNECT_LIMIT)
                continue
            self._link = link
            self._delay = RECONNECT_FIRST
            self._flush()
            return

    def _on_frame(self, link: Link, frame: Frame) -> None:
        if isinstance(frame, Taken):
            self._fruitless = 0
            for _ in range(frame.captures):
                self._untaken.popleft()

    def _on_lost(self, link: Link) -> None:
        self._link = None
        self._fruitless += 1
        if self._fruitless > FRUITLESS or self._closed:
            self._count_untaken()
        self._waiting = [*self._untaken, *self._waiting]
        self._waiting_bytes = sum(len(data) for _, data in self._waiting)
        self._untaken.clear()
        self._flush()
        if not self._closed:
            self._task = self._loop.create_task(self._connect())

    def _count_untaken(self) -> None:
        for deployment, _ in self._untaken:
            self._drop(deployment, "recorder_died")
        self._untaken.clear()

    def _drop(self, deployment: str, reason: str) -> None:
        self._events.add(CAPTURES_DROPPED, deployment, reason)
