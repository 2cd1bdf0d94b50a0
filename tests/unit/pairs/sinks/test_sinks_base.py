"""What every registered sink keeps to, wherever it delivers: real receivers, a real spool."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import get_args

import pytest

from router.pairs.sinks import AnySink
from router.pairs.sinks.outlets import DIRECTORY, Outlets
from tests.support.receivers import Receiver, line, receiver

KINDS = [kind.model_fields["tag"].default for kind in get_args(get_args(AnySink)[0])]
KEEP = 3600.0
QUICK = {"batch": {"age": "10ms", "records": 7}, "timeout": "300ms"}


@pytest.fixture(params=KINDS)
async def target(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Receiver]:
    async with receiver(request.param, tmp_path) as found:
        yield found


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.pairs.sinks.outlet.RETRY_FIRST", 0.02)


async def until(check: Callable[[], Awaitable[object]], within: float = 10.0) -> None:
    end = time.monotonic() + within
    while not await check():
        assert time.monotonic() < end, "waited too long"
        await asyncio.sleep(0.01)


async def opened(path: Path, target: Receiver, **settings: object) -> Outlets:
    outlets = Outlets(path, KEEP)
    await outlets.configure([target.spec(**{**QUICK, **settings})], path, KEEP)
    return outlets


async def arrived(target: Receiver, wanted: list[str]) -> None:
    """All of them, in order; what is sent again after a failure may stand there twice."""

    async def all_there() -> bool:
        return list(dict.fromkeys(await target.exchanges())) == wanted

    await until(all_there)


def on_disk(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in (path / DIRECTORY).rglob("*.spool"))


async def test_every_record_arrives_once_and_in_order(target: Receiver, tmp_path: Path) -> None:
    outlets = await opened(tmp_path, target)
    names = [str(number) for number in range(40)]
    for name in names:
        outlets.offer(line(name))
    await arrived(target, names)
    await outlets.close(1.0)
    assert await target.exchanges() == names
    (tally,) = outlets.tallies()
    assert (tally.delivered, tally.dropped, tally.waiting, tally.error) == (40, {}, 0, "")
    assert on_disk(tmp_path) == b""


async def test_a_receiver_that_is_away_gets_everything_when_it_is_back(
    target: Receiver, tmp_path: Path
) -> None:
    outlets = await opened(tmp_path, target)
    await target.stop()
    names = [str(number) for number in range(20)]
    for name in names:
        outlets.offer(line(name))

    async def troubled() -> bool:
        return bool(outlets.tallies()[0].error)

    await until(troubled)
    await target.start()
    await arrived(target, names)
    await outlets.close(1.0)
    assert outlets.tallies()[0].error == ""


async def test_a_receiver_that_hangs_holds_up_nobody_and_costs_what_is_over_the_bound(
    target: Receiver, tmp_path: Path
) -> None:
    outlets = await opened(tmp_path, target, queue="64KiB", timeout="100ms")
    target.hang()
    record = line("x" * 1000)
    began = time.perf_counter()
    for _ in range(1000):
        outlets.offer(record)
    assert time.perf_counter() - began < 10.0, "a hundred, if each were waited for"
    (tally,) = outlets.tallies()
    assert tally.waiting == (64 << 10) // len(record)
    assert tally.dropped == {"queue_full": 1000 - tally.waiting}
    assert len(on_disk(tmp_path)) == tally.waiting * len(record)

    async def timed_out() -> bool:
        return outlets.tallies()[0].error != ""

    await until(timed_out)
    target.go_on()

    async def worked_off() -> bool:
        return outlets.tallies()[0].waiting == 0

    await until(worked_off)
    await outlets.close(1.0)


async def test_what_waits_at_the_end_is_delivered_by_the_next_process(
    target: Receiver, tmp_path: Path
) -> None:
    outlets = await opened(tmp_path, target)
    await target.stop()
    for name in "abc":
        outlets.offer(line(name))
    await outlets.close(0.2)
    left = tmp_path / "left"  # a copy is held by nobody, as if this process were dead
    shutil.copytree(tmp_path / DIRECTORY, left / DIRECTORY)
    assert on_disk(left).count(b"\n") == 3
    await target.start()
    again = await opened(left, target)
    again.offer(line("d"))
    await arrived(target, ["a", "b", "c", "d"])
    await again.close(1.0)
    assert on_disk(left) == b""


async def test_closing_delivers_what_waits(target: Receiver, tmp_path: Path) -> None:
    outlets = await opened(tmp_path, target, batch={"age": "1h"}, timeout="10s")
    for name in "abc":
        outlets.offer(line(name))
    await outlets.close(10.0)
    assert await target.exchanges() == ["a", "b", "c"]
