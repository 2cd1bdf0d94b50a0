"""The controller's process: starts its parts, waits until it is told to stop, takes them down in order.

Floor 5. If a task of this process fails, it ends with status 1 and leaves the workers serving: whoever watches
over it (systemd, Kubernetes) starts it again, and the new controller takes the workers over.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import uvloop

import router
from router import logs
from router.config.loader import Loaded, load, watch
from router.control.listening import address_of, open_exclusive
from router.control.runtime import RuntimeDirectory
from router.control.supervisor import Supervisor
from router.errors import ConfigError, RouterError
from router.rollout.journal import Journal
from router.telemetry.ledger import Ledger

_log = logging.getLogger(__name__)

GRACE = 30.0
"""Seconds that requests in flight have to end when the router stops."""

_START = 30.0
"""Seconds until every worker serves, or the start has failed."""

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def serve(config_path: Path) -> None:
    """`run` on uvloop; raises SystemExit with its status."""
    raise SystemExit(uvloop.run(run(config_path)))


async def run(config_path: Path) -> int:
    """Routes traffic as the file (or directory) says, until SIGTERM or SIGINT; SIGHUP reads it again.

    Returns the exit status: 0 stopped as asked, 1 failed (standard error says why), 2 the configuration is
    refused (standard error says everything that is wrong with it).
    """
    logs.configure("controller")
    changes = watch(config_path)
    try:
        loaded = load(config_path, os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        async with asyncio.TaskGroup() as tasks:
            await _serve(config_path, loaded, changes, tasks)
    except BaseExceptionGroup as failures:
        expected, others = failures.split(RouterError)
        for failure in _leaves(expected):
            _log.critical("%s", failure)
        if others is not None:
            _log.critical("failed; workers serve on until the next controller takes over", exc_info=others)
        return 1
    return 0


async def _serve(
    path: Path, loaded: Loaded, changes: AsyncGenerator[None, None], tasks: asyncio.TaskGroup
) -> None:
    config, ledger = loaded.config, Ledger()
    # What may be refused comes first: nothing an earlier controller left running has been touched then.
    runtime = RuntimeDirectory(Path(config.state.path))
    journal = Journal(Path(config.state.path))
    admin = open_exclusive(config.admin.listen)
    supervisor = Supervisor(runtime, ledger, tasks)
    signals = Signals(supervisor)
    workers = usable_cpus() if config.workers == "auto" else config.workers
    await supervisor.start(config.listen, workers)
    # The heavy half is imported only now, while the worker processes start.
    from router.control.plane import ControlPlane  # noqa: PLC0415

    plane = ControlPlane(
        path, loaded, journal=journal, supervisor=supervisor, ledger=ledger, workers=workers, tasks=tasks
    )
    try:
        await plane.start(admin)
        ready = await _serving(supervisor, signals.stop)
    except RouterError:
        await supervisor.abandon()
        raise
    if ready:
        places = ", ".join(supervisor.addresses)
        print(
            f"router {router.__version__} is ready: {places} (workers: {workers}), "
            f"admin http://{address_of(admin[0])}",
            flush=True,
        )
        plane.go_on(changes, signals.reload)
        await signals.stop.wait()
    _log.info("stopping: requests in flight have %g s", GRACE)
    await plane.settle()
    await supervisor.stop(GRACE)
    await plane.close()


class Signals:
    """SIGTERM and SIGINT set `stop`, a second one ends all workers at once; SIGHUP sets `reload`."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.stop = asyncio.Event()
        self.reload = asyncio.Event()
        self._supervisor = supervisor
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)

    def _on_stop(self) -> None:
        if self.stop.is_set():
            _log.warning("told to stop once more: not waiting for requests in flight")
            self._supervisor.kill()
        self.stop.set()


async def _serving(supervisor: Supervisor, stop: asyncio.Event) -> bool:
    """True once every worker serves, False when told to stop before. Raises RouterError when it takes long."""
    serving, stopped = asyncio.create_task(supervisor.serving()), asyncio.create_task(stop.wait())
    done, late = await asyncio.wait((serving, stopped), timeout=_START, return_when=asyncio.FIRST_COMPLETED)
    for task in late:
        task.cancel()
    if not done:
        raise RouterError(f"the workers do not serve after {_START:g} s: the lines above may say why")
    return not stop.is_set()


def usable_cpus() -> int:
    """CPUs this process may use: its affinity, and the quota of its container where there is one."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = _QUOTA.read_text().split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else max(1, min(allowed, round(int(quota) / int(period))))


def _leaves(group: BaseExceptionGroup[RouterError] | None) -> Iterator[RouterError]:
    for error in group.exceptions if group is not None else ():
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
