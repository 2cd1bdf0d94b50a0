"""Tells other people's servers what happened: a POST for each event they asked for. Floor 4.

Each target has a bounded queue and a task of its own, so that one who does not answer holds up nobody: not the
rollout, not the other targets. A message is tried again with growing pauses; what is told too late or never is
counted. A queue that is full lets the oldest go, for the newest says best where things are. Nothing is kept over a
restart of the controller: a notice is told at most once, and `history` is what is complete.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import msgspec

from router.config.notify import NotifySpec
from router.control.bulletin import Bulletin
from router.control.messages import values_of
from router.control.outbound import NoAnswer, Outbound, pause
from router.rollout.gates.asking import Call

_log = logging.getLogger(__name__)

BACKLOG = 256
"""Messages that may wait for one target."""

ATTEMPTS = 10
"""Attempts for one message, over about two minutes."""

FAREWELL = 2.0
"""Seconds in which a controller that stops still tells what it has to tell."""

SENT, FAILED, DROPPED = "sent", "failed", "dropped"
OUTCOMES = (SENT, FAILED, DROPPED)
"""What may become of a message: the target took it; it did not, however often it was tried; it was never tried."""

_TRY_AGAIN = frozenset({408, 425, 429})


class Notices:
    """Runs in `tasks`; `now` is Unix time."""

    def __init__(
        self, tasks: asyncio.TaskGroup, bulletin: Bulletin, now: Callable[[], float] = time.time
    ) -> None:
        self._tasks = tasks
        self._bulletin = bulletin
        self._now = now
        self._outbound = Outbound()
        self._targets: list[_Target] = []
        self._counts: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))

    def configure(self, specs: Iterable[NotifySpec]) -> None:
        """Tells exactly these from now on. What waits for a target that stays is still told."""
        wanted = list(specs)
        stays: list[_Target] = []
        for target in self._targets:
            if target.spec in wanted:
                wanted.remove(target.spec)
                stays.append(target)
            else:
                self._end(target)
        self._targets = [*stays, *(self._begin(spec) for spec in wanted)]

    def counts(self) -> dict[str, int]:
        """Messages so far, by outcome."""
        return dict(self._counts)

    async def close(self) -> None:
        """Tells what waits, within FAREWELL seconds, and no more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await asyncio.gather(*(target.told() for target in self._targets))
        self.configure(())
        await self._outbound.close()

    def _begin(self, spec: NotifySpec) -> "_Target":
        self._outbound.prepare()
        target = _Target(spec, self._outbound, self._counts, self._now)
        target.task = self._tasks.create_task(target.run())
        self._bulletin.attach(target)
        return target

    def _end(self, target: "_Target") -> None:
        self._bulletin.detach(target)
        target.end()


class _Target:
    """One entry of `notify`, listening to the bulletin."""

    task: "asyncio.Task[None]"

    def __init__(
        self, spec: NotifySpec, outbound: Outbound, counts: Counter[str], now: Callable[[], float]
    ) -> None:
        self.spec = spec
        self._outbound = outbound
        self._counts = counts
        self._now = now
        self._queue: asyncio.Queue[dict[str, str]] = asyncio.Queue(BACKLOG)
        self._host = urlsplit(spec.url).netloc

    def put(self, news: dict[str, Any]) -> None:
        if news["event"] not in self.spec.events:
            return
        if self._queue.full():
            self._take_out()
        self._queue.put_nowait(values_of(news, self._now()))

    def end(self) -> None:
        """What still waits is dropped."""
        self.task.cancel()
        while not self._queue.empty():
            self._take_out()

    async def told(self) -> None:
        """Until nothing waits and nothing is on its way."""
        await self._queue.join()

    async def run(self) -> None:
        while True:
            values = await self._queue.get()
            outcome = FAILED
            try:
                outcome = await self._tell(values)
            except Exception:
                _log.exception("telling %s failed", self._host)
            finally:
                self._counts[outcome] += 1
                self._queue.task_done()

    async def _tell(self, values: dict[str, str]) -> str:
        body = msgspec.json.encode(self.spec.filled(values))
        call = Call("POST", self.spec.url, {"content-type": "application/json", **self.spec.headers}, body)
        for attempt in range(1, ATTEMPTS + 1):
            trouble, rest = await self._attempt(call, attempt)
            if not trouble:
                return SENT
            if rest is None or attempt == ATTEMPTS:
                break
            await asyncio.sleep(rest)
        _log.warning("%s was not told of %s: %s", self._host, values["event"], trouble)
        return FAILED

    async def _attempt(self, call: Call, attempt: int) -> tuple[str, float | None]:
        """What went wrong, if anything, and after how many seconds to try again; None where that is no use."""
        try:
            reply = await self._outbound.send(call, self.spec.timeout)
        except NoAnswer as error:
            return str(error), pause(attempt)
        if 200 <= reply.status < 300:
            return "", None
        again = reply.status >= 500 or reply.status in _TRY_AGAIN
        return f"it answers {reply.status}", max(pause(attempt), reply.retry_after) if again else None

    def _take_out(self) -> None:
        self._queue.get_nowait()
        self._queue.task_done()
        self._counts[DROPPED] += 1
