"""A request's body as it comes: how much, and whether fast enough to be worth waiting for.

No idle timer ends a body that trickles: each byte starts it anew. What ends it is a least average rate. Time comes in
as an argument, in seconds.
"""

from router.dataplane.faults import Fault
from router.patterns.limits import ClientLimits


class Inflow:
    """The body of one request that does not come in one piece. `limit` in bytes, 0: none."""

    __slots__ = ("_counted", "_grace", "_rate", "_since", "limit", "size")

    def __init__(self, limits: ClientLimits, now: float) -> None:
        self._rate = limits.body_rate
        self._grace = limits.body_grace
        self._since = now
        self._counted = 0
        self.size = 0
        self.limit = 0

    def add(self, size: int, now: float) -> Fault | None:
        """So many bytes more have come; what is wrong with that."""
        self.size += size
        if self.limit and self.size > self.limit:
            return Fault.BODY_TOO_LARGE
        self._counted += size
        took = now - self._since
        if took < self._grace:
            return None
        slow = self._counted < self._rate * took
        self.pardon(now)
        return Fault.BODY_STALLED if slow else None

    def pardon(self, now: float) -> None:
        """The measure starts anew: it was not the client who held things up."""
        self._since = now
        self._counted = 0
