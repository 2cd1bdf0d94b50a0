"""What tests of the control plane begin with: a controller on its own, and one behind a running admin API."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.support.admin import TOKENS, Api, running
from tests.support.controllers import Bench


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "router.db")
    yield bench
    bench.journal.full = False
    bench.journal.well.set()
    bench.fleet.gate.set()
    await bench.controller.close()


@pytest_asyncio.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """An API without tokens."""
    async with running(tmp_path) as api:
        yield api


@pytest_asyncio.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Api]:
    """An API with TOKENS."""
    async with running(tmp_path, TOKENS) as api:
        yield api
