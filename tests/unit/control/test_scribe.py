"""The journal's own thread: what is asked for, what is owed, and the order on disk."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from router.control.scribe import Scribe, Uncertain
from router.rollout.journal import Journal, JournalError, Record
from router.rollout.state import RolloutState


class Disk(Journal):
    """Fails while `broken`, hangs while `well` is not set; knows the generations that got through."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.broken = False
        self.well = threading.Event()
        self.well.set()
        self.begun = threading.Event()
        self.written: list[int] = []

    def write(self, *records: Record) -> None:
        if not hasattr(self, "written"):
            return super().write(*records)
        self.begun.set()
        self.well.wait(20)
        if self.broken:
            raise JournalError("broken")
        super().write(*records)
        self.written += [record.generation for record in records]
        return None


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "router.db")


@pytest_asyncio.fixture
async def scribe(disk: Disk) -> AsyncIterator[Scribe]:
    scribe = Scribe(disk, patience=0.1)
    yield scribe
    disk.broken = False
    disk.well.set()
    await scribe.close()


async def settled(scribe: Scribe) -> None:
    async with asyncio.timeout(15):
        while not scribe.settled:
            await asyncio.sleep(0.002)


async def test_what_is_asked_for_is_on_disk_afterwards(scribe: Scribe, disk: Disk) -> None:
    await scribe.ask(Record(1))
    assert disk.generation() == 1


async def test_what_is_asked_for_and_fails_is_forgotten(scribe: Scribe, disk: Disk) -> None:
    disk.broken = True
    with pytest.raises(JournalError, match="broken"):
        await scribe.ask(Record(1))
    assert scribe.settled
    disk.broken = False
    await scribe.retry()
    assert disk.written == []


async def test_what_is_owed_and_fails_is_kept_until_it_is_written(scribe: Scribe, disk: Disk) -> None:
    disk.broken = True
    assert not await scribe.on_disk(scribe.owe(Record(1)))
    assert not scribe.settled
    await scribe.retry()
    assert not scribe.settled
    disk.broken = False
    await scribe.retry()
    assert scribe.settled
    assert disk.written == [1]
    await scribe.retry()
    assert disk.written == [1]


async def test_the_next_record_brings_what_is_owed_with_it_in_order(scribe: Scribe, disk: Disk) -> None:
    disk.broken = True
    scribe.owe(Record(1, (RolloutState("loan", "", "v1"),)))
    await scribe.on_disk(scribe.owe(Record(2)))
    disk.broken = False
    await scribe.ask(Record(3, (RolloutState("loan", "", "v2"),)))
    assert disk.written == [1, 2, 3]
    assert disk.states()["loan"].trusted == "v2"
    assert scribe.settled


async def test_a_write_that_hangs_is_uncertain_and_one_behind_it_is_never_written(
    scribe: Scribe, disk: Disk
) -> None:
    disk.well.clear()
    first = asyncio.create_task(scribe.ask(Record(1)))
    await asyncio.to_thread(disk.begun.wait, 5)
    with pytest.raises(JournalError, match="stuck") as stuck:
        await scribe.ask(Record(2))
    assert not isinstance(stuck.value, Uncertain)
    with pytest.raises(Uncertain):
        await first
    disk.well.set()
    await scribe.ask(Record(3))
    assert disk.written == [1, 3]


async def test_what_is_owed_on_a_disk_that_hangs_is_written_when_it_is_well(
    scribe: Scribe, disk: Disk
) -> None:
    disk.well.clear()
    assert not await scribe.on_disk(scribe.owe(Record(1)))
    disk.well.set()
    await settled(scribe)
    assert disk.written == [1]


async def test_closing_tries_once_more_and_gives_the_lock_back(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "router.db")
    scribe = Scribe(disk)
    disk.broken = True
    await scribe.on_disk(scribe.owe(Record(9)))
    disk.broken = False
    await scribe.close()
    again = Journal(tmp_path / "router.db")
    assert again.generation() == 9
    again.close()


async def test_closing_does_not_wait_for_a_disk_that_hangs(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "router.db")
    scribe = Scribe(disk, patience=0.05)
    disk.well.clear()
    scribe.owe(Record(1))
    async with asyncio.timeout(15):
        await scribe.close()
    disk.well.set()


async def test_what_is_owed_is_jotted_down_until_it_is_written(
    scribe: Scribe, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    jotted: list[list[int]] = []
    monkeypatch.setattr(disk, "jot", lambda *records: jotted.append([each.generation for each in records]))
    monkeypatch.setattr(disk, "settle", lambda: jotted.append([]))
    disk.broken = True
    await scribe.on_disk(scribe.owe(Record(1)))
    await scribe.on_disk(scribe.owe(Record(2)))
    await scribe.retry()
    disk.broken = False
    await scribe.retry()
    await scribe.ask(Record(3))
    assert jotted == [[1], [1, 2], []], "once for what is new, and nothing where nothing is owed"


async def test_what_can_not_be_jotted_down_is_tried_again(
    scribe: Scribe, disk: Disk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries = 0

    def full(*records: Record) -> None:
        nonlocal tries
        tries += 1
        raise JournalError("full")

    monkeypatch.setattr(disk, "jot", full)
    disk.broken = True
    assert not await scribe.on_disk(scribe.owe(Record(1)))
    await scribe.retry()
    assert tries == 2
    assert "will not know of it" in caplog.text
    disk.broken = False
    await scribe.retry()
    assert scribe.settled
