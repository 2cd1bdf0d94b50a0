"""Starts the workers and the recorder, watches them, replaces what dies, and brings snapshots into force.

Floor 4. A worker slot owns its listening sockets for the life of the program; the processes in it come and
go. Invariants: a worker that may be serving has the newest snapshot within CONFIRM seconds or is killed; no
worker accepts before it has it; no connection is lost with the process that did not accept it.
"""

import asyncio
import logging
import secrets
import socket
import sys
from collections import Counter
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from router.channel import Certificates, EndpointsDown, Erase, LogLevel, Publish, RecorderSettings, Start
from router.config.schema import ListenSpec
from router.control.adoption import Found, find_orphans
from router.control.counts import KeptCounts
from router.control.erasures import Erasures
from router.control.handles import Handle, RecorderHandle, WorkerHandle, WorkerState
from router.control.listening import address_of, open_slots
from router.control.posts import STEADY, Backoff, Post, Slot
from router.control.processes import Child
from router.control.runtime import RuntimeDirectory
from router.control.terms import Confirmation
from router.errors import Refused
from router.telemetry.exposition import FleetFacts
from router.telemetry.ledger import Ledger

_log = logging.getLogger(__name__)

CONFIRM = 1.0
"""Seconds a worker has to confirm a snapshot."""

HANDOVER = 600.0
"""Seconds a worker has to finish what is in flight after a new one took its sockets over."""

_FLUSH = 10.0
"""Seconds the recorder has, once the workers are gone, to write what it holds."""

_LAST_FLUSH = 1.0
"""The same, where nobody wants to wait."""


@dataclass(frozen=True, slots=True)
class Commands:
    """The command lines of the other processes, without `--channel` and what follows, and their environment: None is
    this one's own. `-P`: they are of this same installation, whatever lies in the directory this was started in."""

    worker: tuple[str, ...] = (sys.executable, "-P", "-m", "router.worker")
    recorder: tuple[str, ...] = (sys.executable, "-P", "-m", "router.recorder")
    environ: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """What workers do at the end: seconds that requests in flight have, and that an orphan waits for a controller."""

    drain: float = 30.0
    orphan: float = 3600.0


