"""What the connections of one worker share, and the one place where its routing state is assigned."""

import asyncio
import socket
import ssl
from itertools import count
from os import urandom
from time import monotonic

from router.channel import SeriesTally, Tally
from router.dataplane.capture import RecorderLink, Tapped
from router.dataplane.downstream import Downstream
from router.dataplane.routes import Routes, Runtime
from router.dataplane.timers import Wheel
from router.dataplane.tunnel import Tunnel
from router.http1.plain import KnownLines
from router.patterns.plan import Snapshot
from router.telemetry.counters import EventCounter, VersionCounter


class Engine:
    """See the module.

    `routes` is read once by every exchange and assigned only by `put_in_force`. `time` is the monotonic time, in
    seconds, at which the present callback began; whatever the loop calls first sets it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, recorder_path: str) -> None:
        self.loop = loop
        self.wheel = Wheel(loop)
        self.events = EventCounter()
        self.time = monotonic()
        self.tls = ssl.create_default_context()
        self.known_lines = KnownLines()
        self.runtime = Runtime(self)
        self.unrouted = self.runtime.counter("", "", "live")
        self.routes = Routes(Snapshot(0, ()), self.runtime)
        self.recorder = RecorderLink(recorder_path, loop, self.events)
        self.tapped = Tapped()
        self.clients: set[Downstream] = set()
        self.tunnels: set[Tunnel] = set()
        self.draining = False
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
        routes = Routes(snapshot, self.runtime, self.routes)
        self.routes = routes
        self.runtime.retire(routes)
        self._folded += self.runtime.fold(routes)

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Accepts clients on a bound socket from now on."""
        scheme = b"https" if tls else b"http"
        server = await self.loop.create_server(
            lambda: Downstream(self, scheme), sock=sock, ssl=tls, backlog=4096
        )
        self._servers.append(server)

    async def drain(self, grace: float, *, close_idle: bool) -> None:
        """Accepts nothing more, lets exchanges end, and closes what is left after `grace` seconds."""
        self.draining = True
        for server in self._servers:
            server.close()
        if close_idle:
            self.close_idle()
        end = monotonic() + grace
        while (self.clients or self.tunnels or self.runtime.copying) and monotonic() < end:
            await asyncio.sleep(0.02)
        for tunnel in list(self.tunnels):
            tunnel.close()
        for client in list(self.clients):
            client.break_off(hard=True)
        await self.recorder.close()

    def close_idle(self) -> None:
        """Closes the client connections that are between two requests."""
        for client in list(self.clients):
            client.close_if_idle()

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
