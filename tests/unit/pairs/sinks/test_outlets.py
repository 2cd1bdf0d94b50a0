"""The set of sinks follows the configuration, and one never holds up another."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from router.pairs.sinks.outlets import Outlets, clear
from tests.support.receivers import Webhook, line, receiver

QUICK: dict[str, Any] = {"batch": {"age": "10ms"}, "timeout": "30s"}


async def arrived(target: Webhook, wanted: list[str]) -> None:
    async with asyncio.timeout(15):
        while await target.exchanges() != wanted:
            await asyncio.sleep(0.005)


async def delivered(outlets: Outlets, sink: str = "webhook") -> None:
    """The receiver has a record a moment before its answer is here: until then it may be sent again."""
    async with asyncio.timeout(15):
        while {tally.sink: tally.waiting for tally in outlets.tallies()}[sink]:
            await asyncio.sleep(0.005)


async def test_a_sink_that_hangs_does_not_hold_up_another(tmp_path: Path) -> None:
    async with receiver("webhook", tmp_path) as bad, receiver("webhook", tmp_path) as good:
        assert isinstance(bad, Webhook)
        assert isinstance(good, Webhook)
        outlets = Outlets(tmp_path, 60.0)
        specs = [bad.spec(name="bad", **QUICK), good.spec(name="good", **QUICK)]
        await outlets.configure(specs, tmp_path, 60.0)
        bad.hang()
        names = [str(number) for number in range(250)]
        began = time.monotonic()
        for name in names:
            outlets.offer(line(name))
        await arrived(good, names)
        assert time.monotonic() - began < 10.0
        await delivered(outlets, "good")
        waiting = {tally.sink: tally.waiting for tally in outlets.tallies()}
        assert waiting == {"bad": 250, "good": 0}
        await outlets.close(0.1)


async def test_erasures_and_edits_at_once_leave_one_task_for_each_sink(tmp_path: Path) -> None:
    async with receiver("webhook", tmp_path) as target:
        assert isinstance(target, Webhook)
        outlets = Outlets(tmp_path, 60.0)
        await outlets.configure([target.spec(**QUICK)], tmp_path, 60.0)
        edited = target.spec(**{**QUICK, "namespace": "other"})
        async with asyncio.timeout(15):
            await asyncio.gather(
                outlets.forget(lambda _: False),
                outlets.configure([edited], tmp_path, 60.0),
                outlets.forget(lambda _: False),
            )
        tasks = [task for task in asyncio.all_tasks() if task.get_name() == "sink webhook"]
        assert len(tasks) == 1
        await outlets.close(1.0)


def test_what_waits_for_too_long_is_cleared_also_for_sinks_that_are_gone(tmp_path: Path) -> None:
    directory = tmp_path / ".sinks" / "gone"
    directory.mkdir(parents=True)
    for name, age in (("old", 100.0), ("new", 900.0)):
        (directory / f"{name}.spool").write_bytes(b"x")
        os.utime(directory / f"{name}.spool", (age, age))
    clear(tmp_path, 500.0)
    assert [path.name for path in directory.iterdir()] == ["new.spool"]


async def test_edits_open_change_and_remove_sinks(tmp_path: Path) -> None:
    async with receiver("webhook", tmp_path) as one, receiver("webhook", tmp_path) as two:
        assert isinstance(one, Webhook)
        assert isinstance(two, Webhook)
        outlets = Outlets(tmp_path, 60.0)
        await outlets.configure([one.spec(**QUICK)], tmp_path, 60.0)
        outlets.offer(line("a"))
        await arrived(one, ["a"])
        await delivered(outlets)
        one.status = 503
        outlets.offer(line("b"))
        await outlets.configure([two.spec(**QUICK)], tmp_path / "moved", 60.0)
        await arrived(two, ["b"])
        outlets.offer(line("c"))
        await arrived(two, ["b", "c"])
        await delivered(outlets)
        await outlets.configure([], tmp_path, 60.0)
        outlets.offer(line("d"))
        (tally,) = outlets.tallies()
        assert (tally.sink, tally.delivered, tally.dropped) == ("webhook", 3, {})
        await outlets.close(0.1)
