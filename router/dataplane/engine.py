"""What the connections of one worker share, and the one place where its routing state is assigned."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from itertools import count
from os import urandom
from time import monotonic
from typing import cast

from router.channel import SeriesTally, Tally
from router.dataplane.capture import RecorderLink, Tapped
from router.dataplane.door import Door
from router.dataplane.downstream import Downstream
from router.dataplane.exchange import Exchange
from router.dataplane.footprint import give_back, resident
from router.dataplane.observer import Observer
from router.dataplane.routes import Routes
from router.dataplane.runtime import Runtime
from router.dataplane.timers import Wheel
from router.dataplane.tunnel import Tunnel
from router.http1.head import RequestHead
from router.http1.plain import KnownLines
from router.patterns.observing import Observing
from router.patterns.plan import Snapshot
from router.telemetry.counters import VersionCounter
from router.telemetry.events import EventCounter
from router.tls import ClientContexts

_log = logging.getLogger(__name__)

HANDSHAKE = 10.0
"""Seconds in which a client's TLS handshake is done."""


class Engine:
    """See the module.

    `routes` is read once by every exchange and assigned only by `put_in_force`. `exchange` makes exchanges: it is the
    class itself, or an `Observer` where somebody is told of requests. `time` is the monotonic time, in seconds, at
    which the present callback began; whatever the loop calls first sets it. `descriptors`: how many this process may
    have.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, recorder_path: str, descriptors: int = 1024) -> None:
        self.loop = loop
        self.wheel = Wheel(loop)
        self.events = EventCounter()
        self.time = monotonic()
        self.tls = ClientContexts()
        self.door = Door(descriptors)
        self.known_lines = KnownLines()
        self.runtime = Runtime(self)
        self.unrouted = self.runtime.counter("", "", "live")
        self.routes = Routes(Snapshot(0, ()), self.runtime)
        self.recorder = RecorderLink(recorder_path, loop, self.events)
        self.tapped = Tapped()
        self.exchange: Callable[[Engine, Downstream, RequestHead], Exchange] = Exchange
        self.clients: set[Downstream] = set()
        self.tunnels: set[Tunnel] = set()
        self.draining = self.short_of_memory = False
        self._closing_idle = False
        self._observing = Observing()
        self._observer: Observer | None = None
        self._servers: list[asyncio.Server] = []
        self._prefix = urandom(6).hex().encode()
        self._numbers = count()
        self._sent_events: dict[tuple[str, ...], int] = {}
        self._ejected: tuple[str, ...] = ()
        self._folded: list[VersionCounter] = []

    def new_id(self) -> bytes:
        """A request id no other worker gives, now or after a restart."""
        return b"%b-%x" % (self._prefix, next(self._numbers))

    def put_in_force(self, snapshot: Snapshot) -> None:
        """From the next request on this snapshot decides. An older one than the present is passed over."""
        if snapshot.generation < self.routes.generation:
            return
        if snapshot.observing != self._observing:
            self._observe(snapshot.observing)
        routes = Routes(snapshot, self.runtime, self.routes)
        self.routes = routes
        self.runtime.retire(routes.addresses())
        self._folded += self.runtime.fold(routes.cohorts())

    def _observe(self, observing: Observing) -> None:
        """From the next request on it is told of as asked for. Nobody asks by default: then this costs nothing."""
        self._observing = observing
        if self._observer is not None:
            self._observer.retire()
        asked = observing.access_log is not None or observing.tracing is not None
        self._observer = Observer(observing, self.loop, self.events) if asked else None
        self.exchange = self._observer.exchange if self._observer is not None else Exchange

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Accepts clients on a bound socket from now on."""
        scheme = b"https" if tls else b"http"
        server = await self.loop.create_server(
            lambda: cast(asyncio.Protocol, Downstream(self, scheme)),
            sock=sock,
            ssl=tls,
            backlog=4096,
            ssl_handshake_timeout=HANDSHAKE if tls else None,
        )
        self._servers.append(server)

    async def drain(self, grace: float, *, close_idle: bool) -> None:
        """Accepts nothing more, lets exchanges end, and closes what is left after `grace` seconds."""
        self.draining = True
        for server in self._servers:
            server.close()
        self._closing_idle |= close_idle
        end = monotonic() + grace
        while (self.clients or self.tunnels or self.runtime.copying) and monotonic() < end:
            if self._closing_idle:
                self.close_idle()  # also those whose answer began before the drain, and promised to go on
            await asyncio.sleep(0.02)
        for tunnel in list(self.tunnels):
            tunnel.close()
        for client in list(self.clients):
            client.reset()
        await self.recorder.close()
        if self._observer is not None:
            await self._observer.close()

    def close_idle(self) -> None:
        """Closes the client connections that are between two requests, and those that will be while a drain lasts."""
        self._closing_idle = True
        for client in list(self.clients):
            client.close_if_idle()

    def weigh(self) -> None:
        """To be called now and then: requests are turned away while this process has more memory than it may."""
        most = self.routes.clients.memory
        short = 0 < most < resident()
        if short:
            give_back()
            short = most < resident()
        if short is not self.short_of_memory:
            self.short_of_memory = short
            _log.log(logging.ERROR if short else logging.INFO, "%d of %d bytes of memory: %s", resident(), most,
                     "requests are turned away" if short else "requests are served again")  # fmt: skip

    def retell(self) -> None:
        """The next tally tells everything: a new controller has heard nothing yet."""
        self._sent_events.clear()
        for counter in self.runtime.counters.values():
            counter.touch()

    def tally(self) -> Tally | None:
        """What changed since the last call; None if nothing did."""
        series: list[SeriesTally] = []
        folded, self._folded = self._folded, []
        for counter in (*self.runtime.counters.values(), *folded):
            changed = counter.tally()
            if changed is not None and (changed.deployment or changed.codes):
                series.append(changed)
        ejected = self.runtime.ejected(monotonic())
        events = {
            key: value for key, value in self.events.counts.items() if self._sent_events.get(key) != value
        }
        if not series and not events and ejected == self._ejected:
            return None
        self._sent_events.update(events)
        self._ejected = ejected
        return Tally(tuple(series), tuple(events.items()), ejected)
