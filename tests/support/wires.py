"""The data plane without sockets: transports that record, and a loop whose connections the test makes."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from router.dataplane.copies import Copy
from router.dataplane.downstream import Downstream
from router.dataplane.engine import Engine
from router.dataplane.exchange import Exchange
from router.dataplane.pool import Endpoint
from router.dataplane.upstream import Upstream
from router.patterns.observing import Observing
from router.patterns.plan import DeploymentPlan, Snapshot


class Wire:
    """The transport of one connection: what was written, and what its protocol asked of it."""

    def __init__(self) -> None:
        self.sent = b""
        self.paused = False
        self.closed = False
        self.aborted = False
        self.eof = False
        self.unsent = 0
        self.protocol: Any = None

    def write(self, data: bytes) -> None:
        self.sent += data

    def take(self) -> bytes:
        """What was written since the last call."""
        sent, self.sent = self.sent, b""
        return sent

    def write_eof(self) -> None:
        self.eof = True

    @property
    def ended(self) -> bool:
        """Whether the other end is told that nothing more comes."""
        return self.eof or self.closed

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def set_write_buffer_limits(self, high: int) -> None: ...

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.7", 4711) if name == "peername" else None

    def lose(self, exc: Exception | None = None) -> None:
        """The connection is gone, and the protocol is told."""
        self.closed = True
        self.protocol.connection_lost(exc)


def connected(protocol: asyncio.BaseProtocol) -> Wire:
    """Tells a protocol that it has a connection."""
    wire = Wire()
    wire.protocol = protocol
    protocol.connection_made(cast(asyncio.BaseTransport, wire))
    return wire


class Loop:
    """The running loop, but for `create_connection`: `refuse` raises, `stall` never answers, else wires gather."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.wires: list[Wire] = []
        self.asked = 0
        self.refuse: OSError | UnicodeError | None = None
        self.stall = False
        self.dead_at_once = False

    async def create_connection(
        self, factory: Callable[[], asyncio.BaseProtocol], *_: Any, **__: Any
    ) -> tuple[Wire, asyncio.BaseProtocol]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.stall:
            await asyncio.Event().wait()
        if self.refuse is not None:
            raise self.refuse
        protocol = factory()
        wire = connected(protocol)
        self.wires.append(wire)
        if self.dead_at_once:
            wire.lose()
        return wire, protocol

    def create_task(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return self._loop.create_task(coroutine)

    def call_soon(self, callback: Callable[..., object], *arguments: Any) -> asyncio.Handle:
        return self._loop.call_soon(callback, *arguments)

    def call_soon_threadsafe(self, callback: Callable[..., object], *arguments: Any) -> asyncio.Handle:
        return self._loop.call_soon_threadsafe(callback, *arguments)

    def call_later(
        self, delay: float, callback: Callable[..., object], *arguments: Any
    ) -> asyncio.TimerHandle:
        return self._loop.call_later(delay, callback, *arguments)


async def settle() -> None:
    """Lets every task and callback that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


class DataPlane:
    """An engine with these deployments in force, on a `Loop`."""

    def __init__(self, *deployments: DeploymentPlan) -> None:
        self.loop = Loop()
        self.engine = Engine(cast(asyncio.AbstractEventLoop, self.loop), "/nonexistent/recorder.sock")
        self.generation = 0
        self.publish(*deployments)

    def publish(self, *deployments: DeploymentPlan, observing: Observing | None = None) -> None:
        self.generation += 1
        self.engine.put_in_force(Snapshot(self.generation, deployments, observing=observing or Observing()))

    def client(self) -> tuple[Downstream, Wire]:
        """A new client connection."""
        protocol = Downstream(self.engine, b"http")
        return protocol, connected(cast(asyncio.BaseProtocol, protocol))

    def endpoint(self, url: str, role: str = "live") -> Endpoint:
        return self.engine.runtime.endpoint(role, url)

    def in_flight(self, version: str, role: str = "live", name: str = "d") -> int:
        return self.engine.runtime.counter(name, version, role).in_flight

    def codes(self, version: str, role: str = "live", name: str = "d") -> dict[int, int]:
        return self.engine.runtime.counter(name, version, role).codes

    @property
    def wires(self) -> list[Wire]:
        """The upstream connections, in the order they were made."""
        return self.loop.wires


def leftovers(engine: Engine) -> list[str]:
    """What an engine without a request under way must not have any more."""
    found = [
        f"{counter.in_flight} in flight of {key}"
        for key, counter in engine.runtime.counters.items()
        if counter.in_flight
    ]
    for key, endpoint in engine.runtime.endpoints.items():
        if endpoint._busy or endpoint._connecting or endpoint._waiters:
            found.append(f"{key}: {endpoint._busy} leased, {len(endpoint._waiters)} waiting")
        found += [f"{key}: an idle connection is leased" for each in endpoint._idle if each.carrier]
    found += [
        f"{key}: {lane.in_use} places in use" for key, lane in engine.runtime._lanes.items() if lane.in_use
    ]
    watched = [item for members in engine.wheel._slots.values() for item in members]
    found += [f"the wheel watches {item}" for item in watched if isinstance(item, (Exchange, Copy))]
    for item in watched:
        if isinstance(item, Downstream) and item not in engine.clients:
            found.append("the wheel watches a client that is gone")
        if isinstance(item, Upstream) and not item.usable and item.carrier:
            found.append("the wheel watches an upstream that is gone")
    found += ["a client has an exchange" for client in engine.clients if client._exchange is not None]
    return found
