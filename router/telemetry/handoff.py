"""From an event loop to a thread that may block: a bounded queue, and a count of what did not get through.

Floor 1. The loop only appends. The thread looks every now and then, takes what is there in batches, and delivers it;
so whoever is slow on the other side costs items, never a request.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

_log = logging.getLogger(__name__)

EVERY = 0.25
"""Seconds between two looks of the thread."""

T = TypeVar("T")


class Handoff(Generic[T]):
    """Hands items to `deliver`, in batches of at most `batch`, on a thread of its own.

    `deliver` raises OSError for what it could not get rid of, and that batch is lost. At most `limit` items wait.
    `lost(reason, count)` is told of every item that is dropped: `queue_full` and `closed` on the caller's thread,
    `failed` on this one's.
    """

    def __init__(
        self,
        name: str,
        deliver: Callable[[list[T]], None],
        lost: Callable[[str, int], None],
        *,
        limit: int,
        batch: int,
    ) -> None:
        self._deliver = deliver
        self._lost = lost
        self._limit = limit
        self._batch = batch
        self._waiting: deque[T] = deque()
        self._closing = threading.Event()
        self._failing = False
        # A daemon: a receiver that hangs must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def add(self, item: T) -> None:
        """Never waits."""
        if self._closing.is_set():
            self._lost("closed", 1)
        elif len(self._waiting) < self._limit:
            self._waiting.append(item)
        else:
            self._lost("queue_full", 1)

    def close(self) -> None:
        """No more comes: the thread delivers what waits, and ends. Does not wait for it."""
        self._closing.set()

    def join(self, patience: float) -> None:
        """Blocks until the thread has ended, `patience` seconds at most."""
        self._thread.join(patience)

    def _run(self) -> None:
        while not self._closing.wait(EVERY):
            self._empty()
        self._empty()

    def _empty(self) -> None:
        waiting = self._waiting
        while waiting:
            batch = [waiting.popleft() for _ in range(min(len(waiting), self._batch))]
            try:
                self._deliver(batch)
            except Exception as error:  # the edge of a thread: one batch must not end it
                self._lost("failed", len(batch))
                self._complain(error)
            else:
                self._failing = False

    def _complain(self, error: Exception) -> None:
        """Once, until something gets through again."""
        if not self._failing:
            self._failing = True
            trace = None if isinstance(error, OSError) else error
            _log.warning(
                "%s: %s; what can't be delivered is dropped and counted",
                self._thread.name,
                error,
                exc_info=trace,
            )
