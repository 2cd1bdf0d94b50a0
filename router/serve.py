"""The controller's process: starts its parts, waits until it is told to stop, takes them down in order.

Floor 5. If a task of this process fails, it ends with status 1 and leaves the workers serving: whoever watches
over it (systemd, Kubernetes) starts it again, and the new controller takes the workers over.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path

import uvloop

import router
from router import logs
from router.config.loader import Loaded, load, watch
from router.control.handover import take_over
from router.control.listening import address_of, open_exclusive
from router.control.runtime import RuntimeDirectory
from router.control.supervisor import Commands, Lifetimes, Supervisor
from router.dataplane.door import raise_descriptor_limit
from router.errors import ConfigError, RouterError
from router.rollout.journal import Journal
from router.telemetry.ledger import Ledger

_log = logging.getLogger(__name__)

_START = 30.0
"""Seconds until every worker serves, or the start has failed."""

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


class HandedOver(Exception):
    """Told to leave the workers to the next controller."""


def serve(config_path: Path, *, instead: bool = False) -> None:
    """`run` on uvloop; raises SystemExit with its status."""
    raise SystemExit(uvloop.run(run(config_path, instead=instead)))


async def run(config_path: Path, *, instead: bool = False) -> int:
    """Routes traffic as the file (or directory) says, until SIGTERM or SIGINT; SIGHUP reads it again.

    `instead` takes the place of the controller that runs with the same state, without a pause for clients; SIGUSR2
    makes room for such a one. Returns the exit status: 0 stopped as asked, 1 failed (standard error says why), 2
    the configuration is refused (standard error says everything that is wrong with it).
    """
    logs.configure("controller")
    changes = watch(config_path)
    try:
        named = Named(os.environ)
        loaded = load(config_path, named)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        async with asyncio.TaskGroup() as tasks:
            if instead:
                await asyncio.to_thread(take_over, Path(loaded.config.state.path))
            await _serve(config_path, loaded, changes, tasks, named.others())
    except BaseExceptionGroup as failures:
        if failures.subgroup(HandedOver) is not None:
            return 0
        expected, others = failures.split(RouterError)
        for failure in _leaves(expected):
            _log.critical("%s", failure)
        if others is not None:
            _log.critical("failed; workers serve on until the next controller takes over", exc_info=others)
        return 1
    return 0


class Named(Mapping[str, str]):
    """An environment that remembers which variables somebody asked for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self._asked.add(name)
        return self._environ[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)

    def others(self) -> dict[str, str]:
        """What nobody asked for."""
        return {name: self._environ[name] for name in self._environ if name not in self._asked}


async def _serve(
    path: Path,
    loaded: Loaded,
    changes: AsyncGenerator[None, None],
    tasks: asyncio.TaskGroup,
    environ: Mapping[str, str],
) -> None:
    """`environ` is what other processes get: what the configuration names may be secret, and is not their business."""
    config, ledger = loaded.config, Ledger()
    raise_descriptor_limit()  # each process, check and call to the admin API takes some
    # What may be refused comes first: nothing an earlier controller left running has been touched then.
    runtime = RuntimeDirectory(Path(config.state.path))
    journal = Journal(Path(config.state.path))
    admin = open_exclusive(config.admin.listen)
    lifetimes = Lifetimes(config.drain_timeout, config.orphan_timeout)
    supervisor = Supervisor(runtime, ledger, tasks, Commands(environ=environ), lifetimes)
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
            f"admin {'https' if config.admin.tls else 'http'}://{address_of(admin[0])}",
            flush=True,
        )
        plane.go_on(changes, signals.reload)
        await signals.stop.wait()
    if signals.leaving:
        _log.info("handing over: workers serve on until the next controller takes them")
        await plane.settle()
        await plane.close()
        raise HandedOver
    _log.info("stopping: requests in flight have %g s", lifetimes.drain)
    await plane.settle()
    await supervisor.stop(lifetimes.drain)
    await plane.close()


class Signals:
    """SIGTERM and SIGINT set `stop`, a second one ends all workers at once; SIGHUP sets `reload`. SIGUSR2 sets `stop`
    too, and `leaving`: the workers stay."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.stop = asyncio.Event()
        self.reload = asyncio.Event()
        self.leaving = False
        self._supervisor = supervisor
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)
        loop.add_signal_handler(signal.SIGUSR2, self._on_leave)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # with others it means that logs are opened anew

    def _on_leave(self) -> None:
        if not self.stop.is_set():
            self.leaving = True
            self.stop.set()

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
