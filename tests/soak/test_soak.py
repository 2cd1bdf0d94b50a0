"""A short soak passes, and one with a leak planted in it does not."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.soak.__main__ import Soak
from tests.support.routers import Router
from tests.support.workers import connect, post, read_answer


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_short_one_passes(tmp_path: Path) -> None:
    said: list[str] = []
    assert await Soak(tmp_path, 14.0, said.append).run() == []
    assert "ramps rolled back" in said[-1]


async def leaking(router: Router) -> None:
    """Connections that stay open when nobody asks any more."""
    kept: list[asyncio.StreamWriter] = []
    try:
        while True:
            reader, writer = await connect(router.port)
            writer.write(post(b"{}", path=b"/m/x"))
            await read_answer(reader)
            kept.append(writer)
            await asyncio.sleep(0.5)
    finally:
        asyncio.get_running_loop().call_later(30, kept.clear)


async def killing(router: Router) -> None:
    """A worker that dies."""
    await asyncio.sleep(4)
    router.note_children()
    os.kill(router.children("router.worker")[0], signal.SIGKILL)
    await asyncio.Event().wait()


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_one_with_a_leak_and_a_death_in_it_fails(tmp_path: Path) -> None:
    async def both(router: Router) -> None:
        await asyncio.gather(leaking(router), killing(router))

    complaints = await Soak(tmp_path, 10.0, lambda _: None, both).run()
    assert any("descriptors" in each for each in complaints), complaints
    assert "1 workers died" in complaints
