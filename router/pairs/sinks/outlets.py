"""All sinks beside the file: which ones there are, as the configuration says."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from router.channel import SinkTally
from router.pairs.sinks.backlog import Backlog
from router.pairs.sinks.base import SinkSpec
from router.pairs.sinks.outlet import Outlet
from router.pairs.spool import Spool

DIRECTORY = ".sinks"
"""Below the pair log's root; in it a directory for each sink."""

_SEGMENT = 1 << 20


class Outlets:
    """One outlet for each sink, by label. Every method is called in the event loop."""

    def __init__(self, path: Path, keep: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._keep = keep
        self._clock = clock
        self._outlets: dict[str, Outlet] = {}
        self._gone: list[SinkTally] = []
        # Each outlet has one task: an edit must not start another one while an erasure starts it.
        self._turn = asyncio.Lock()

    def offer(self, record: bytes) -> None:
        """Hands a line of the pair log to every sink; waits for none."""
        for outlet in self._outlets.values():
            outlet.offer(record)

    async def configure(self, specs: Iterable[SinkSpec], path: Path, keep: float) -> None:
        """Has exactly these sinks, with these settings. Those that stay as they are go on undisturbed."""
        async with self._turn:
            await self._configure(specs, path, keep)

    async def forget(self, wanted: Callable[[bytes], bool]) -> int:
        """Takes out of memory and off the disk what waits and is wanted; returns how many records. None leaves
        meanwhile; what was on its way at this moment may still arrive."""
        async with self._turn:
            return sum([await outlet.forget(wanted) for outlet in self._outlets.values()])

    def tallies(self) -> tuple[SinkTally, ...]:
        """What became of the records of all sinks, also of those removed (a sink that came back has two)."""
        return (*(outlet.tally() for outlet in self._outlets.values()), *self._gone)

    async def close(self, grace: float) -> None:
        """Delivers what can be within `grace` seconds; the rest stays on disk."""
        async with self._turn:
            await asyncio.gather(*(outlet.close(grace) for outlet in self._outlets.values()))

    async def _configure(self, specs: Iterable[SinkSpec], path: Path, keep: float) -> None:
        if path != self._path:
            for outlet in self._outlets.values():
                outlet.move(path)
        self._path, self._keep = path, keep
        wanted = {spec.label: spec for spec in specs}
        for label in self._outlets.keys() - wanted.keys():
            outlet = self._outlets.pop(label)
            await outlet.remove()
            self._gone.append(outlet.tally())
        for label, spec in wanted.items():
            known = self._outlets.get(label)
            if known is None:
                self._outlets[label] = self._open(spec)
            elif known.spec != spec:
                await known.change(spec)
        for outlet in self._outlets.values():
            outlet.keep = keep

    def _open(self, spec: SinkSpec) -> Outlet:
        # Room on disk for what is released but lies in a segment with something that is not.
        limit = 2 * spec.queue + 2 * _SEGMENT
        spool = Spool(self._path, f"{DIRECTORY}/{spec.label}", limit=limit, segment_size=_SEGMENT)
        outlet = Outlet(spec, Backlog(spool, spec.queue), self._keep, self._clock)
        outlet.start(time.time())
        return outlet


def clear(path: Path, before: float) -> None:
    """Deletes what waits on disk since before this time (seconds since the epoch), also for sinks that are no
    longer in the configuration. Raises OSError."""
    for segment in path.glob(f"{DIRECTORY}/*/*.spool"):
        with suppress(FileNotFoundError):
            if segment.stat().st_mtime < before:
                segment.unlink()
