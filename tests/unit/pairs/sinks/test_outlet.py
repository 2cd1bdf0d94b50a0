"""An outlet with a courier that does as it is told."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.pairs.sinks.backlog import Backlog
from router.pairs.sinks.base import SinkSpec, Unacceptable, Undelivered
from router.pairs.sinks.outlet import RETRY_FIRST, RETRY_LIMIT, Outlet, pause
from router.pairs.spool import Spool


class Courier:
    """Keeps what it gets; refuses batches with a record in `bad`, raises what stands in `trouble`."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.bad: set[bytes] = set()
        self.trouble: Exception | None = None
        self.closed = False

    async def deliver(self, records: Sequence[bytes]) -> None:
        if self.trouble is not None:
            raise self.trouble
        if self.bad & set(records):
            raise Unacceptable("it smells")
        self.batches.append(list(records))

    async def close(self) -> None:
        self.closed = True

    @property
    def records(self) -> list[bytes]:
        return [record for batch in self.batches for record in batch]


def spec(**settings: object) -> SinkSpec:
    batch = {"records": 10, "age": "10ms"}
    return SinkSpec.model_validate({"tag": "test", "batch": batch, **settings})


@pytest.fixture
def courier(monkeypatch: pytest.MonkeyPatch) -> Courier:
    monkeypatch.setattr("router.pairs.sinks.outlet.RETRY_FIRST", 0.01)
    return Courier()


def started(path: Path, courier: Courier, keep: float = 60.0, **settings: object) -> Outlet:
    wanted = spec(**settings)
    backlog = Backlog(Spool(path, ".sinks/test"), wanted.queue)
    outlet = Outlet(wanted, backlog, keep, time.monotonic, courier)
    outlet.start(time.time())
    return outlet


async def until_delivered(outlet: Outlet, count: int) -> None:
    async with asyncio.timeout(15):
        while outlet.tally().delivered < count:
            await asyncio.sleep(0.005)


async def test_a_full_batch_leaves_at_once_and_a_part_of_one_when_it_is_old(
    tmp_path: Path, courier: Courier
) -> None:
    outlet = started(tmp_path, courier, batch={"records": 3, "age": "300ms"})
    for name in b"abcd":
        outlet.offer(b"%c\n" % name)
    await until_delivered(outlet, 3)
    assert courier.batches == [[b"a\n", b"b\n", b"c\n"]]
    await until_delivered(outlet, 4)
    assert courier.batches[1:] == [[b"d\n"]]
    await outlet.close(1.0)
    assert courier.closed


async def test_one_bad_record_costs_itself_alone(tmp_path: Path, courier: Courier) -> None:
    outlet = started(tmp_path, courier)
    courier.bad = {b"3\n", b"7\n"}
    records = [b"%d\n" % number for number in range(20)]
    for record in records:
        outlet.offer(record)
    await until_delivered(outlet, 18)
    await outlet.close(1.0)
    assert courier.records == [record for record in records if record not in courier.bad]
    assert outlet.tally().dropped == {"refused": 2}


@pytest.mark.parametrize("trouble", [Undelivered("away"), OSError("no route"), ZeroDivisionError("a bug")])
async def test_any_trouble_is_told_and_tried_again(
    tmp_path: Path, courier: Courier, trouble: Exception
) -> None:
    outlet = started(tmp_path, courier)
    courier.trouble = trouble
    outlet.offer(b"a\n")
    async with asyncio.timeout(15):
        while not outlet.tally().error:
            await asyncio.sleep(0.005)
    assert outlet.tally().waiting == 1
    courier.trouble = None
    await until_delivered(outlet, 1)
    assert outlet.tally().error == ""
    await outlet.close(1.0)


async def test_what_waited_too_long_is_dropped_and_counted(tmp_path: Path, courier: Courier) -> None:
    outlet = started(tmp_path, courier, keep=0.1)
    courier.trouble = Undelivered("away")
    outlet.offer(b"a\n")
    async with asyncio.timeout(15):
        while outlet.tally().dropped != {"expired": 1}:
            await asyncio.sleep(0.005)
    assert outlet.tally().waiting == 0
    await outlet.close(1.0)


async def test_ending_does_not_wait_for_a_receiver_that_is_away(tmp_path: Path, courier: Courier) -> None:
    outlet = started(tmp_path, courier)
    courier.trouble = Undelivered("away")
    outlet.offer(b"a\n")
    began = time.monotonic()
    await outlet.close(10.0)
    assert time.monotonic() - began < 5.0
    assert outlet.tally().waiting == 1


async def test_forgetting_drops_what_is_meant_and_goes_on(tmp_path: Path, courier: Courier) -> None:
    outlet = started(tmp_path, courier)
    courier.trouble = Undelivered("away")
    for record in (b"a\n", b"secret\n", b"b\n"):
        outlet.offer(record)
    assert await outlet.forget(lambda record: b"secret" in record) == 1
    courier.trouble = None
    await until_delivered(outlet, 2)
    assert courier.records == [b"a\n", b"b\n"]
    assert outlet.tally().dropped == {"erased": 1}
    await outlet.close(1.0)


async def test_removing_drops_what_waits(tmp_path: Path, courier: Courier) -> None:
    outlet = started(tmp_path, courier)
    courier.trouble = Undelivered("away")
    outlet.offer(b"a\n")
    await outlet.remove()
    tally = outlet.tally()
    assert (tally.dropped, tally.waiting) == ({"removed": 1}, 0)
    assert [path.stat().st_size for path in tmp_path.rglob("*.spool")] == []


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_to_a_limit_and_are_scattered(failures: int, scatter: float) -> None:
    seconds = pause(failures, scatter)
    middle = min(RETRY_FIRST * 2 ** min(failures - 1, 100), RETRY_LIMIT)
    assert middle / 2 <= seconds <= middle * 1.5
