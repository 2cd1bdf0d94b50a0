"""The order in which a running recorder erases a subject, so that nothing of it comes back.

First no pair of the subject is written any more, and those that wait for a sink are dropped; then the segment that
is being written and the current file of the spool are ended. Once every capture that lay in the spool is released,
its files are gone, and the log's segments can be written anew: in the thread that packs them, so that the two never
meet. Should the recorder be killed meanwhile, what was not erased yet is still there, the controller says so, and
asking again begins anew.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

from router.channel import Erase, Erasing
from router.pairs.erasure import Finder, erase, files, is_found, undelivered
from router.pairs.joining import DEADLINE
from router.pairs.pair import timestamp
from router.pairs.pipeline import Pipeline
from router.pairs.segments import deployments
from router.pairs.sinks.jsonl import JsonlSink
from router.pairs.sinks.outlets import Outlets
from router.pairs.spool import Spool

_log = logging.getLogger(__name__)

_PATIENCE = DEADLINE + 15.0
"""Seconds within which the spool's files must be gone: halves wait for each other for DEADLINE at most."""

_LOOK = 0.05


class Eraser:
    """Erases in the files of one recorder. `disk` is the thread that syncs, `packer` the one that packs."""

    def __init__(
        self,
        pipeline: Pipeline,
        outlets: Outlets,
        spool: Spool,
        sink: JsonlSink,
        disk: Executor,
        packer: Executor,
    ) -> None:
        self._pipeline = pipeline
        self._outlets = outlets
        self._spool = spool
        self._sink = sink
        self._disk = disk
        self._packer = packer

    async def erase(self, order: Erase, log: Path, tell: Callable[[Erasing], None]) -> None:
        """Erases in the pair log under `log`, and tells how far it is; the last word is `finished`."""
        now = timestamp(time.time())
        names = [order.deployment] if order.deployment else self._everywhere(log)
        try:
            finders = {name: self._pipeline.forget(name, order.key, now, order.hash_key) for name in names}
            await self._erase(order, log, finders, tell)
        except OSError as error:
            _log.error("a subject of %s is not erased: %s", _where(order), error)
            tell(Erasing(order.number, finished=True, error=f"not all is erased: {error}"))

    def _everywhere(self, log: Path) -> list[str]:
        """Every deployment that has a log, or may have pairs on their way there."""
        return sorted({path.name for path in deployments(log)} | self._pipeline.deployments().keys())

    async def _erase(
        self, order: Erase, log: Path, finders: dict[str, Finder], tell: Callable[[Erasing], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        await self._outlets.forget(lambda line: is_found(line, finders))
        spooled = self._spool.seal()
        for name in finders:
            self._sink.end(name)
        wanted = {path: finder for name, finder in finders.items() for path in files(log / name)}
        await loop.run_in_executor(self._disk, self._sink.settle)
        held = await _gone(spooled)

        def progress(done: int, total: int) -> None:
            loop.call_soon_threadsafe(tell, Erasing(order.number, done, total))

        erased = await loop.run_in_executor(self._packer, erase, wanted, progress)
        left = await loop.run_in_executor(self._packer, undelivered, log, finders)
        held_back = sum(self._pipeline.forgotten(name, finder) for name, finder in finders.items())
        removed = erased.removed + held_back
        _log.info("erased %d records of a subject of %s", removed, _where(order))
        tell(
            Erasing(
                order.number,
                removed=removed,
                segments=erased.segments,
                unattributed=erased.unattributed,
                undelivered=left,
                busy=erased.busy + held,
                log=_absolute(log),
                unconfigured=tuple(sorted(finders.keys() - self._pipeline.deployments().keys())),
                finished=True,
            )
        )


def _absolute(log: Path) -> str:
    return str(log.absolute())


def _where(order: Erase) -> str:
    return f"deployment {order.deployment}" if order.deployment else "every deployment"


async def _gone(paths: list[Path]) -> int:
    """Waits until these files are gone; how many are not, because another process holds them."""
    end = time.monotonic() + _PATIENCE
    while (held := sum(path.exists() for path in paths)) and time.monotonic() < end:
        await asyncio.sleep(_LOOK)
    return held
