"""One worker, or the recorder, as the supervisor sees it: a process, a channel, and what it has confirmed.

Floor 4. A worker is told the newest snapshot before it accepts. From the moment it was sent its first
snapshot it may be serving, so it has to confirm every later one; until then it can do no harm and nobody
waits for it.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from pathlib import Path

from router.channel import Applied, Drain, EndpointsDown, Erasing, Frame, Link, Publish, RecorderTally, Tally
from router.control.processes import Process

_log = logging.getLogger(__name__)

_LAST_WORDS = 0.2
"""Seconds from the loss of its channel to the death of a process, or the other way round."""

_BOOT = 10.0
"""Seconds from its first snapshot until a new worker must serve: connections are waiting for it."""

_LAG = 1.0
"""Seconds a draining process has beyond its grace before it is killed."""


class Handle(ABC):
    """What all processes have in common. `ended` is set once the process is gone; someone awaits `run`."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.process = process
        self.ended = asyncio.Event()
        self.draining = False
        self._lost = asyncio.Event()
        self.link = Link(self._on_frame, self._on_lost)

    def __str__(self) -> str:
        return f"{self.name} (pid {self.process.pid})"

    async def run(self) -> str:
        """Returns when the process has ended and all it told was read, with how it ended."""
        how = await self.process.wait()
        self.ended.set()
        if self.link.connected:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS):
                    await self._lost.wait()
        self.link.close()
        return how

    async def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        self.process.kill()
        await self.ended.wait()

    async def drain(self, grace: float, *, close_idle: bool) -> None:
        """Tells the process to finish and leave; returns when it has, or was killed after the grace."""
        self.draining = True
        self.link.send(Drain(grace, close_idle))
        try:
            async with asyncio.timeout(grace + _LAG):
                await self.ended.wait()
        except TimeoutError:
            _log.warning("%s did not leave within %g s: killing it", self, grace)
            await self.kill()

    @abstractmethod
    def _on_frame(self, link: Link, frame: Frame) -> None: ...

    def _on_lost(self, _: Link) -> None:
        """A process that can't be told anything any more must not go on with what it was told once. Most are
        about to exit by themselves; their own exit status says more than a SIGKILL."""
        self._lost.set()
        if not self.draining:
            asyncio.get_running_loop().call_later(_LAST_WORDS, self._end_if_alive)

    def _end_if_alive(self) -> None:
        if not self.ended.is_set():
            _log.warning("%s closed its channel and goes on: killing it", self)
            self.process.kill()

    def _unexpected(self, frame: Frame) -> None:
        _log.error("%s sent a frame that is not its to send: %s", self, type(frame).__name__)


class RecorderHandle(Handle):
    """The recorder: its tallies go to `on_tally`, with its name, and what it says of erasures to `on_erasing`."""

    def __init__(
        self,
        name: str,
        process: Process,
        on_tally: Callable[[str, RecorderTally], None],
        on_erasing: Callable[[Erasing], None],
    ) -> None:
        super().__init__(name, process)
        self._on_tally = on_tally
        self._on_erasing = on_erasing

    def _on_frame(self, link: Link, frame: Frame) -> None:
        if isinstance(frame, RecorderTally):
            self._on_tally(self.name, frame)
        elif isinstance(frame, Erasing):
            self._on_erasing(frame)
        else:
            self._unexpected(frame)


class WorkerState(Enum):
    """What a worker is doing; the values are labels of the metric `router_workers`."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class WorkerHandle(Handle):
    """A worker. `applied` is the newest generation it confirmed, 0 before the first.

    `generation` is what it had in force when it was found (an orphan), 0 for a new one. Its tallies go to
    `on_tally`, with its name; `on_applied` is called after each confirmation. Its `rescue` socket is removed
    when it has ended.
    """

    def __init__(
        self,
        name: str,
        process: Process,
        rescue: Path,
        *,
        on_tally: Callable[[str, Tally], None],
        on_applied: Callable[[], None],
        generation: int = 0,
    ) -> None:
        super().__init__(name, process)
        self.applied = generation
        self._rescue = rescue
        self._on_tally = on_tally
        self._on_applied = on_applied
        self._oldest = generation
        self._waiting: list[tuple[int, asyncio.Event]] = []

    @property
    def state(self) -> WorkerState:
        if self.draining:
            return WorkerState.DRAINING
        return WorkerState.SERVING if self.applied else WorkerState.STARTING

    async def run(self) -> str:
        how = await super().run()
        self._rescue.unlink(missing_ok=True)
        for _, event in self._waiting:
            event.set()
        return how

    def is_live(self, generation: int) -> bool:
        """True when the worker serves, or may begin to with something older than this generation."""
        return not self.ended.is_set() and (self.applied > 0 or 0 < self._oldest < generation)

    def publish(self, publish: Publish, down: EndpointsDown) -> None:
        """Sends a snapshot; a worker that gets its first one learns before which endpoints are down."""
        if not self._oldest:
            self._oldest = publish.generation
            self.link.send(down)
            asyncio.get_running_loop().call_later(_BOOT, self._end_if_silent)
        self.link.send(publish)

    async def confirms(self, generation: int) -> bool:
        """Waits until the worker has this generation or a newer one in force (True) or has ended (False)."""
        if self.applied < generation and not self.ended.is_set():
            event = asyncio.Event()
            self._waiting.append((generation, event))
            await event.wait()
        return self.applied >= generation and not self.ended.is_set()

    def _on_frame(self, link: Link, frame: Frame) -> None:
        if isinstance(frame, Tally):
            self._on_tally(self.name, frame)
        elif isinstance(frame, Applied):
            self._confirm(frame.generation)
        else:
            self._unexpected(frame)

    def _confirm(self, generation: int) -> None:
        self.applied = max(self.applied, generation)
        for wanted, event in self._waiting:
            if wanted <= self.applied:
                event.set()
        self._waiting = [waiting for waiting in self._waiting if not waiting[1].is_set()]
        self._on_applied()

    def _end_if_silent(self) -> None:
        if not self.applied and not self.ended.is_set():
            _log.error("%s does not serve after %g s: killing it", self, _BOOT)
            self.process.kill()
