"""A worker process: executes the snapshots its controller publishes, and goes on when the controller dies.

    python -m router.worker --channel FD

Floor 5. The first frame on the channel is Start; the listening sockets it names are inherited. Clients are accepted
once the first snapshot is in force. Without its controller the worker serves on with the last snapshot; a new
controller finds it by its rescue socket, gets the listening sockets, and speaks to it from then on.
"""

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path

import uvloop
from msgspec.structs import replace

from router import logs
from router.channel import (
    Applied,
    Certificates,
    Drain,
    EndpointsDown,
    Frame,
    Link,
    LogLevel,
    Orphan,
    Publish,
    Start,
    Tally,
    encode,
    keep,
)
from router.dataplane.door import raise_descriptor_limit
from router.dataplane.engine import Engine
from router.patterns.plan import decode_snapshot
from router.signals import leave_to_the_controller
from router.tls import CHECK_EVERY, ServerTls

TALLY_EVERY = 0.25
"""Seconds between two looks at what there is to report."""

UNREAD = 1 << 20
"""Bytes a controller may leave unread, one that is stopped, say, before it is told no more. Counts are cumulative: the
next tally makes up for those that were left out."""

_RESCUE_PAUSE = 0.05
"""Seconds until a new controller is received once more where it could not be: one waits a second for an answer."""

_log = logging.getLogger("router.worker")  # the module itself runs as __main__


