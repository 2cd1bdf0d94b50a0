"""The recorder: one process that takes captured exchanges from the workers and writes pairs.

    python -m router.recorder --channel FD --listen PATH

Floor 5. It builds its parts and lends them the clock, the loop and two threads; what is done with a capture is
`pairs.pipeline`. Started by the supervisor with one end of a socketpair as FD: RecorderSettings, Erase and Drain come
in, RecorderTally and Erasing go out. Workers connect to the Unix socket PATH and send Captures; it appears there
(bound under another name and renamed) once the settings are known and what a killed recorder left is taken up.

It leaves when the channel is gone and no worker is connected any more: workers outlive their controller. On Drain
it goes on until the workers have hung up or the grace is over, writes what it has, and exits 0. SIGTERM and SIGINT
are for the controller to judge. Without one a SIGTERM changes nothing either: the recorder is leaving already, as soon
as its workers have, and they alone know how long their drain may take. After a kill -9 the next recorder takes up the
spool; each capture ends in the log once.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import uvloop
from msgspec.structs import replace

from router import logs
from router.channel import (
    Capture,
    Drain,
    Erase,
    Frame,
    Half,
    Link,
    LogLevel,
    RecorderSettings,
    RecorderTally,
    SinkTally,
    Taken,
)
from router.pairs.erasing import Eraser
from router.pairs.forgotten import Forgotten
from router.pairs.halves import opened
from router.pairs.joining import Joiner
from router.pairs.pipeline import Key, Pipeline
from router.pairs.reading import written
from router.pairs.segments import deployments
from router.pairs.sinks import decode_sinks, jsonl
from router.pairs.sinks.outlets import Outlets, clear
from router.pairs.sources import Sources
from router.pairs.spool import Segment, Spool, captures, started
from router.signals import leave_to_the_controller

_log = logging.getLogger("router.recorder")  # the module itself runs as __main__

_TICK = 0.25
"""Seconds between tallies, and between looks at deadlines and ages."""

UNREAD = 1 << 20
"""Bytes a controller may leave unread before it is told no more; the next tally makes up for what was left out."""

_TURN = 0.005
"""Seconds of writing pairs for which every link has a turn. In one it reads 256 KiB at most: with one turn after each
slice, some pairs of 10 MiB would leave unread what all others send, until the workers drop it."""

_SETTLE = 0.5
"""Seconds between fsyncs, so that with the time one takes there is at least one a second."""

_CLEAN = 60.0
"""Seconds between looks for segments that are too old or were never packed."""

_DELIVER = 3.0
"""Seconds the sinks beside the file have, at the end, for what waits; the rest stays on disk."""

_MAX_PATH = 107
"""Bytes in the path of a Unix socket on Linux."""

_NEW = ".new"
"""Ends the name of the socket until it is renamed into place."""

_MARGIN = 60.0
"""Seconds by which file times may be off against the clock that named a spool segment."""


class Recorder:
    """The process's parts and their lives. `run` returns when the process should end."""

    def __init__(self, listen: Path) -> None:
        self._listen = listen
        self._channel = Link(self._on_channel, lambda _: self._changed.set())
        self._workers: set[Link] = set()
        self._untold: Counter[Link] = Counter()
        self._settings: RecorderSettings | None = None
        self._leave_at: float | None = None
        self._changed = asyncio.Event()
        self._arrived = asyncio.Event()
        self._rearrange = asyncio.Event()
        self._told: tuple[SinkTally, ...] = ()
        self._store: _Store | None = None
        # Packing a large segment must not hold up the next fsync.
        self._disk = ThreadPoolExecutor(1, "fsync")
        self._packer = ThreadPoolExecutor(1, "pack")
        self._erasures: set[asyncio.Task[None]] = set()

    async def run(self, channel: socket.socket) -> None:
        """Records until the process should end. Raises OSError when it cannot listen."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._on_sigterm)
        await loop.create_unix_connection(lambda: self._channel, sock=channel)
        while self._settings is None:
            if self._is_over():
                return
            await self._change()
        store = self._store = _Store(self._settings)
        await store.arrange()
        await self._take_up(store)
        with _appear(self._listen) as listener:
            server = await loop.create_unix_server(self._accept, sock=listener)
            os.rename(_new_name(self._listen), self._listen)
            await self._record(store)
            server.close()
        await self._finish(store)

    async def _record(self, store: "_Store") -> None:
        """Works until the process should end; a task that fails takes the process down, to be replaced."""
        work = [
            asyncio.create_task(self._until_over(), name="over"),
            asyncio.create_task(self._write_pairs(store), name="write"),
            asyncio.create_task(self._tick(store), name="tick"),
            asyncio.create_task(self._settle(store), name="settle"),
            asyncio.create_task(self._arrange(store), name="arrange"),
        ]
        done, pending = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()

    async def _take_up(self, store: "_Store") -> None:
        """Replays what a killed recorder left, and packs the segments it was writing."""
        self._packer.submit(_keep_house, store.path, store.keep)
        leftovers = store.spool.leftovers()
        if not leftovers:
            return
        keys = await asyncio.to_thread(_written, store.path, leftovers)
        for segment in leftovers:
            store.pipeline.recover(segment, keys, time.monotonic())
            while store.pipeline.work(time.time()):
                await asyncio.sleep(0)

    async def _write_pairs(self, store: "_Store") -> None:
        while True:
            began = time.monotonic()
            if store.pipeline.work(time.time()):
                await _let_links_read(time.monotonic() - began)
            else:
                self._arrived.clear()
                await self._arrived.wait()

    async def _tick(self, store: "_Store") -> None:
        while True:
            await asyncio.sleep(_TICK)
            store.pipeline.expire(time.monotonic())
            self._arrived.set()
            store.sink.rotate(time.time())
            self._report(store)

    async def _arrange(self, store: "_Store") -> None:
        """Follows the settings of the sinks beside the file."""
        while True:
            await self._rearrange.wait()
            self._rearrange.clear()
            await store.arrange()

    async def _settle(self, store: "_Store") -> None:
        loop = asyncio.get_running_loop()
        clean_at, trouble = time.monotonic() + _CLEAN, ""
        while True:
            await asyncio.sleep(_SETTLE)
            try:
                await loop.run_in_executor(self._disk, store.sink.settle)
            except OSError as error:
                if str(error) != trouble:
                    _log.warning("pairs are not durable: %s", error)
                trouble = str(error)
            else:
                trouble = ""
            for path in store.sink.take_ended():
                self._packer.submit(_pack, path)
            if time.monotonic() >= clean_at:
                clean_at = time.monotonic() + _CLEAN
                self._packer.submit(_keep_house, store.path, store.keep)

    async def _finish(self, store: "_Store") -> None:
        store.pipeline.finish(time.monotonic(), time.time())
        try:
            await asyncio.get_running_loop().run_in_executor(self._disk, store.sink.close)
        except OSError as error:
            _log.error("the last pairs may not be durable: %s", error)
        store.spool.close()
        await store.outlets.close(_DELIVER)
        self._report(store)
        self._channel.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                while self._channel.connected:
                    await self._change()
        self._disk.shutdown()
        self._packer.shutdown(cancel_futures=True)  # the next recorder packs what is left

    def _report(self, store: "_Store") -> None:
        if not self._channel.connected or self._channel.backlog >= UNREAD:
            return
        tally, sinks = store.pipeline.tally(), store.outlets.tallies()
        if tally is not None or sinks != self._told:
            self._told = sinks
            self._channel.send(replace(tally or RecorderTally((), ()), sinks=sinks))

    def _on_channel(self, _: Link, frame: Frame) -> None:
        if isinstance(frame, Drain):
            self._leave(frame.grace)
        elif isinstance(frame, RecorderSettings):
            self._settings = frame
            if self._store is not None:
                self._store.configure(frame)
                self._rearrange.set()
            self._changed.set()
        elif isinstance(frame, LogLevel):
            logs.set_level(frame.level)
        elif isinstance(frame, Erase) and self._store is not None:
            self._erase(self._store, frame)

    def _erase(self, store: "_Store", order: Erase) -> None:
        eraser = Eraser(store.pipeline, store.outlets, store.spool, store.sink, self._disk, self._packer)
        task = asyncio.get_running_loop().create_task(eraser.erase(order, store.path, self._channel.send))
        self._erasures.add(task)
        task.add_done_callback(self._erasures.discard)

    def _accept(self) -> Link:
        link = Link(self._on_worker, self._on_worker_lost)
        self._workers.add(link)
        return link

    def _on_worker(self, link: Link, frame: Frame) -> None:
        if isinstance(frame, Half):
            frame = opened(frame)
        if isinstance(frame, Capture) and self._store is not None:
            self._store.pipeline.take(frame, time.monotonic())
            self._arrived.set()
            if link not in self._untold:
                # Once for all that came in one read.
                asyncio.get_running_loop().call_soon(self._tell, link)
            self._untold[link] += 1

    def _tell(self, link: Link) -> None:
        link.send(Taken(self._untold.pop(link)))

    def _on_worker_lost(self, link: Link) -> None:
        self._workers.discard(link)
        self._changed.set()

    def _on_sigterm(self) -> None:
        """A signal to the whole group is the controller's to answer: workers still have captures to hand over."""
        if self._channel.connected:
            _log.info("SIGTERM ignored: the controller says when the recorder ends (kill -9 replaces it)")
        else:
            _log.info("SIGTERM: the recorder ends when its workers have; there are %d", len(self._workers))

    def _leave(self, grace: float) -> None:
        self._leave_at = time.monotonic() + grace
        self._changed.set()

    def _is_over(self) -> bool:
        if self._leave_at is not None and time.monotonic() >= self._leave_at:
            return True
        wanted = self._channel.connected and self._leave_at is None
        return not wanted and not self._workers

    async def _until_over(self) -> None:
        while not self._is_over():
            await self._change()

    async def _change(self) -> None:
        """Waits until something may have changed about the end of this process, at most until the grace is over."""
        with suppress(TimeoutError):
            rest = None if self._leave_at is None else max(0.0, self._leave_at - time.monotonic())
            async with asyncio.timeout(rest):
                await self._changed.wait()
        self._changed.clear()


