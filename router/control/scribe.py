"""Writes the journal in a thread of its own, so that a sick disk holds up nobody who must not wait.

Floor 4. There are two kinds of record. What is *asked* for (an edit, a promote, a step) takes effect only
when it is on disk: `ask` waits for it, a bounded time, and raises. What is *owed* (a rollback) is in force
already: it is kept, tried at once and again with every write that follows, until it is on disk. Meanwhile it is
jotted down beside the journal, where a full disk has room for it, so that the next controller knows of it.

All writing, and the list of what is owed, belongs to the one thread; records reach the disk in the order in
which they were handed in. An asked record that is given up on after it began may still reach the disk. The
caller then owes the record that undoes it, which by that order comes later.
"""

import asyncio
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from router.rollout.journal import Journal, JournalError, Record

_log = logging.getLogger(__name__)

GLANCE = 0.5
"""Seconds the one who owes a record waits to learn whether the first try wrote it."""


class Uncertain(JournalError):
    """The journal did not answer in time: the record may or may not reach the disk."""


class Scribe:
    """`patience` is how many seconds a write may take before the one who asked for it is refused."""

    def __init__(self, journal: Journal, patience: float = 2.0) -> None:
        self._journal = journal
        self._patience = patience
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._owed: list[Record] = []
        self._jotted = 0
        self._promised = 0
        self._kept = 0

    @property
    def settled(self) -> bool:
        """Whether everything that is in force is on disk."""
        return self._promised == self._kept

    async def ask(self, record: Record) -> None:
        """On disk when it returns. Raises JournalError when it is not, Uncertain when nobody can tell."""
        writing = self._thread.submit(self._write, record)
        if await _within(writing, self._patience):
            writing.result()
        elif not writing.cancel():
            raise Uncertain(f"the journal did not answer within {self._patience:g} s")
        else:
            raise JournalError(f"the journal has been stuck for {self._patience:g} s")

    def owe(self, record: Record) -> "Future[bool]":
        """Hands in what must reach the disk some time; the future tells whether the first try did it."""
        self._promised += 1
        return self._thread.submit(self._keep, record)

    async def on_disk(self, writing: "Future[bool]") -> bool:
        """Whether that first try succeeded, as far as a glance tells."""
        return await _within(writing, min(self._patience, GLANCE)) and writing.result()

    async def retry(self) -> None:
        """Tries once more what is owed."""
        if not self.settled:
            await _within(self._thread.submit(self._pay), self._patience)

    async def close(self) -> None:
        """A last try for what is owed, then the journal is closed; one that is stuck is left as it is."""
        await self.retry()
        if not await _within(self._thread.submit(self._journal.close), self._patience):
            _log.error("the journal is stuck: left without closing it")
        self._thread.shutdown(wait=False, cancel_futures=True)

    # In the thread

    def _write(self, record: Record) -> None:
        self._journal.write(*self._owed, record)
        self._forget()

    def _keep(self, record: Record) -> bool:
        self._owed.append(record)
        return self._pay()

    def _pay(self) -> bool:
        try:
            self._journal.write(*self._owed)
        except JournalError as error:
            _log.error("in force, but not on disk (it will be tried again): %s", error)
            self._jot()
            return False
        self._forget()
        return True

    def _jot(self) -> None:
        if self._jotted == len(self._owed):
            return
        try:
            self._journal.jot(*self._owed)
            self._jotted = len(self._owed)
        except JournalError as error:
            _log.error("a controller that starts before it is written will not know of it: %s", error)

    def _forget(self) -> None:
        self._kept += len(self._owed)
        self._owed.clear()
        if self._jotted:
            self._jotted = 0
            self._journal.settle()


async def _within(writing: "Future[Any]", seconds: float) -> bool:
    """Whether it ended in time; it is not cancelled. What it raised is for whoever asks `writing` for it."""
    waiting = asyncio.wrap_future(writing)
    waiting.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    done, _ = await asyncio.wait({waiting}, timeout=seconds)
    return bool(done)
