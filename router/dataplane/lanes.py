"""How many requests a version answers at once in this worker, and who waits for a place.

A lane outlives snapshots; its limits are the newest snapshot's. A place is given up exactly once, with `leave`, by
the exchange that holds it.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol


class Queued(Protocol):
    """Someone who waits for a place; called exactly once, unless withdrawn."""

    def on_turn(self) -> None: ...


class Lane:
    """See the module. `limit` places, `depth` who may wait, each for `patience` seconds."""

    __slots__ = ("_busy", "_handing", "_waiting", "depth", "limit", "patience")

    def __init__(self) -> None:
        self.limit = 1
        self.depth = 0
        self.patience = 1.0
        self._busy = 0
        self._handing = False
        self._waiting: deque[Queued] = deque()

    @property
    def in_use(self) -> int:
        """Places that are taken, and requests that wait for one."""
        return self._busy + len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether not even waiting is possible."""
        return len(self._waiting) >= self.depth

    def enter(self) -> bool:
        """Takes a place, if one is free and nobody came before."""
        if self._busy >= self.limit or self._waiting:
            return False
        self._busy += 1
        return True

    def wait(self, who: Queued) -> None:
        """Queues for a place."""
        self._waiting.append(who)

    def withdraw(self, who: Queued) -> None:
        """Wants none any more."""
        self._waiting.remove(who)

    def leave(self) -> None:
        """A place is free: who waits longest has it. One whose turn ends at once gives it back in here; that is a turn
        of the loop, and not one call deeper for each who waits."""
        self._busy -= 1
        if self._handing:
            return
        self._handing = True
        try:
            while self._waiting and self._busy < self.limit:
                self._busy += 1
                self._waiting.popleft().on_turn()
        finally:
            self._handing = False