class _Store:
    """The pipeline with the files it writes to."""

    def __init__(self, settings: RecorderSettings) -> None:
        self.path = Path(settings.path)
        self.keep = settings.keep
        self.sinks = settings.sinks
        self.outlets = Outlets(self.path, self.keep)
        self.sink = jsonl.JsonlSink(self.path, settings.rotate_size, settings.rotate_every)
        self.spool = Spool(self.path)
        self.forgotten, self.sources = Forgotten(self.path), Sources(self.path)
        self.pipeline = Pipeline(
            self.spool, self.sink, Joiner(), self.outlets.offer, self.sources, forgotten=self.forgotten
        )
        self._follow(settings)

    def configure(self, settings: RecorderSettings) -> None:
        self.keep, self.sinks = settings.keep, settings.sinks
        self.sink.rotate_size, self.sink.rotate_every = settings.rotate_size, settings.rotate_every
        if Path(settings.path) != self.path:
            self.path = Path(settings.path)
            self.sink.move(self.path)
            self.spool.move(self.path)
            self.sources.move(self.path)
            self._remember()
        self._follow(settings)

    def _remember(self) -> None:
        try:
            self.forgotten.move(self.path)
        except OSError as error:
            _log.warning("a recorder after this one will not know whom to forget: %s", error)

    def _follow(self, settings: RecorderSettings) -> None:
        self.pipeline.configure(settings)
        try:
            self.sources.keep(self.pipeline.deployments())
        except OSError as error:
            _log.warning(
                "once they are removed, it is not known whose the records of deployments are: %s", error
            )

    async def arrange(self) -> None:
        """Has the sinks beside the file that the settings name."""
        await self.outlets.configure(decode_sinks(self.sinks), self.path, self.keep)


