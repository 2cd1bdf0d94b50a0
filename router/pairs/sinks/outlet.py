"""One sink at work: takes records in without waiting, and delivers them in batches, again and again if need be.

Each outlet has its own backlog and its own task, so that one whose receiver fails, hangs or is slow holds up
neither another nor the file. Delivery is at least once and in order; what is dropped is counted by reason:

    queue_full   more waited than `queue` allows
    refused      the receiver said of this very record that it will never take it
    expired      it waited for longer than pairs are kept
    removed      the sink is no longer in the configuration
    erased       its subject was to be forgotten
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from router.channel import SinkTally
from router.errors import whence
from router.pairs.sinks.backlog import Backlog
from router.pairs.sinks.base import Courier, SinkSpec, Unacceptable, Undelivered

_log = logging.getLogger(__name__)

RETRY_FIRST = 0.5
RETRY_LIMIT = 30.0
"""Seconds before the first further attempt; doubled with each up to the limit, and scattered by half."""


def pause(failures: int, scatter: float) -> float:
    """Seconds to wait after so many failures in a row; `scatter` is drawn from [0, 1)."""
    return float(min(RETRY_FIRST * 2 ** min(failures - 1, 16), RETRY_LIMIT)) * (0.5 + scatter)


class Outlet:
    """Delivers what a backlog holds as `spec` says. `keep` is how long a record may wait, in seconds."""

    def __init__(
        self,
        spec: SinkSpec,
        backlog: Backlog,
        keep: float,
        clock: Callable[[], float],
        courier: Courier | None = None,
    ) -> None:
        self.spec = spec
        self.keep = keep
        self._backlog = backlog
        self._clock = clock
        self._courier = courier or spec.courier()
        self._most = spec.batch.records
        self._failures = 0
        self._error = ""
        self._delivered = 0
        self._dropped: Counter[str] = Counter()
        self._ending = False
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, wall: float) -> None:
        """Takes up what a dead recorder left, and begins to deliver. `wall` is now, in seconds since the epoch."""
        self._count("queue_full", self._backlog.recover(self._clock(), wall))
        self._task = asyncio.create_task(self._run(), name=f"sink {self.spec.label}")

    def offer(self, record: bytes) -> None:
        """Takes a record in, or counts it as dropped. Never waits."""
        if not self._backlog.add(record, self._clock()):
            self._count("queue_full", 1)
        elif len(self._backlog) == 1 or self._is_due():
            self._changed.set()

    def move(self, pairs_path: Path) -> None:
        """What waits from now on lies under another root of the pair log."""
        self._backlog.move(pairs_path)

    async def change(self, spec: SinkSpec) -> None:
        """Goes on with other settings; what waits goes where they say."""
        await self._stop()
        await self._courier.close()
        self.spec, self._courier, self._most = spec, spec.courier(), spec.batch.records
        self._backlog.limit = spec.queue
        self._task = asyncio.create_task(self._run(), name=f"sink {spec.label}")

    async def forget(self, wanted: Callable[[bytes], bool]) -> int:
        """Drops what waits and is wanted, also from the disk; returns how many records."""
        await self._stop()
        count = self._backlog.forget(wanted)
        self._count("erased", count)
        self._task = asyncio.create_task(self._run(), name=f"sink {self.spec.label}")
        return count

    async def close(self, grace: float) -> None:
        """Delivers what it can within `grace` seconds; the rest waits on disk for the next recorder."""
        self._ending = True
        self._changed.set()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=grace)
        await self._stop()
        await self._courier.close()
        self._backlog.close()

    async def remove(self) -> None:
        """Ends it for good; what waits is dropped."""
        await self._stop()
        await self._courier.close()
        self._lose("removed", len(self._backlog))
        self._backlog.close()

    def tally(self) -> SinkTally:
        """What became of its records; cumulative since this process began."""
        waiting, dropped = len(self._backlog), dict(self._dropped)
        return SinkTally(self.spec.label, self._delivered, dropped, waiting, self._error)

    async def _run(self) -> None:
        while await self._wait_for_records():
            if await self._deliver():
                continue
            if self._ending:
                return
            await self._rest(pause(self._failures, random.random()))

    async def _wait_for_records(self) -> bool:
        """Until a batch is due; False when it is time to end and nothing waits."""
        while True:
            self._expire()
            if not len(self._backlog) and self._ending:
                return False
            if self._is_due() or (self._ending and len(self._backlog)):
                return True
            oldest = self._backlog.oldest
            rest = None if oldest is None else oldest + self.spec.batch.age - self._clock()
            await self._change(rest)

    async def _rest(self, seconds: float) -> None:
        """So long, but no longer when it is time to end."""
        end = self._clock() + seconds
        while not self._ending and (rest := end - self._clock()) > 0:
            await self._change(rest)

    async def _change(self, seconds: float | None) -> None:
        """Until something may have changed, at most so long."""
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _is_due(self) -> bool:
        backlog, batch = self._backlog, self.spec.batch
        if backlog.oldest is None:
            return False
        full = len(backlog) >= batch.records or backlog.size >= batch.size
        return full or self._clock() - backlog.oldest >= batch.age

    async def _deliver(self) -> bool:
        """One attempt with the first records; whether to go on at once."""
        batch = self._backlog.head(self._most, self.spec.batch.size)
        try:
            async with asyncio.timeout(self.spec.timeout):
                await self._courier.deliver(batch)
        except Unacceptable as error:
            self._narrow(len(batch), error)
            return True
        except (Undelivered, OSError) as error:  # a TimeoutError is an OSError
            self._fail(str(error) or f"no answer within {self.spec.timeout:g} s")
            return False
        except Exception as error:  # a mistake in one sink is its own trouble only
            self._fail(f"stumbled: {whence(error)}")
            return False
        if self._failures:
            _log.info("sink %s works again", self.spec.label)
        self._failures, self._error = 0, ""
        self._most = min(2 * self._most, self.spec.batch.records)
        self._delivered += len(batch)
        self._backlog.drop(len(batch))
        return True

    def _narrow(self, records: int, error: Unacceptable) -> None:
        """One bad record must not take its neighbours with it: halves the batch until it is found."""
        self._failures, self._error = 0, ""
        if records > 1:
            self._most = records // 2
            return
        _log.warning("sink %s refuses a record: %s", self.spec.label, error)
        self._lose("refused", 1)
        self._most = min(2 * self._most, self.spec.batch.records)

    def _fail(self, why: str) -> None:
        if why != self._error:
            _log.warning("sink %s: %s; further attempts follow", self.spec.label, why)
        self._failures += 1
        self._error = why

    def _expire(self) -> None:
        before = self._clock() - self.keep
        while (oldest := self._backlog.oldest) is not None and oldest < before:
            self._lose("expired", 1)

    def _lose(self, reason: str, records: int) -> None:
        self._backlog.drop(records)
        self._count(reason, records)

    def _count(self, reason: str, records: int) -> None:
        if records:
            self._dropped[reason] += records

    async def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