class Supervisor:
    """The fleet. Its tasks run in `tasks`: if one of them fails, the group's owner learns of it.

    Counts of all processes go to `ledger`.
    """

    def __init__(
        self,
        runtime: RuntimeDirectory,
        ledger: Ledger,
        tasks: asyncio.TaskGroup,
        commands: Commands | None = None,
        lifetimes: Lifetimes | None = None,
    ) -> None:
        self._runtime = runtime
        self._ledger = ledger
        self._tasks = tasks
        self._commands = commands or Commands()
        self._lifetimes = lifetimes or Lifetimes()
        self._slots: list[Slot] = []
        self._leaving: list[WorkerHandle] = []  # orphans, and those that were replaced
        self._newcomers: list[WorkerHandle] = []  # they take a slot over once they serve
        self._replacing = asyncio.Lock()
        self._counts = KeptCounts(runtime, ledger)
        self._recorder: RecorderHandle | None = None
        self.erasures = Erasures(self._send_erase)
        self._newest: Publish | None = None
        self._down = EndpointsDown(())
        self._settings: RecorderSettings | None = None
        self._log_level: LogLevel | None = None
        self._restarts: Counter[str] = Counter()
        self._dying: dict[tuple[str, int], str] = {}
        self._serving = asyncio.Event()
        self._stopping = asyncio.Event()

    async def start(self, listen: Sequence[ListenSpec], workers: int) -> None:
        """Adopts the workers an earlier controller left, binds what is missing, starts the processes.

        Raises RouterError when an address can't be bound. Returns before the workers serve: they do once
        something is published (`serving` waits for it).
        """
        found = await find_orphans(self._runtime.workers())
        self._counts.resume({orphan.rescue.stem for orphan in found})
        adopted = [sock for orphan in found for sock in orphan.sockets]
        slots = open_slots(listen, workers, adopted)
        self._slots = [Slot(index, sockets) for index, sockets in enumerate(slots)]
        for orphan in found:
            await self._adopt(orphan)
        # A recorder of an earlier controller may still listen there: it keeps its workers, and gets no new ones.
        self._runtime.recorder.unlink(missing_ok=True)
        self._tasks.create_task(self._keep(Post("recorder", 0, self._start_recorder, lambda _: True)))
        for slot in self._slots:
            self._tasks.create_task(self._keep(self._post_of(slot)))

    @property
    def addresses(self) -> list[str]:
        """Where the data plane listens, as bound: port 0 has become a number."""
        sockets = self._slots[0].sockets if self._slots else []
        return list(dict.fromkeys(address_of(found.socket) for found in sockets))

    @property
    def adopted_generation(self) -> int:
        """The newest generation an orphan has in force; the next one published must be above it."""
        return max((orphan.applied for orphan in self._leaving), default=0)

    async def serving(self) -> None:
        """Returns once every slot has had a worker with the newest snapshot in force."""
        await self._serving.wait()

    def all_serving(self) -> bool:
        """Whether every slot has a worker now that serves and is going to stay."""
        workers = [slot.worker for slot in self._slots if slot.worker is not None]
        alive = [worker for worker in workers if not worker.ended.is_set()]
        return [worker.state for worker in alive] == [WorkerState.SERVING] * len(self._slots)

    def troubles(self) -> tuple[str, ...]:
        """Which processes die again and again, and how: one sentence each."""
        return tuple(self._dying.values())

    async def replace_workers(self) -> int:
        """Puts a new process in the place of every worker, one after the other; returns how many.

        Each takes over once it has the newest snapshot in force; the one before finishes what it has, within
        HANDOVER. Raises Refused (503) where a new one does not come to serve: the one before goes on then.
        """
        async with self._replacing:
            for slot in self._slots:
                await self._replace(slot)
            return len(self._slots)

    def publish(self, generation: int, snapshot: bytes) -> Coroutine[Any, Any, Confirmation]:
        """Sends a snapshot to every worker, now; what is returned ends when none can serve an older one any more.

        That takes CONFIRM seconds at most and the death of those that were too slow. Calls may overlap: the
        highest generation wins, and brings those below it to their end. Goes on when the caller is cancelled.
        """
        live = [worker for worker in self._workers() if worker.is_live(generation)]
        if self._newest is None or generation > self._newest.generation:
            self._newest = Publish(generation, snapshot)
            for worker in self._workers():
                worker.publish(self._newest, self._down)
        return self._settled(live, generation)

    async def _settled(self, live: Iterable[WorkerHandle], generation: int) -> Confirmation:
        settled = [self._tasks.create_task(_settle(worker, generation)) for worker in live]
        answers = [answer for answer in await asyncio.shield(asyncio.gather(*settled)) if answer is not None]
        return Confirmation(len(answers), sum(answers))

    def endpoints_down(self, urls: Iterable[str]) -> None:
        """Tells every worker which endpoints fail their active check now: all of them, each time."""
        self._down = EndpointsDown(tuple(urls))
        for worker in self._workers():
            worker.link.send(self._down)

    def recorder_settings(self, settings: RecorderSettings) -> None:
        """Tells the recorder, and every recorder that follows it, what to do with captures."""
        self._settings = settings
        if self._recorder is not None:
            self._recorder.link.send(settings)

    def certificates(self, listen: Sequence[ListenSpec]) -> None:
        """Handshakes use the certificates that these entries name from now on; workers that leave have no more."""
        files = {each.address: (each.tls.cert, each.tls.key) for each in listen if each.tls is not None}
        for slot in self._slots:
            slot.sockets = [each.served_by(listen) for each in slot.sockets]
        for worker in (*(slot.worker for slot in self._slots), *self._newcomers):
            if worker is not None and files:
                worker.link.send(Certificates(files))

    def log_level(self, level: str) -> None:
        """What every process says at least from now on, those that are started later too."""
        self._log_level = LogLevel(level)
        for handle in (*self._workers(), self._recorder):
            if handle is not None:
                handle.link.send(self._log_level)

    def facts(self) -> FleetFacts:
        """What the metrics show of the fleet."""
        states = Counter(worker.state for worker in self._workers())
        return FleetFacts(
            workers={state.value: states[state] for state in WorkerState},
            restarts=self._restarts["worker"],
            crash_loops={"worker": 0, "recorder": 0} | Counter(role for role, _ in self._dying),
            down=frozenset(self._down.urls),
        )

    async def stop(self, grace: float) -> None:
        """Workers finish what is in flight, within `grace` seconds; then the recorder, which has all captures
        by then."""
        self._stopping.set()
        for slot in self._slots:
            for found in slot.sockets:
                found.socket.close()
        await asyncio.gather(*(worker.drain(grace, close_idle=True) for worker in self._workers()))
        if self._recorder is not None:
            await self._recorder.drain(_FLUSH, close_idle=True)
        self._runtime.recorder.unlink(missing_ok=True)
        self._counts.clear()

    async def abandon(self) -> None:
        """Ends what this supervisor started and leaves orphans serving: the start has failed."""
        self._stopping.set()
        started = [slot.worker for slot in self._slots if slot.worker is not None] + self._newcomers
        for handle in (*started, self._recorder):
            if handle is not None:
                await handle.kill()

    def kill(self) -> None:
        """Ends every worker at once, for an impatient operator, and the recorder soon; a `stop` that waits for them
        returns. What the recorder can't write in that time is on its disk for the next one."""
        for worker in self._workers():
            worker.process.kill()
        if self._recorder is not None:
            asyncio.get_running_loop().call_later(_LAST_FLUSH, self._recorder.process.kill)

    def _workers(self) -> list[WorkerHandle]:
        known = [slot.worker for slot in self._slots if slot.worker is not None]
        everyone = known + self._newcomers + self._leaving
        return [worker for worker in everyone if not worker.ended.is_set()]

    def _post_of(self, slot: Slot) -> Post:
        return Post("worker", slot.index, partial(self._start_worker, slot), slot.is_held_by)

    async def _keep(self, post: Post, handle: Handle | None = None) -> None:
        """Has one process at a post, this one first, until the program stops or another one was given the post."""
        clock, backoff, last = asyncio.get_running_loop().time, Backoff(), handle
        while not self._stopping.is_set():
            born = clock()
            try:
                handle = last = handle or await post.start()
            except OSError as error:
                died = f"a {post.role} can't be started: {error}"
            else:
                died = f"{handle} died: {await self._live(post, handle)}"
                handle = None
            if self._stopping.is_set() or not post.is_held_by(last):
                return
            pause = backoff.after(clock() - born)
            self._restarts[post.role] += 1
            when = f"in {pause:g} s" if pause else "now"
            _log.error("%s; starting another %s", died, when)
            if pause:
                self._dying[post.key] = f"{died}; another starts {when}"
            await self._pause(pause)
            if not post.is_held_by(last):
                return  # given to another one meanwhile, which has a task like this one of its own

    async def _live(self, post: Post, handle: Handle) -> str:
        """A life of a process, from its start to its end; returns how it ended."""
        if self._stopping.is_set():
            handle.process.kill()
        grown_up = asyncio.get_running_loop().call_later(STEADY, self._dying.pop, post.key, None)
        try:
            how = await handle.run()
        finally:
            grown_up.cancel()
        self._gone(handle)
        return how

    def _gone(self, handle: Handle) -> None:
        self._counts.gone(handle.name)
        if not self._stopping.is_set():
            self._tasks.create_task(self._counts.keep())

    async def _replace(self, slot: Slot) -> None:
        if self._stopping.is_set():
            raise Refused(503, "the router is stopping: no worker is started any more")
        try:
            new = await self._new_worker(slot)
        except OSError as error:
            raise Refused(503, f"a worker can't be started: {error}; the ones before go on") from error
        self._newcomers.append(new)
        self._tasks.create_task(self._keep(self._post_of(slot), new))
        try:
            serves = await new.confirms(self._newest.generation if self._newest is not None else 1)
        finally:
            self._newcomers.remove(new)
        if not serves:
            raise Refused(503, f"{new} does not serve: see the log. The workers not replaced yet go on")
        old, slot.worker = slot.worker, new
        self._dying.pop(("worker", slot.index), None)
        _log.info("%s takes over from %s", new, old)
        if old is not None and not old.ended.is_set():
            self._let_go(old)

    def _let_go(self, worker: WorkerHandle) -> None:
        self._leaving.append(worker)
        self._tasks.create_task(self._see_off(worker))

    async def _see_off(self, worker: WorkerHandle) -> None:
        await worker.drain(HANDOVER, close_idle=False)
        self._leaving.remove(worker)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def _start_worker(self, slot: Slot) -> Handle:
        before, worker = slot.worker, await self._new_worker(slot)
        if slot.worker is before:
            slot.worker = worker
        else:  # given to another one meanwhile
            self._let_go(worker)
        return worker

    async def _new_worker(self, slot: Slot) -> WorkerHandle:
        rescue = self._runtime.new_worker(slot.index)
        sockets = [found.socket.fileno() for found in slot.sockets]
        process, channel = _spawn(self._commands.worker, sockets, self._commands.environ)
        worker = WorkerHandle(
            rescue.stem, process, rescue, on_tally=self._ledger.tally, on_applied=self._on_applied
        )
        await _connect(worker, channel)
        listeners = tuple(found.listener() for found in slot.sockets)
        worker.link.send(
            Start(
                slot.index,
                listeners,
                str(self._runtime.recorder),
                str(rescue),
                str(self._runtime.last_counts_of(worker.name)),
                self._lifetimes.drain,
                self._lifetimes.orphan,
            )
        )
        if self._log_level is not None:
            worker.link.send(self._log_level)
        if self._newest is not None:
            worker.publish(self._newest, self._down)
        return worker

    def _send_erase(self, order: Erase) -> bool:
        if self._recorder is None or not self._recorder.link.connected:
            return False
        self._recorder.link.send(order)
        return True

    async def _start_recorder(self) -> Handle:
        self.erasures.recorder_gone()
        command = (*self._commands.recorder, "--listen", str(self._runtime.recorder))
        process, channel = _spawn(command, [], self._commands.environ)
        name = f"recorder-{secrets.token_hex(4)}"
        recorder = RecorderHandle(name, process, self._ledger.recorder_tally, self.erasures.take)
        await _connect(recorder, channel)
        if self._log_level is not None:
            recorder.link.send(self._log_level)
        if self._settings is not None:
            recorder.link.send(self._settings)
        self._recorder = recorder
        return recorder

    async def _adopt(self, found: Found) -> None:
        orphan = WorkerHandle(
            found.rescue.stem,
            found.process,
            found.rescue,
            on_tally=self._ledger.tally,
            on_applied=self._on_applied,
            generation=found.orphan.generation,
        )
        self._leaving.append(orphan)
        self._tasks.create_task(self._outlive(orphan))
        await _connect(orphan, found.channel)

    async def _outlive(self, orphan: WorkerHandle) -> None:
        await orphan.run()
        self._leaving.remove(orphan)
        self._gone(orphan)
        _log.info("%s, left by an earlier controller, has ended", orphan)

    def _on_applied(self) -> None:
        """Once the newest snapshot is in force in every slot, orphans have nothing to stay for."""
        newest = self._newest.generation if self._newest is not None else 0
        if not all(slot.worker is not None and slot.worker.applied >= newest for slot in self._slots):
            return
        self._serving.set()
        for orphan in self._leaving:
            if not orphan.draining:
                self._tasks.create_task(orphan.drain(HANDOVER, close_idle=False))


async def _settle(worker: WorkerHandle, generation: int) -> bool | None:
    """True when the worker confirmed in time, None when it had been told to leave and has left; else it is dead
    when this returns."""
    try:
        async with asyncio.timeout(CONFIRM):
            confirmed = await worker.confirms(generation)
            return None if worker.draining and not confirmed else confirmed
    except TimeoutError:
        _log.error("%s did not confirm generation %d within %g s: killing it", worker, generation, CONFIRM)
        await worker.kill()
        return False


def _spawn(
    command: tuple[str, ...], pass_fds: list[int], environ: Mapping[str, str] | None
) -> tuple[Child, socket.socket]:
    """A new process, and this end of the channel to it."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    try:
        with theirs:
            fd = theirs.fileno()
            return Child((*command, "--channel", str(fd)), (fd, *pass_fds), environ), ours
    except OSError:
        ours.close()
        raise


async def _connect(handle: Handle, channel: socket.socket) -> None:
    await asyncio.get_running_loop().create_unix_connection(lambda: handle.link, sock=channel)
