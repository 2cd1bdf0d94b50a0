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

import msgspec
from msgspec.structs import replace

from router.channel import Erase, Erasing
from router.pairs.erasure import Finder, erase, files, undelivered
from router.pairs.joining import DEADLINE
from router.pairs.pair import timestamp
from router.pairs.pipeline import Pipeline
from router.pairs.sinks.jsonl import JsonlSink
from router.pairs.sinks.outlets import Outlets
from router.pairs.spool import Spool

_log = logging.getLogger(__name__)

_PATIENCE = DEADLINE + 15.0
"""Seconds within which the spool's files must be gone: halves wait for each other for DEADLINE at most."""

_LOOK = 0.05


class _Head(msgspec.Struct):
    deployment: str


_heads = msgspec.json.Decoder(_Head)


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
        state = Erasing(order.number)
        try:
            finder = self._pipeline.forget(order.deployment, order.key, timestamp(time.time()))
            await self._erase(order, log / order.deployment, finder, tell)
        except KeyError:
            tell(replace(state, finished=True, error=f"nothing is known of deployment {order.deployment}"))
        except OSError as error:
            _log.error("a subject of deployment %s is not erased: %s", order.deployment, error)
            tell(replace(state, finished=True, error=f"not all is erased: {error}"))

    async def _erase(
        self, order: Erase, directory: Path, finder: Finder, tell: Callable[[Erasing], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        await self._outlets.forget(lambda line: finder.finds(line) is True and _is_of(line, order.deployment))
        spooled = self._spool.seal()
        self._sink.end(order.deployment)
        paths = files(directory)
        await loop.run_in_executor(self._disk, self._sink.settle)
        held = await _gone(spooled)

        def progress(done: int, total: int) -> None:
            loop.call_soon_threadsafe(tell, Erasing(order.number, done, total))

        erased = await loop.run_in_executor(self._packer, erase, paths, finder, progress)
        left = await loop.run_in_executor(self._packer, undelivered, directory.parent, finder)
        removed = erased.removed + self._pipeline.forgotten(order.deployment, finder)
        _log.info("erased %d records of a subject of deployment %s", removed, order.deployment)
        tell(
            Erasing(
                order.number,
                removed=removed,
                segments=erased.segments,
                unattributed=erased.unattributed,
                undelivered=left,
                busy=erased.busy + held,
                finished=True,
            )
        )


def _is_of(line: bytes, deployment: str) -> bool:
    return _heads.decode(line).deployment == deployment


async def _gone(paths: list[Path]) -> int:
    """Waits until these files are gone; how many are not, because another process holds them."""
    end = time.monotonic() + _PATIENCE
    while (held := sum(path.exists() for path in paths)) and time.monotonic() < end:
        await asyncio.sleep(_LOOK)
    return held
