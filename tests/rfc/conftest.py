"""One worker and one upstream for all cases a test process plays."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.rfc.rig import Rig


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def rig() -> AsyncIterator[Rig]:
    async with Rig() as rig:
        yield rig
