"""The control plane as one thing: controller, health checks, admin API, and the loops that drive them.

Floor 4. An edit of what can't change while the program runs (FIXED) is not refused: the rest of it takes
effect, the old value stays in force, and the log says what waits for a restart.
"""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from router.config.loader import Loaded, load
from router.config.schema import Config
from router.control.admin import Outside, build_app
from router.control.controller import Controller
from router.control.listening import address_of
from router.control.probes import Prober, checks_of
from router.control.supervisor import Supervisor
from router.errors import ConfigError
from router.rollout.journal import Journal, JournalError
from router.rollout.phase import Phase
from router.telemetry.exposition import Exposition
from router.telemetry.ledger import Ledger

_log = logging.getLogger(__name__)

FIXED = ("listen", "workers", "state")
"""Sections of the YAML that are read when the router starts, and only then; and so is `admin.listen`."""

TICK = 0.25
"""Seconds between two looks at what time has brought."""


class ControlPlane:
    """What thinks. `path` is where the configuration is read again; all tasks run in `tasks`.

    Raises JournalError when the journal can't be read.
    """

    def __init__(
        self,
        path: Path,
        loaded: Loaded,
        *,
        journal: Journal,
        supervisor: Supervisor,
        ledger: Ledger,
        workers: int,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._path = path
        self._loaded = loaded
        self._tasks = tasks
        self._reloading = asyncio.Lock()
        self._loops: list[asyncio.Task[None]] = []
        self._controller = Controller(journal, supervisor, ledger, workers, supervisor.adopted_generation)
        self._prober = Prober(tasks, supervisor.endpoints_down)
        exposition = Exposition(ledger, self._controller, supervisor, tuple(Phase))
        self._metrics = exposition.render
        self._ready = supervisor.all_serving

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Publishes the first snapshot, and opens the admin API on these sockets: only then are its tokens
        known."""
        await self._controller.apply(self._loaded)
        self._prober.configure(checks_of(self._loaded.config))
        outside = Outside(address_of(sockets[0]), self.reload, self._metrics, self._ready)
        self._admin = web.AppRunner(
            build_app(self._controller, outside), access_log=None, shutdown_timeout=1.0
        )
        await self._admin.setup()
        for sock in sockets:
            await web.SockSite(self._admin, sock).start()

    def go_on(self, changes: AsyncGenerator[None, None], wanted: asyncio.Event) -> None:
        """From now on time moves rollouts, and the configuration is read again after each of `changes`
        (`config.loader.watch`) and whenever `wanted` is set."""
        loops = (self._tick(), self._reload_after(changes), self._reload_when(wanted))
        self._loops = [self._tasks.create_task(loop) for loop in loops]

    async def reload(self) -> None:
        """Reads the configuration again and puts it in force.

        Raises ConfigError, and JournalError where the change can't be recorded; nothing has changed then, and
        it shows in status, metrics and log. So does a file that trips this program itself.
        """
        async with self._reloading:
            try:
                loaded = await asyncio.to_thread(load, self._path, os.environ)
                config = with_fixed(loaded.config, self._loaded.config)
                await self._controller.apply(replace(loaded, config=config))
            except Exception as error:
                ours = None if isinstance(error, (ConfigError, JournalError)) else error
                _log.error(
                    "the configuration is refused, the one before stays in force:\n%s", error, exc_info=ours
                )
                self._controller.reject(error)
                raise
            self._prober.configure(checks_of(config))
            _log.info("configuration %s is in force", loaded.digest)

    async def settle(self) -> None:
        """Nothing moves any more, by time or edit; the admin API goes on answering."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self._prober.close()

    async def close(self) -> None:
        """The admin API ends, then the journal is closed."""
        await self._admin.cleanup()
        await self._controller.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            await self._controller.tick()

    async def _reload_after(self, changes: AsyncGenerator[None, None]) -> None:
        async for _ in changes:
            await self._try_reload()

    async def _reload_when(self, wanted: asyncio.Event) -> None:
        while True:
            await wanted.wait()
            wanted.clear()
            await self._try_reload()

    async def _try_reload(self) -> None:
        """Where nobody waits for the outcome: it is in log, status and metrics."""
        with suppress(Exception):
            await self.reload()


def with_fixed(wanted: Config, running: Config) -> Config:
    """The wanted configuration with what can't change as it is; says what would have changed."""
    fixed: dict[str, Any] = {name: getattr(running, name) for name in FIXED}
    waiting = [name for name, value in fixed.items() if getattr(wanted, name) != value]
    if wanted.admin.listen != running.admin.listen:
        # Tokens go with the address they guard: those of another address may be none at all.
        fixed["admin"] = running.admin
        waiting.append("admin")
    if waiting:
        _log.warning(
            "%s changed: this needs a restart of the router; everything else in the file takes effect now",
            ", ".join(waiting),
        )
    return wanted.model_copy(update=fixed)
