"""When the next request may leave, so that a rate is kept and never passed. Pure: time comes in."""

SLACK = 0.02
"""Seconds by which a late request may be made up for: a sleep ends a little late every time, and without this the
rate would never be reached. In any t seconds at most rate * (t + SLACK) + 1 requests leave."""


class Pacer:
    """A virtual schedule (GCRA): one slot every 1/rate seconds; slots missed by more than SLACK are gone."""

    def __init__(self, rate: float | None) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._next = float("-inf")

    def delay(self, now: float) -> float:
        """Takes the next slot; returns the seconds to wait for it from `now` (monotonic)."""
        if not self._interval:
            return 0.0
        slot = max(self._next, now - SLACK)
        self._next = slot + self._interval
        return max(0.0, slot - now)
