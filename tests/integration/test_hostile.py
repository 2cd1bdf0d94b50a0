"""Clients and upstreams at their worst, all at once, against one engine on real sockets: afterwards nothing is left.

The engine runs in this process, so that its leases, timers and counters can be looked at.
"""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
import uvloop

from router.dataplane.discard import PATIENCE
from router.dataplane.engine import Engine
from router.dataplane.timers import PATROL
from router.patterns.plan import Copies, Key, Plan, Snapshot, Timeouts, VersionSpec
from tests.support.upstreams import Upstream, read_request
from tests.support.wires import leftovers
from tests.support.workers import connect, deployment, get, post, until

SECONDS = 3.0
CHUNKED = b"POST /x HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"
UPGRADE = get(b"/x", b"connection: upgrade", b"upgrade: websocket")
REQUESTS = [
    get(), get() * 5, post(b"x" * 10), post(b"x" * 200_000), get(b"/x", b"connection: close"),
    b"HEAD /x HTTP/1.1\r\nhost: t\r\n\r\n", b"GET /x HTTP/1.0\r\n\r\n", CHUNKED + b"3\r\nabc\r\n0\r\n\r\n",
    CHUNKED + b"3\r\nabc\r\nxyz", CHUNKED + b"3\r\nab", post(b"x" * 10)[:-5], get()[:12], b"nonsense\r\n\r\n",
    get() + b"nonsense\r\n\r\n", get() + CHUNKED + b"zz", UPGRADE, UPGRADE + get(), UPGRADE + b"x" * 100_000,
    get(b"/nowhere"), get(b"/nowhere") * 3 + get(), post(b"x" * 70_000)[:-1] + get(),
]  # fmt: skip
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
ANSWERS = [
    OK, OK, OK, OK + OK, OK[:-1], b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nto the end",
    b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops", b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\noo",
    b"HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\nzz", b"HTTP/1.1 204 No\r\n\r\n",
    b"HTTP/1.1 103 Early\r\n\r\n" * 300 + OK, b"HTTP/1.1 103 Early\r\n\r\n" * 300,
    b"HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello", b"HTTP/1.1 101 S\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 900000\r\n\r\n" + b"x" * 900_000,
]  # fmt: skip


def cut_off(writer: asyncio.StreamWriter) -> None:
    """A reset instead of an orderly end."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):  # None when it is closed already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def hostile_upstream(rng: random.Random) -> Upstream:
    """Answers early, late, never, wrongly, twice; closes and resets at any moment."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # What it did not read of a body is no request; and uvloop raises RuntimeError for writing on what is closed.
        with contextlib.suppress(asyncio.LimitOverrunError, ValueError, RuntimeError):
            await answer_badly(reader, writer)

    async def answer_badly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            if rng.random() < 0.2:
                await reader.readuntil(b"\r\n\r\n")  # an early answer
            elif await read_request(reader) is None:
                return
            if rng.random() < 0.2:
                await asyncio.sleep(rng.random() * 0.3)
            writer.write(rng.choice(ANSWERS))
            await writer.drain()
            if rng.random() < 0.2:
                cut_off(writer)
            if rng.random() < 0.2:
                return

    return Upstream(handler)


async def hostile_client(port: int, rng: random.Random, until_time: float) -> None:
    clock = asyncio.get_running_loop().time
    while clock() < until_time:
        reader, writer = await connect(port)
        with contextlib.suppress(OSError, RuntimeError):  # uvloop's, for writing on what is closed
            for _ in range(rng.randint(1, 3)):
                data = rng.choice(REQUESTS)
                at = rng.randint(0, len(data))
                for piece in (data[:at], data[at:]):
                    writer.write(piece)
                    if rng.random() < 0.3:
                        await asyncio.sleep(0.002)
                if rng.random() < 0.7:
                    await asyncio.wait_for(reader.read(rng.choice([1, 100, 1 << 20])), rng.random() * 0.3)
            if rng.random() < 0.5:
                writer.write_eof()
        cut_off(writer)


async def publishing(engine: Engine, plans: list[Any], rng: random.Random, until_time: float) -> None:
    """Snapshots change all the while."""
    generation = 1
    while asyncio.get_running_loop().time() < until_time:
        generation += 1
        engine.put_in_force(Snapshot(generation, (rng.choice(plans),)))
        await asyncio.sleep(0.05)


async def storm(seed: int) -> None:
    rng = random.Random(seed)
    loop = asyncio.get_running_loop()
    surprises: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: surprises.append(context))
    async with hostile_upstream(rng) as one, hostile_upstream(rng) as two:
        engine = Engine(loop, "/nonexistent/recorder.sock")
        targets: dict[str, tuple[str, ...]] = {"v1": ("v2",), "v2": ("v1",)}
        copies = Copies(3000, targets, 0.3, 8, 1000)
        timeouts = Timeouts(connect=0.2, first_byte=0.2, idle=0.2, total=0.6)
        versions = (
            VersionSpec("v1", (one.url, "http://127.0.0.1:9"), 4, 0),
            VersionSpec("v2", (two.url,), 3, 12),
        )
        plans = [
            msgspec.structs.replace(
                deployment({"v1": one.url, "v2": two.url}, plan, path="/x"),
                timeouts=timeouts,
                versions=versions,
            )
            for plan in (
                Plan("v1", "v2", 5000, copies=copies, fallback="v1"),
                Plan("v1", "v2", 5000, Key("client_ip"), b"s"),
                Plan("v1", "v2", 0),
                Plan("v2", copies=copies),
            )
        ]
        engine.put_in_force(Snapshot(1, (plans[0],)))
        listening = socket.create_server(("127.0.0.1", 0))
        await engine.listen(listening, None)
        end = loop.time() + SECONDS
        port = listening.getsockname()[1]
        await asyncio.gather(
            *(hostile_client(port, random.Random(seed + n), end) for n in range(12)),
            publishing(engine, plans, rng, end),
        )
        for tunnel in list(engine.tunnels):
            tunnel.close()
        with contextlib.suppress(AssertionError):
            # An unwanted answer that never gets whole is what may take longest to be given up.
            await until(lambda: not leftovers(engine), PATIENCE + PATROL + 4.0)
        assert leftovers(engine) == []
        await until(lambda: not engine.clients and not engine.tunnels, 5.0, "no client left")
        answered = sum(sum(counter.codes.values()) for counter in engine.runtime.counters.values())
        assert answered > 100
        await engine.drain(1.0, close_idle=True)
    assert surprises == []


def test_after_a_storm_everything_is_back_to_zero() -> None:
    uvloop.run(storm(1))


@pytest.mark.slow
@pytest.mark.parametrize(
    "run", [pytest.param(uvloop.run, id="uvloop"), pytest.param(asyncio.run, id="asyncio")]
)
def test_after_any_storm_everything_is_back_to_zero(run: Callable[[Awaitable[None]], None]) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # shown when it fails
    run(storm(seed))
