"""Coarse timers: one wheel a worker instead of a handle a request.

An item is put into the slot its deadline falls into and stays there when its deadline moves away, which is what
deadlines of live exchanges do with every byte; when the slot's turn comes it is looked at again. So moving a
deadline is one attribute, and starting and stopping are one set operation each.
"""

import asyncio
from time import monotonic
from typing import Protocol

GRANULARITY = 0.05
"""Seconds; a deadline is acted on at most this much late."""

NEVER = float("inf")


class Timed(Protocol):
    """Something with a deadline (`time.monotonic` seconds), owned by one wheel."""

    deadline: float
    slot: int

    def on_deadline(self, now: float) -> None: ...


class Wheel:
    """All deadlines of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, set[Timed]] = {}
        self._turned = 0
        self._handle: asyncio.TimerHandle | None = None

    def start(self, item: Timed, deadline: float) -> None:
        """Begins to watch an item that is not watched yet."""
        item.deadline = deadline
        slot = int(deadline / GRANULARITY) + 1
        item.slot = slot
        members = self._slots.get(slot)
        if members is None:
            self._slots[slot] = {item}
        else:
            members.add(item)
        if self._handle is None:
            self._turned = int(monotonic() / GRANULARITY)
            self._handle = self._loop.call_later(GRANULARITY, self._turn)

    def move(self, item: Timed, deadline: float) -> None:
        """Sets another deadline for a watched item, sooner or later than the present one."""
        item.deadline = deadline
        if int(deadline / GRANULARITY) + 1 < item.slot:
            self.stop(item)
            self.start(item, deadline)

    def stop(self, item: Timed) -> None:
        """Ends watching; harmless for an item that is not watched."""
        members = self._slots.get(item.slot)
        if members is not None:
            members.discard(item)

    def _turn(self) -> None:
        now = monotonic()
        current = int(now / GRANULARITY)
        slots = self._slots
        # After a long sleep there may be more turns to make up for than there are slots.
        if current - self._turned > len(slots):
            due = sorted(slot for slot in slots if slot <= current)
        else:
            due = [slot for slot in range(self._turned + 1, current + 1) if slot in slots]
        self._turned = current
        self._handle = None
        for slot in due:
            for item in slots.pop(slot):
                if item.deadline <= now:
                    item.on_deadline(now)
                else:
                    self.start(item, item.deadline)
        if slots and self._handle is None:
            self._handle = self._loop.call_later(GRANULARITY, self._turn)
