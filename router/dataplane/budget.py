"""How many retries a deployment may make: a part of its requests, so that trouble does not feed itself.

Counted in windows: a window's retries are at most FLOOR and the share of the requests of this window or the last one,
whichever had more. Nothing is counted for a request that is not sent again: requests are known from the counters.
"""

from collections.abc import Callable

from router.shares import SHARE_PARTS

WINDOW = 10.0
"""Seconds."""

FLOOR = 10
"""Retries in a window that are always allowed: with few requests a share says little."""


class RetryBudget:
    """See the module. `requests` tells how many there were in all; `parts` is the share, of SHARE_PARTS; `now` and all
    times are in seconds."""

    __slots__ = ("_before", "_began", "_begun_with", "_requests", "_used", "parts")

    def __init__(self, requests: Callable[[], int], now: float) -> None:
        self._requests = requests
        self.parts = 0
        self._began = now
        self._begun_with = requests()
        self._before = 0.0
        self._used = 0

    def take(self, now: float) -> bool:
        """Whether one more may be made; it counts then."""
        total = self._requests()
        if now >= self._began + WINDOW:
            # Where nobody asked for long: as many as there were in a window on average.
            self._before = (total - self._begun_with) * WINDOW / (now - self._began)
            self._began, self._begun_with, self._used = now, total, 0
        requests = max(self._before, total - self._begun_with)
        if self._used >= FLOOR + requests * self.parts / SHARE_PARTS:
            return False
        self._used += 1
        return True
