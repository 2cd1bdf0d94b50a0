"""Changes on real files, as editors and mounts make them."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from router.config.watch import watch

EVENTS_ALONE = 60_000
"""Milliseconds between looks that leave it to events."""
PROMPT = 10.0
"""Seconds within which a change must be seen: on a machine with nothing else to do it takes a part of one."""


class Changes:
    """What `watch` yields, waited for with a bound."""

    def __init__(self, changes: AsyncGenerator[None, None]) -> None:
        self._changes = changes
        self._next: asyncio.Task[None] | None = None

    async def seen(self, within: float = PROMPT) -> bool:
        self._next = self._next or asyncio.ensure_future(anext(self._changes))
        done, _ = await asyncio.wait({self._next}, timeout=within)
        if done:
            self._next = None
        return bool(done)

    async def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait({self._next})


@asynccontextmanager
async def watching(path: Path) -> AsyncIterator[Changes]:
    async with aclosing(watch(path)) as generator:
        changes = Changes(generator)
        # Before anything happens: nothing is seen, and the watch is in place.
        assert not await changes.seen(within=0.2)
        try:
            yield changes
        finally:
            await changes.stop()


def overwrite(file: Path) -> None:
    file.write_text("workers: 2\n")


def rename_over(file: Path) -> None:
    fresh = file.with_name("fresh.tmp")
    fresh.write_text("workers: 3\n")
    fresh.replace(file)


def move_aside_and_write(file: Path) -> None:
    file.rename(file.with_name("router.yaml~"))
    file.write_text("workers: 4\n")


@pytest.mark.parametrize("change", [overwrite, rename_over, move_aside_and_write, Path.unlink])
@pytest.mark.parametrize("what", ["file", "directory"])
async def test_a_change_is_seen_promptly(
    what: str, change: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.config.watch.LOOK_EVERY_MS", EVENTS_ALONE)
    file = tmp_path / "router.yaml"
    file.write_text("workers: 1\n")
    async with watching(file if what == "file" else tmp_path) as changes:
        change(file)
        assert await changes.seen()


async def test_a_file_that_comes_to_a_directory_or_goes(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("workers: 1\n")
    async with watching(tmp_path) as changes:
        (tmp_path / "b.yaml").write_text("state: {}\n")
        assert await changes.seen()
        (tmp_path / "b.yaml").unlink()
        assert await changes.seen()


def config_map(mount: Path, version: str, text: str) -> None:
    """What the kubelet does to a ConfigMap mount: new data in a directory of its own, then one link swapped."""
    data = mount / f"..{version}"
    data.mkdir(parents=True)
    (data / "router.yaml").write_text(text)
    (mount / "..data_tmp").symlink_to(data.name)
    old = os.path.realpath(mount / "..data") if (mount / "..data").exists() else None
    (mount / "..data_tmp").replace(mount / "..data")
    if old is None:
        (mount / "router.yaml").symlink_to("..data/router.yaml")
    else:
        (Path(old) / "router.yaml").unlink()
        Path(old).rmdir()


@pytest.mark.parametrize("what", ["file", "directory"])
async def test_a_config_map_that_swaps_its_link(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.config.watch.LOOK_EVERY_MS", EVENTS_ALONE)
    mount = tmp_path / "mount"
    config_map(mount, "2026_1", "workers: 1\n")
    async with watching(mount / "router.yaml" if what == "file" else mount) as changes:
        for number in (2, 3):
            config_map(mount, f"2026_{number}", f"workers: {number}\n")
            assert await changes.seen()


async def test_a_link_whose_target_is_edited_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    target = tmp_path / "target.yaml"
    target.write_text("workers: 1\n")
    link = tmp_path / "etc" / "router.yaml"
    link.symlink_to(target)
    async with watching(link) as changes:
        overwrite(target)
        assert await changes.seen(), "no event comes from there, so the look must find it"


async def test_other_files_wake_nobody(tmp_path: Path) -> None:
    file = tmp_path / "router.yaml"
    file.write_text("workers: 1\n")
    async with watching(file) as changes:
        for index in range(20):
            (tmp_path / "router.db").write_text(str(index))
        os.utime(file)
        file.write_text("workers: 1\n")
        # Truncating and writing may be caught in between: then there is one change and one back.
        while await changes.seen(within=0.8):
            assert file.read_text() == "workers: 1\n"
        overwrite(file)
        assert await changes.seen()


async def test_a_burst_of_writes_is_few_changes(tmp_path: Path) -> None:
    file = tmp_path / "router.yaml"
    file.write_text("workers: 0\n")
    async with watching(file) as changes:
        for index in range(1, 100):
            file.write_text(f"workers: {index}\n")
        count = 0
        while await changes.seen(within=0.7):
            count += 1
    assert 1 <= count <= 5


async def test_a_change_between_watch_and_its_first_look_is_not_missed(tmp_path: Path) -> None:
    file = tmp_path / "router.yaml"
    file.write_text("workers: 1\n")
    generator = watch(file)
    overwrite(file)
    async with aclosing(generator):
        await asyncio.wait_for(anext(generator), PROMPT)


async def test_closing_ends_the_watch(tmp_path: Path) -> None:
    (tmp_path / "router.yaml").write_text("workers: 1\n")
    async with watching(tmp_path / "router.yaml"):
        pass
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
