"""Connections to endpoints: idle ones on a stack, the most recent first; those who wait in a queue.

An Endpoint is one base URL as seen by one role (live or shadow: copies have connections of their own). It outlives
snapshots: what it knows (connections, health) is keyed by address, not by configuration. A connection belongs either
to the idle stack or to the one carrier that leases it; a lease ends exactly once, in `give_back` or `drop_lease`.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import urlsplit

from router.dataplane.faults import Fault
from router.dataplane.health import Ejection
from router.dataplane.upstream import Upstream
from router.patterns.limits import UpstreamTls
from router.tls import ClientFiles

if TYPE_CHECKING:
    from router.dataplane.engine import Engine

_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)

MAX_AGE = 300.0
"""Seconds after which a connection to a name is not used again, so that the name is resolved anew."""


class Waiter(Protocol):
    """Someone who asked for a connection that was not there at once; called exactly once, unless withdrawn."""

    def on_connected(self, upstream: Upstream) -> None: ...
    def on_connect_failed(self, fault: Fault, detail: str) -> None: ...


class Endpoint:
    """One base URL for one role: its connections, its health, and the head fragments that depend on it.

    `connection_limit` (0: none), `queue_limit` (who may wait for one of them to be free), `connect_timeout` (seconds)
    and `answer_head` (bytes, for new connections) are the newest snapshot's.
    """

    __slots__ = ("_busy", "_connecting", "_engine", "_files", "_host", "_idle", "_is_name", "_port", "_secure",
                 "_server_name", "_tasks", "_waiters", "answer_head", "base", "connect_timeout", "connection_limit",
                 "down", "ejection", "host_lines", "queue_limit", "url")  # fmt: skip

    def __init__(self, url: str, engine: Engine, tls: UpstreamTls | None = None) -> None:
        parts = urlsplit(url)
        self.url = url
        self._engine = engine
        self._host = parts.hostname or ""
        self._is_name = not self._host.replace(".", "").isdigit() and ":" not in self._host
        self._secure = parts.scheme == "https"
        tls = tls or UpstreamTls()
        self._files = ClientFiles(tls.ca, tls.cert, tls.key, tls.verify)
        self._server_name = tls.server_name or self._host
        self._port = parts.port or (443 if self._secure else 80)
        self.base = parts.path.rstrip("/").encode()
        self.host_lines = b" HTTP/1.1\r\nhost: %b\r\n" % parts.netloc.encode()
        self.connection_limit = self.queue_limit = 0
        self.connect_timeout = 1.0
        self.answer_head = 64 << 10
        self.down = False
        self.ejection = Ejection()
        self._idle: list[Upstream] = []
        self._busy = 0
        self._connecting = 0
        self._waiters: deque[Waiter] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def in_flight(self) -> int:
        """Requests that are being answered or wait for a connection."""
        return self._busy + len(self._waiters)

    @property
    def exhausted(self) -> bool:
        """Whether every connection the limit allows is carrying a request."""
        return 0 < self.connection_limit <= self._busy

    @property
    def crowded(self) -> bool:
        """Whether no more requests may wait for a connection to be free."""
        if not self.exhausted:
            return False
        return len(self._waiters) - self._connecting >= self.queue_limit

    def take(self, now: float) -> Upstream | None:
        """An idle connection, leased to the caller; None if there is none."""
        idle = self._idle
        while idle:
            upstream = idle.pop()
            if upstream.deadline > now and upstream.usable:
                self._busy += 1
                return upstream
            upstream.close()
        return None

    def wait(self, waiter: Waiter) -> None:
        """Queues for a connection, which comes by one of the waiter's two methods."""
        self._waiters.append(waiter)
        self._connect_for_waiters()

    def discard_idle(self) -> None:
        """Closes what is idle: after a reused connection broke others may be stale too, or nobody wants them."""
        idle, self._idle = self._idle, []
        for upstream in idle:
            upstream.close()

    def withdraw(self, waiter: Waiter) -> None:
        """The waiter wants nothing any more."""
        try:
            self._waiters.remove(waiter)
        except ValueError:
            pass

    def give_back(self, upstream: Upstream) -> None:
        """A lease ends and the connection is good for another exchange."""
        self._busy -= 1
        now = self._engine.time
        if self._is_name and now - upstream.born > MAX_AGE:
            upstream.close()
            self._connect_for_waiters()
        elif self._waiters:
            self._hand_over(upstream)
        else:
            upstream.deadline = now + upstream.keep_alive_for
            self._idle.append(upstream)

    def drop_lease(self) -> None:
        """A lease ends and its connection is gone."""
        self._busy -= 1
        if self._waiters:
            self._connect_for_waiters()

    def forget_idle(self, upstream: Upstream) -> None:
        """An idle connection is gone."""
        if upstream in self._idle:
            self._idle.remove(upstream)

    def _connect_for_waiters(self) -> None:
        """One connection is under way for each waiter, as far as the limit allows."""
        while self._connecting < len(self._waiters):
            open_now = self._busy + len(self._idle) + self._connecting
            if self.connection_limit and open_now >= self.connection_limit:
                return
            self._connecting += 1
            task = self._engine.loop.create_task(self._connect())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        upstream = Upstream(self._engine, self)
        try:
            async with asyncio.timeout(self.connect_timeout):
                await self._engine.loop.create_connection(
                    lambda: cast(asyncio.Protocol, upstream),
                    self._host,
                    self._port,
                    ssl=self._engine.tls.get(self._files, monotonic()) if self._secure else None,
                    server_hostname=self._server_name if self._secure else None,
                )
        except (OSError, ValueError) as error:  # also TimeoutError, ssl.SSLError; a name that can't be one
            why = getattr(error, "strerror", None) or str(error)
            fault = Fault.OVERLOADED if getattr(error, "errno", 0) in _NO_DESCRIPTOR else Fault.CONNECT_FAILED
            self._connected(None, fault, why or f"no connection within {self.connect_timeout:g} s")
        else:
            found = upstream if upstream.usable else None
            self._connected(found, Fault.CONNECT_FAILED, "it was closed at once")

    def _connected(self, upstream: Upstream | None, fault: Fault, why: str) -> None:
        """An attempt to connect is over: with a connection, or without one, because of `fault`."""
        self._connecting -= 1
        self._engine.time = monotonic()
        if upstream is not None:
            self._busy += 1
            self.give_back(upstream)
        elif self._waiters:
            detail = f"can't connect to {self.url}: {why}"
            self._waiters.popleft().on_connect_failed(fault, detail)
            self._connect_for_waiters()

    def _hand_over(self, upstream: Upstream) -> None:
        self._busy += 1
        self._waiters.popleft().on_connected(upstream)
