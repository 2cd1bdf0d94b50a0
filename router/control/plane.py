"""The control plane as one thing: controller, health checks, admin API, and the loops that drive them.

Floor 4. An edit of what can't change while the program runs (FIXED) is not refused: the rest of it takes
effect, the old value stays in force, and the log says what waits for a restart.
"""

import asyncio
import dataclasses
import logging
import os
import socket
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from router import logs
from router.config.loader import Loaded, load
from router.config.schema import AdminSpec, Config, ListenSpec
from router.control.admin.app import Outside, build_app
from router.control.admin.problems import conceal
from router.control.admin.reception import IDLE, Reception
from router.control.capacity import CapacityWatch, shortfalls
from router.control.certificates import Certificates
from router.control.controller import Controller
from router.control.holds import Holds
from router.control.inquiries import Inquiries, question_of
from router.control.listening import address_of
from router.control.notices import Notices
from router.control.probes import Prober, checks_of
from router.control.supervisor import Supervisor
from router.control.trends import EVERY, Trends
from router.errors import ConfigError, Refused
from router.rollout.gates.asking import Question
from router.rollout.journal import Journal, JournalError
from router.rollout.phase import Phase
from router.telemetry.exposition import ControlFacts, Exposition
from router.telemetry.ledger import Ledger

_log = logging.getLogger(__name__)

FIXED = ("workers", "drain_timeout", "orphan_timeout", "state")
"""Sections of the YAML that are read when the router starts, and only then; so are the addresses of `listen` and of
`admin`, and whether TLS is spoken there."""

