"""Coarse timers: one wheel a worker instead of a handle a request.

What is watched lives long (connections, not requests), and its deadline is a plain attribute that may be moved at any
time at no cost. The wheel visits each item when its deadline comes, and at least once every PATROL seconds, because
the deadline may have been moved nearer; who needs a nearer deadline met exactly says so with `hasten`.
"""

import asyncio
from time import monotonic
from typing import Final, Protocol

GRANULARITY = 0.05
"""Seconds; a deadline the wheel knows of is acted on at most this much late."""

PATROL = 1.0
"""Seconds between visits; a deadline moved nearer without `hasten` is acted on at most this much late."""

NEVER: Final = float("inf")

_VISITED = -2
"""The slot of an item that is being visited, so that its own changes are seen."""


class Timed(Protocol):
    """Something with a deadline, in `time.monotonic` seconds. `slot` is the wheel's, -1 while not watched."""

    deadline: float
    slot: int

    def on_deadline(self, now: float) -> None:
        """The deadline has come; sets another one, or is called again."""


class Wheel:
    """All deadlines of one event loop. `late` is how many seconds the loop was late at the last turn: how long work
    that is ready waits for its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, set[Timed]] = {}
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.late = 0.0

    def watch(self, item: Timed) -> None:
        """Visits the item from now on, until it is forgotten."""
        now = monotonic()
        self._place(item, now)
        if self._handle is None:
            self._schedule(now)

    def hasten(self, item: Timed) -> None:
        """The item's deadline was moved nearer and is to be met to GRANULARITY."""
        if int(item.deadline / GRANULARITY) + 1 < item.slot:
            self.forget(item)
            self.watch(item)

    def forget(self, item: Timed) -> None:
        """Ends the visits; harmless for an item that is not watched."""
        members = self._slots.get(item.slot)
        if members is not None:
            members.discard(item)
        item.slot = -1

    def _place(self, item: Timed, now: float) -> None:
        # A deadline that has passed already gets the next turn: a slot of the past is never visited.
        slot = int(max(now, min(item.deadline, now + PATROL)) / GRANULARITY) + 1
        item.slot = slot
        members = self._slots.get(slot)
        if members is None:
            self._slots[slot] = {item}
        else:
            members.add(item)

    def _turn(self) -> None:
        # Scheduled before the visits: one that fails must not stop the clock for all others.
        now = monotonic()
        self.late = now - self._due
        self._schedule(now)
        current = int(now / GRANULARITY)
        slots = self._slots
        for slot in sorted(slot for slot in slots if slot <= current):
            members = slots[slot]
            while members:
                item = members.pop()
                item.slot = _VISITED
                if item.deadline <= now:
                    item.on_deadline(now)
                if item.slot == _VISITED:
                    self._place(item, now)
            del slots[slot]
        if not slots:
            self._stop()

    def _schedule(self, now: float) -> None:
        self._due = now + GRANULARITY
        self._handle = self._loop.call_later(GRANULARITY, self._turn)

    def _stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self.late = 0.0
