"""Posts: places for one process each, where one follows the other, and how long the next one is waited for. Floor 4.

No I/O, and no clock of its own.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from router.control.handles import Handle, WorkerHandle
from router.control.listening import ListeningSocket

STEADY = 10.0
"""Seconds of life from which on a death is no sign of a process that can't live."""

_LONGEST_PAUSE = 5.0


@dataclass(slots=True)
class Backoff:
    """How long to wait before a process that ended is started again: not at all the first time, then ever
    longer as long as it goes on dying young."""

    young_deaths: int = 0

    def after(self, lifetime: float) -> float:
        """Seconds to wait, after a life of so many seconds."""
        self.young_deaths = self.young_deaths + 1 if lifetime < STEADY else 0
        return min(0.1 * 2 ** (self.young_deaths - 2), _LONGEST_PAUSE) if self.young_deaths > 1 else 0.0


@dataclass(slots=True)
class Slot:
    """A place for one worker: its number, its sockets and the worker there now, or there last."""

    index: int
    sockets: list[ListeningSocket]
    worker: WorkerHandle | None = None

    def is_held_by(self, handle: Handle | None) -> bool:
        """Whether this one is there, or was there last; None: nobody ever was."""
        return self.worker is handle


@dataclass(frozen=True, slots=True)
class Post:
    """What one process after the other does: its role and number, how the next is started, and whether one that
    ended (None: there was none yet) needs a successor."""

    role: str
    number: int
    start: Callable[[], Awaitable[Handle]]
    is_held_by: Callable[[Handle | None], bool]

    @property
    def key(self) -> tuple[str, int]:
        """Tells posts apart."""
        return self.role, self.number
