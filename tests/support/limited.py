"""A worker with limits that proxies to one endpoint, and clients that meet them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

from msgspec.structs import replace

from router.patterns.limits import ClientLimits
from router.patterns.plan import VersionSpec
from tests.support.workers import (
    Answer,
    WorkerUnderTest,
    connect,
    deployment,
    get,
    read_answer,
    until,
)


@asynccontextmanager
async def proxy(
    url: str, *, clients: ClientLimits | None = None, **changes: object
) -> AsyncIterator[WorkerUnderTest]:
    """A worker that proxies to one endpoint. What is left in flight when the test is done fails it."""
    async with WorkerUnderTest(clients=clients or ClientLimits()) as worker:
        await worker.publish(replace(deployment({"v1": url}), **changes))
        yield worker
        await worker.publish(replace(deployment({"v1": url}), **changes))
        await until(
            lambda: not any(row.in_flight for row in worker.series.values()), what="nothing in flight"
        )


def limited(url: str, **limits: object) -> tuple[VersionSpec, ...]:
    return (VersionSpec("v1", (url,), **limits),)  # type: ignore[arg-type]


async def ask(port: int, request: bytes = get()) -> Answer:
    reader, writer = await connect(port)
    writer.write(request)
    try:
        async with asyncio.timeout(10):
            return await read_answer(reader)
    finally:
        writer.close()


def is_overloaded(answer: Answer) -> bool:
    return (answer.status, answer.fields[b"x-router-error"], answer.fields[b"retry-after"]) == (
        503,
        b"overloaded",
        b"1",
    )


def reading(writer: asyncio.StreamWriter) -> asyncio.Transport:
    """The reading side of a connection."""
    return cast(asyncio.Transport, writer.transport)


async def eventually(condition: Callable[[], Awaitable[bool]], timeout: float = 10.0) -> None:
    """Until it holds."""
    async with asyncio.timeout(timeout):
        while not await condition():
            await asyncio.sleep(0.05)
