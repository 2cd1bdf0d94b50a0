"""Passive ejection: an endpoint that keeps failing is passed over for a while.

FAILURES in a row eject it for BASE seconds, longer each time it fails again after coming back, up to LIMIT. The
choice among the endpoints ignores ejection when it would leave none, so the last one is never taken away.
"""

FAILURES = 5
BASE = 10.0
LIMIT = 60.0


class Ejection:
    """The passive health of one endpoint. Time comes in as an argument, in seconds."""

    __slots__ = ("_failures", "_times", "troubled", "until")

    def __init__(self) -> None:
        self._failures = 0
        self._times = 0
        self.troubled = False
        self.until = 0.0

    def success(self) -> None:
        """It works (again). Says nothing new where nothing is `troubled`, so a caller may ask that first."""
        self._failures = 0
        self._times = 0
        self.troubled = False

    def failure(self, now: float) -> None:
        """One more failure: no connection, no answer, or an answer of a gateway (502, 503, 504)."""
        self.troubled = True
        self._failures += 1
        if self._failures >= FAILURES:
            self._failures = 0
            self._times += 1
            self.until = now + min(BASE * self._times, LIMIT)