class Worker:
    """The parts of one worker process and the frames that move them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._start: Start | None = None
        self._engine: Engine | None = None
        self._sockets: list[socket.socket] = []
        self._tls: list[ServerTls] = []
        self._controller: Link | None = None
        self._giving_up: asyncio.TimerHandle | None = None
        self._accepting = False
        self._draining: asyncio.Task[None] | None = None
        self._done = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, channel: socket.socket) -> None:
        """Until drained."""
        self._loop.add_signal_handler(signal.SIGTERM, self._on_sigterm)
        self._loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C is the controller's to answer
        _, self._controller = await self._loop.create_connection(
            lambda: Link(self._on_frame, self._on_controller_lost), sock=channel
        )
        await self._done.wait()
        if self._start is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._start.rescue)

    def _on_frame(self, link: Link, frame: Frame) -> None:
        match frame:
            case Start():
                self._begin(frame)
            case Publish() if self._engine is not None:
                self._engine.put_in_force(decode_snapshot(frame.snapshot))
                self._acknowledge(link, frame.generation)
            case EndpointsDown() if self._engine is not None:
                self._engine.runtime.set_down(frozenset(frame.urls))
            case Certificates():
                self._use_certificates(frame)
            case LogLevel():
                logs.set_level(frame.level)
            case Drain():
                self._drain(frame)

    def _begin(self, start: Start) -> None:
        self._start = start
        logs.configure(f"worker-{start.index}")
        self._engine = engine = Engine(self._loop, start.recorder, raise_descriptor_limit())
        engine.recorder.start()
        self._sockets = [socket.socket(fileno=listener.fd) for listener in start.listeners]
        self._spawn(self._await_rescue(start.rescue))
        self._report()

    def _acknowledge(self, link: Link, generation: int) -> None:
        """Says that the snapshot is in force; for the first one, once clients are accepted."""
        if self._accepting:
            link.send(Applied(generation))
        else:
            self._accepting = True
            self._spawn(self._accept(link, generation))

    async def _accept(self, link: Link, generation: int) -> None:
        assert self._engine is not None
        assert self._start is not None
        for sock, listener in zip(self._sockets, self._start.listeners, strict=True):
            if self._draining is not None:
                return  # told to stop before it was ready: the sockets are closed
            tls = ServerTls(listener.cert, listener.key) if listener.cert else None
            # A duplicate, so that the original can still be handed to a new controller after draining began.
            await self._engine.listen(sock.dup(), tls.context if tls is not None else None)
            self._tls += [tls] if tls is not None else []
        gc.collect()
        gc.freeze()  # what lives as long as the process is not looked at again
        self._renew_certificates()
        link.send(Applied(generation))

    def _use_certificates(self, wanted: Certificates) -> None:
        """Also before the sockets are listened on: their certificates are read when that begins."""
        assert self._start is not None
        listeners = [
            replace(each, cert=files[0], key=files[1]) if (files := wanted.files.get(each.address)) else each
            for each in self._start.listeners
        ]
        self._start = replace(self._start, listeners=tuple(listeners))
        for tls, listener in zip(self._tls, (each for each in listeners if each.cert), strict=False):
            tls.use(listener.cert, listener.key)

    def _renew_certificates(self) -> None:
        for tls in self._tls:
            tls.renew()
        self._loop.call_later(CHECK_EVERY, self._renew_certificates)

    def _report(self) -> None:
        assert self._engine is not None
        self._engine.weigh()
        link = self._controller
        if link is not None and link.connected and link.backlog < UNREAD:
            tally = self._engine.tally()
            if tally is not None:
                link.send(tally)
        self._loop.call_later(TALLY_EVERY, self._report)

    def _on_controller_lost(self, link: Link) -> None:
        if self._controller is link:
            self._controller = None
            if self._start is not None:
                self._giving_up = self._loop.call_later(self._start.orphan_timeout, self._give_up)
        if self._start is None:
            self._done.set()  # without Start there is nothing to serve, and no rescue socket to be found by

    def _give_up(self) -> None:
        assert self._start is not None
        _log.error(
            "no controller for %g s: nobody can steer this worker any more", self._start.orphan_timeout
        )
        self._drain(Drain(self._start.drain_timeout, close_idle=True))

    async def _await_rescue(self, path: str) -> None:
        """Answers a new controller with who we are and our listening sockets; then it is our controller."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.setblocking(False)
            server.bind(path)
            server.listen(4)
            while True:
                try:
                    connection, _ = await self._loop.sock_accept(server)
                except OSError:  # no descriptor is left: clients are served all the same
                    await asyncio.sleep(_RESCUE_PAUSE)
                else:
                    await self._introduce(connection)

    async def _introduce(self, connection: socket.socket) -> None:
        assert self._start is not None
        assert self._engine is not None
        # One that is leaving has given its sockets away, and only finishes what it has.
        listeners = self._start.listeners if self._draining is None else ()
        sockets = self._sockets if self._draining is None else []
        frame = Orphan(os.getpid(), self._start.index, self._engine.routes.generation, listeners)
        connection.setblocking(True)
        connection.settimeout(1.0)
        try:
            socket.send_fds(connection, [encode(frame)], [sock.fileno() for sock in sockets])
        except OSError:
            connection.close()
            return
        connection.setblocking(False)
        _, link = await self._loop.create_connection(
            lambda: Link(self._on_frame, self._on_controller_lost), sock=connection
        )
        self._controller = link
        if self._giving_up is not None:
            self._giving_up.cancel()
        self._engine.retell()

    def _on_sigterm(self) -> None:
        """A signal to the whole group is the controller's to answer, in order; an orphan answers it itself."""
        if self._controller is None:
            grace = self._start.drain_timeout if self._start is not None else 0.0
            self._drain(Drain(grace, close_idle=True))
        else:
            _log.info("SIGTERM ignored: the controller says when a worker drains (kill -9 replaces it)")

    def _drain(self, drain: Drain) -> None:
        if self._draining is None:
            for sock in self._sockets:
                sock.close()  # the engine listens on duplicates, and closes those now
            self._draining = self._loop.create_task(self._drain_and_leave(drain))
        elif drain.close_idle and self._engine is not None:
            self._engine.close_idle()

    async def _drain_and_leave(self, drain: Drain) -> None:
        if self._engine is not None:
            await self._engine.drain(drain.grace, close_idle=drain.close_idle)
            self._engine.retell()
            if (tally := self._engine.tally()) is not None:
                await self._leave_counts(tally)
        self._done.set()

    async def _leave_counts(self, all_counts: Tally) -> None:
        """In a file, since the controller may be dead, or die before it has kept them; and to one that lives."""
        assert self._start is not None
        try:
            keep(Path(self._start.last_counts), all_counts)
        except OSError as error:
            _log.warning("a controller that starts after this will count too little: %s", error)
        if (link := self._controller) is not None:
            link.send(all_counts)
            while link.backlog:
                await asyncio.sleep(0.01)

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Half a worker is worse than none: the controller replaces it.
            _log.critical("a task of this worker failed", exc_info=error)
            os._exit(70)


async def _run(channel: socket.socket) -> None:
    await Worker(asyncio.get_running_loop()).run(channel)


def main() -> None:
    """Entry point of `python -m router.worker`."""
    parser = argparse.ArgumentParser(prog="router.worker", description="started by `router serve`")
    parser.add_argument(
        "--channel", type=int, required=True, metavar="FD", help="socketpair to the controller"
    )
    arguments = parser.parse_args()
    leave_to_the_controller()
    uvloop.run(_run(socket.socket(fileno=arguments.channel)))


if __name__ == "__main__":
    main()
