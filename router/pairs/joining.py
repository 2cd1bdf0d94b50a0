"""Joins the halves of pairs by their exchange. Pure: time comes in, pairs come out.

The primary's half names the versions that got a copy, so it says how many pairs the exchange makes. Either half
may come first. Whatever does not find its other half in time, or must make room, leaves as a pair with that half
missing; what makes no pair is handed back as a `Stray` with the reason. Nothing else leaves.
"""

from collections import OrderedDict
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from router.channel import Capture, Message

DEADLINE = 30.0
"""Seconds a half waits for the other, from the arrival of the first half of its exchange."""

PRIMARY = "primary"

_FIELD = 120
"""Bytes that a header takes beside its text: two objects, and a pair of them."""

_MAX_CLOSED = 100_000
"""Exchanges that ended early and are remembered, so that what comes late makes no second pair."""


class Joined(NamedTuple):
    """Two halves that belong together, one of them None when it never came; `version` is the shadow's.

    `done` are the captures that no later pair needs: once this pair is kept, they are.
    """

    primary: Capture | None
    shadow: Capture | None
    version: str
    done: tuple[Capture, ...]


class Stray(NamedTuple):
    """A capture that makes no pair: `reason` is late, duplicate, no_copies, or unexpected (a copy the primary
    does not name)."""

    capture: Capture
    reason: str


class _Exchange:
    """What has come of one exchange. `open` are the shadows still to come, None until the primary is here."""

    __slots__ = ("arrived", "open", "primary", "shadows", "size")

    def __init__(self, arrived: float) -> None:
        self.arrived = arrived
        self.primary: Capture | None = None
        self.shadows: dict[str, Capture] = {}
        self.open: set[str] | None = None
        self.size = 0


class Joiner:
    """Holds the halves that wait, at most `max_halves` of them and `max_bytes` of bodies.

    Over a bound the oldest exchanges leave first, with their missing halves.
    """

    def __init__(
        self, *, deadline: float = DEADLINE, max_halves: int = 50_000, max_bytes: int = 128 << 20
    ) -> None:
        self._deadline = deadline
        self._max_halves = max_halves
        self._max_bytes = max_bytes
        self._exchanges: OrderedDict[str, _Exchange] = OrderedDict()
        self._closed: OrderedDict[str, float] = OrderedDict()
        self.waiting = 0
        self.bytes = 0

    def add(self, capture: Capture, now: float) -> list[Joined | Stray]:
        """Takes a half that arrives at `now` (seconds, monotonic); returns what that settles."""
        if capture.exchange in self._closed:
            return [Stray(capture, "late")]
        if capture.role == PRIMARY and not capture.copies:
            return [Stray(capture, "no_copies")]
        exchange = self._exchanges.get(capture.exchange)
        if exchange is None:
            exchange = self._exchanges[capture.exchange] = _Exchange(now)
        elif self._is_known(exchange, capture):
            return [Stray(capture, "duplicate")]
        self._hold(exchange, capture)
        settled: list[Joined | Stray] = [*self._pairs(capture.exchange, exchange)]
        while self.waiting > self._max_halves or self.bytes > self._max_bytes:
            settled += self._close(next(iter(self._exchanges)), now)
        return settled

    def expire(self, now: float) -> list[Joined | Stray]:
        """The pairs of exchanges whose time is over."""
        settled: list[Joined | Stray] = []
        while self._exchanges:
            name, exchange = next(iter(self._exchanges.items()))
            if now - exchange.arrived < self._deadline:
                break
            settled += self._close(name, now)
        while self._closed and now - next(iter(self._closed.values())) > 2 * self._deadline:
            self._closed.popitem(last=False)
        return settled

    def flush(self, now: float) -> list[Joined | Stray]:
        """The pairs of everything that waits, as if its time were over."""
        settled: list[Joined | Stray] = []
        while self._exchanges:
            settled += self._close(next(iter(self._exchanges)), now)
        return settled

    def _is_known(self, exchange: _Exchange, capture: Capture) -> bool:
        if capture.role == PRIMARY:
            return exchange.primary is not None
        version = capture.answer.version
        return version in exchange.shadows or (exchange.open is not None and version not in exchange.open)

    def _hold(self, exchange: _Exchange, capture: Capture) -> None:
        if capture.role == PRIMARY:
            exchange.primary = capture
            exchange.open = set(capture.copies)
        else:
            exchange.shadows[capture.answer.version] = capture
        size = size_of(capture)
        exchange.size += size
        self.bytes += size
        self.waiting += 1

    def _pairs(self, name: str, exchange: _Exchange) -> Iterator[Joined | Stray]:
        """The pairs that are whole now; ends the exchange with its last one."""
        primary, still_open = exchange.primary, exchange.open
        if primary is None or still_open is None:
            return
        for version in [version for version in exchange.shadows if version in still_open]:
            still_open.discard(version)
            shadow = exchange.shadows.pop(version)
            self._let_go(exchange, shadow)
            yield Joined(primary, shadow, version, (shadow,) if still_open else (shadow, primary))
        if not still_open:
            self._let_go(exchange, primary)
            del self._exchanges[name]
            # Copies the primary did not name: it knows better than they do.
            for shadow in exchange.shadows.values():
                self._let_go(exchange, shadow)
                yield Stray(shadow, "unexpected")

    def _close(self, name: str, now: float) -> Iterator[Joined | Stray]:
        """Ends an exchange before all of it has come."""
        exchange = self._exchanges.pop(name)
        self.waiting -= len(exchange.shadows) + (exchange.primary is not None)
        self.bytes -= exchange.size
        self._closed[name] = now
        if len(self._closed) > _MAX_CLOSED:
            self._closed.popitem(last=False)
        primary = exchange.primary
        if primary is None:
            for version, shadow in exchange.shadows.items():
                yield Joined(None, shadow, version, (shadow,))
            return
        missing = sorted(exchange.open or ())
        for position, version in enumerate(missing, 1):
            yield Joined(primary, None, version, (primary,) if position == len(missing) else ())
        for shadow in exchange.shadows.values():
            yield Stray(shadow, "unexpected")

    def _let_go(self, exchange: _Exchange, capture: Capture) -> None:
        size = size_of(capture)
        exchange.size -= size
        self.bytes -= size
        self.waiting -= 1


def size_of(capture: Capture) -> int:
    """Bytes of memory a capture is counted for, roughly."""
    size = 1024 + _weight(capture.answer.message)
    if capture.request is not None:
        size += len(capture.request.target) + _weight(capture.request.message)
    return size


def _weight(message: Message) -> int:
    """Heads count, too: a client may send 64 KiB of them."""
    headers = message.headers
    return len(message.body) + sum(map(len, chain.from_iterable(headers))) + _FIELD * len(headers)