async def _let_links_read(worked: float) -> None:
    """As many turns of the loop as go with so many seconds of writing pairs, at least one."""
    for _ in range(1 + int(worked / _TURN)):
        await asyncio.sleep(0)


def _written(path: Path, leftovers: list[Segment]) -> set[Key]:
    """The pairs of the left-over captures that are in the log already."""
    exchanges = {capture.exchange for segment in leftovers for capture in captures(segment)}
    since = min(started(segment) for segment in leftovers) - _MARGIN
    keys: set[Key] = set()
    for directory in deployments(path):
        keys |= written(directory, since, exchanges)
    return keys


def _keep_house(path: Path, keep: float) -> None:
    """Packs segments nobody writes any more and deletes those that are too old."""
    try:
        for segment in jsonl.abandoned(path):
            _pack(segment)
        jsonl.expire(path, time.time() - keep)
        clear(path, time.time() - keep)
    except OSError as error:
        _log.warning("old pairs could not be cleared away: %s", error)


def _pack(path: Path) -> None:
    try:
        jsonl.pack(path)
    except OSError as error:
        _log.warning("%s could not be packed, a later attempt follows: %s", path, error)


def _new_name(path: Path) -> str:
    return f"{path}{_NEW}"


@contextmanager
def _appear(path: Path) -> Iterator[socket.socket]:
    """A Unix socket bound beside `path`, for renaming into place; on leaving, `path` goes if it is still ours."""
    name = _new_name(path)
    if len(os.fsencode(name)) > _MAX_PATH:
        raise OSError(
            f"the socket path {path} is too long: at most {_MAX_PATH - len(_NEW)} bytes, use a shorter state.path"
        )
    Path(name).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(name)
        ours = os.stat(name).st_ino
        try:
            yield listener
        finally:
            with suppress(FileNotFoundError):
                if os.stat(path).st_ino == ours:
                    path.unlink()


def main() -> None:
    """Entry of the process. Exits 0 when asked to end, 1 with one line when it cannot do its work."""
    parser = argparse.ArgumentParser(prog="router.recorder", description="Writes the pairs of one router.")
    parser.add_argument("--channel", type=int, required=True, help="descriptor of the controller's socket")
    parser.add_argument("--listen", type=Path, required=True, help="path of the Unix socket for the workers")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    leave_to_the_controller()
    logs.configure("recorder")

    async def run() -> None:
        await Recorder(arguments.listen).run(socket.socket(fileno=arguments.channel))

    try:
        uvloop.run(run())
    except OSError as error:
        raise SystemExit(f"recorder: {error}") from error


if __name__ == "__main__":
    main()