LOOKING = 20
"""Looking at trends takes at most one part in so many of the time."""

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
        self._certificates = Certificates(loaded.config, supervisor.certificates)
        self._reception = Reception()
        self._inquiries = Inquiries(tasks, self._question)
        self._controller = Controller(
            journal, supervisor, ledger, workers, supervisor.adopted_generation, asked=self._inquiries
        )
        self._prober = Prober(tasks, supervisor.endpoints_down)
        self._notices = Notices(tasks, self._controller.bulletin)
        self._supervisor = supervisor
        self._ledger = ledger
        self._trends = Trends(ledger)
        self._holds = Holds(self._controller.bulletin)
        self._capacity = CapacityWatch(self._controller.bulletin, self.shortfalls)
        exposition = Exposition(ledger, self, supervisor, tuple(Phase))
        self._metrics = exposition.render
        self._ready = supervisor.all_serving
        self._compared, self._erasures = ledger.compared, supervisor.erasures

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Publishes the first snapshot, and opens the admin API on these sockets: only then are its tokens
        known."""
        self._notices.configure(self._loaded.config.notify)
        await self._controller.apply(self._loaded)
        self._prober.configure(checks_of(self._loaded.config))
        outside = Outside(
            address_of(sockets[0]),
            self.reload,
            self._metrics,
            self._ready,
            self.shortfalls,
            self._compared,
            self._erasures,
            self._trends,
            self._supervisor.troubles,
            self._supervisor.replace_workers,
            self._set_log_level,
        )
        http_log = logging.getLogger(f"{__name__}.http")
        http_log.addFilter(conceal)
        app = build_app(self._controller, outside)
        app.middlewares.append(self._reception.remember)
        self._admin = web.AppRunner(
            app, access_log=None, logger=http_log, shutdown_timeout=1.0, keepalive_timeout=IDLE
        )
        await self._admin.setup()
        assert self._admin.server is not None  # made by `setup`
        await self._reception.open(self._admin.server, sockets, self._certificates.context)

    def go_on(self, changes: AsyncGenerator[None, None], wanted: asyncio.Event) -> None:
        """From now on time moves rollouts, and the configuration is read again after each of `changes`
        (`config.loader.watch`) and whenever `wanted` is set."""
        loops = (
            self._tick(),
            self._look(),
            self._certificates.renew(self._controller.warn),
            self._reload_after(changes),
            self._reload_when(wanted),
        )
        self._loops = [self._tasks.create_task(loop) for loop in loops]

    async def reload(self) -> None:
        """Reads the configuration again and puts it in force.

        Raises ConfigError, and JournalError where the change can't be recorded; nothing has changed then, and
        it shows in status, metrics and log. So does a file that trips this program itself.
        """
        async with self._reloading:
            try:
                loaded = await asyncio.to_thread(load, self._path, os.environ, self._certificates.files)
                config = with_fixed(loaded.config, self._loaded.config)
                await self._controller.apply(dataclasses.replace(loaded, config=config))
            except Exception as error:
                ours = None if isinstance(error, (ConfigError, JournalError)) else error
                _log.error(
                    "the configuration is refused, the one before stays in force:\n%s", error, exc_info=ours
                )
                self._controller.reject(error)
                raise
            self._certificates.use(config)
            self._prober.configure(checks_of(config))
            self._notices.configure(config.notify)
            _log.info("configuration %s is in force", loaded.digest)

    def shortfalls(self, name: str) -> tuple[str, ...]:
        """What is wrong now with sending everything to a deployment's trusted version. Raises Refused (404)."""
        deployment = self._controller.deployment(name)
        trusted = deployment.state.trusted
        unhealthy = self._supervisor.facts().down | self._ledger.ejected()
        in_flight = sum(row.in_flight for _, row in self._ledger.rows(name) if row.role == "live")
        return shortfalls(trusted, deployment.spec.versions[trusted], unhealthy, in_flight)

    def _set_log_level(self, level: str) -> None:
        """Of every process: this one, and those it watches over."""
        logs.set_level(level)
        self._supervisor.log_level(level)

    async def settle(self) -> None:
        """Nothing moves any more, by time or edit; the admin API goes on answering."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self._prober.close()
        await self._inquiries.close()

    def facts(self) -> ControlFacts:
        """What the metrics tell of the control plane."""
        return dataclasses.replace(self._controller.facts(), notices=self._notices.counts())

    async def close(self) -> None:
        """The admin API ends, then the journal is closed."""
        self._reception.close()
        await self._admin.cleanup()
        await self._notices.close()
        self._certificates.close()
        await self._controller.close()

    def _question(self, name: str) -> Question | None:
        """What gates elsewhere are told of a deployment; None where it is gone."""
        try:
            deployment = self._controller.deployment(name)
        except Refused:
            return None
        return question_of(deployment.course, deployment.state, self._controller.evidence(name))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            await self._controller.tick()
            self._holds.look(
                {
                    each.state.deployment: (each.state, self._controller.rulings(each.state.deployment))
                    for each in self._controller.deployments()
                }
            )

    async def _look(self) -> None:
        await asyncio.sleep(EVERY)  # until then adopted workers have told what they had counted
        while True:
            names = [each.state.deployment for each in self._controller.deployments()]
            spent = 0.0
            try:
                spent = await take(self._trends.look(names, time.time()))
            except Exception:  # no chart is worth a controller
                _log.exception("the trends that the page shows can't be kept")
            # Thousands of busy deployments are looked at less often, rather than for a large part of the time.
            await asyncio.sleep(max(EVERY, LOOKING * spent))

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


async def take(steps: Iterator[None]) -> float:
    """Takes all steps, and lets everything else go first between two of them: nothing waits for a look, least of all a
    rollback. The seconds of CPU they took: a machine that is busy otherwise is no reason to look less often."""
    spent, began = 0.0, time.thread_time()
    for _ in steps:
        spent += time.thread_time() - began
        await asyncio.sleep(0)
        began = time.thread_time()
    return spent + time.thread_time() - began


def with_fixed(wanted: Config, running: Config) -> Config:
    """The wanted configuration with what can't change as it is; says what would have changed."""
    fixed: dict[str, Any] = {name: getattr(running, name) for name in FIXED}
    if _places(wanted.listen) != _places(running.listen):
        fixed["listen"] = running.listen
    waiting = [name for name, value in fixed.items() if getattr(wanted, name) != value]
    if _places([wanted.admin]) != _places([running.admin]):
        # Tokens go with the address they guard: those of another address may be none at all.
        fixed["admin"] = running.admin
        waiting.append("admin")
    if waiting:
        _log.warning(
            "%s changed: this needs a restart of the router; everything else in the file takes effect now",
            ", ".join(waiting),
        )
    return wanted.model_copy(update=fixed)


def _places(listeners: Sequence[ListenSpec | AdminSpec]) -> list[tuple[str, bool]]:
    """Where each listens, and whether it speaks TLS there: what is bound cannot change either."""
    return [
        (each.address if isinstance(each, ListenSpec) else each.listen, each.tls is not None)
        for each in listeners
    ]
