"""The part of an exchange that finds it a connection: the version's turn, an endpoint, a retry, the fallback.

A version whose limit is reached lets a few requests wait (`lanes`); what finds no place is refused or falls back. A
request that waited looks at the newest routes before it goes on: what was rolled back meanwhile must not be reached
(promise 1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.dataplane.discard import discard
from router.dataplane.faults import Fault
from router.dataplane.reply import Reply
from router.dataplane.routes import Version, choose
from router.dataplane.state import CONNECTING, QUEUED, State
from router.http1.framing import CHUNKED, LAST_CHUNK, unchunk

if TYPE_CHECKING:
    from router.dataplane.mirror import Mirroring
    from router.dataplane.routes import Routes
    from router.dataplane.upstream import Upstream


class Seeking(Reply):
    """See the module. `Exchange` adds what comes before, and what happens on the connection."""

    __slots__ = ("_attempts_left", "_end_by", "_forwarded", "_replay", "_replay_size", "_routes", "_upstream",
                 "deadline", "slot")  # fmt: skip

    # `Exchange` sets these, most of them when it starts.
    _attempts_left: int
    _end_by: float
    _forwarded: bytes
    _replay: list[bytes] | None
    _replay_size: int
    _routes: Routes
    _upstream: Upstream | None

    # `slot` and `deadline` are the wheel's, and set while the exchange waits for its turn or a connection.
    deadline: float
    slot: int

    def _send(self, upstream: Upstream) -> None:
        """Leases the connection and sends all of the request that is here."""
        raise NotImplementedError

    def on_deadline(self, now: float) -> None:
        """A wait has been long enough, or what its connection was to bring is late."""
        raise NotImplementedError

    # the version, and its turn

    def _enter(self, version: Version) -> None:
        """From here on this version is the one that answers, and the one that is counted."""
        self._version = version
        segments = version.segments
        self._counter = counter = version.counter if segments is None else segments.counter(self.head)
        counter.start()
        if version.lane is None:
            self._attempt(version)
        elif version.lane.enter():
            self._lane = version.lane
            self._attempt(version)
        elif version.lane.full:
            limit = version.lane.limit
            self._fail(Fault.OVERLOADED, f"{version.name} has {limit} requests in flight already")
        else:
            self._wait(QUEUED, version.lane.patience)
            version.lane.wait(self)

    def _wait(self, state: State, patience: float) -> None:
        self._state = state
        self.deadline = self._engine.time + patience
        self._engine.wheel.watch(self)

    def on_turn(self) -> None:
        """The lane has a place for it."""
        version = self._version
        assert version is not None
        self._engine.wheel.forget(self)
        self._lane = version.lane
        self._attempt(version)

    # an endpoint, and its connection

    def _attempt(self, version: Version) -> None:
        """Asks for a connection to the version."""
        engine = self._engine
        if engine.routes is not self._routes and self._was_withdrawn(version):
            return
        self._endpoint = endpoint = choose(version.endpoints, engine.time, self._endpoint)
        if endpoint is None:
            self._fail(Fault.NO_ENDPOINT, f"no endpoint of {version.name} is healthy")
            return
        upstream = endpoint.take(engine.time)
        if upstream is not None:
            self._send(upstream)
        elif endpoint.crowded:
            detail = f"{version.name} has all of its {endpoint.connection_limit} connections in use"
            self._lost(Fault.OVERLOADED, detail, resend=len(version.endpoints) > 1)
        else:
            assert self._route is not None
            self._wait(CONNECTING, self._route.timeouts.connect)
            endpoint.wait(self)

    def _was_withdrawn(self, version: Version) -> bool:
        """Moves on to the routes in force where they no longer allow the version of this attempt."""
        assert self._route is not None
        self._routes = self._engine.routes
        route = self._routes.by_name.get(self._route.name)
        if route is None or route.allows(version, self.head):
            return False
        self._counter.abandon()
        self._leave_lane()
        self._route = route
        if self._mirroring is not None:
            self._mirroring.give_up("withdrawn")
            self._record("withdrawn")
            self._mirroring.free()
            self._mirroring = None
        self._enter(route.assign(self.head, self._client.ip))
        return True

    def on_connected(self, upstream: Upstream) -> None:
        engine = self._engine
        engine.wheel.forget(self)
        assert self._version is not None
        if engine.routes is not self._routes and self._was_withdrawn(self._version):
            upstream.endpoint.give_back(upstream)
            return
        self._send(upstream)

    def on_connect_failed(self, fault: Fault, detail: str) -> None:
        self._engine.wheel.forget(self)
        assert self._endpoint is not None
        if fault is Fault.CONNECT_FAILED:  # and not ours, who have no descriptor left
            self._endpoint.ejection.failure(self._engine.time)
        self._lost(fault, detail, resend=True)

    def _waited_long_enough(self) -> None:
        """The deadline of a wait has come, for its turn or for a connection."""
        version, endpoint = self._version, self._endpoint
        assert version is not None
        state = self._state
        self._stop_waiting()
        if state is QUEUED:
            self._fail(Fault.OVERLOADED, f"{version.name} has as many requests in flight as it may")
        elif endpoint is not None and endpoint.exhausted:
            detail = f"{version.name} has all of its {endpoint.connection_limit} connections in use"
            self._lost(Fault.OVERLOADED, detail, resend=len(version.endpoints) > 1)
        else:
            self._lost(Fault.CONNECT_FAILED, f"no connection to {version.name} in time", resend=True)

    def _stop_waiting(self) -> None:
        assert self._version is not None
        self._engine.wheel.forget(self)
        if self._state is QUEUED:
            assert self._version.lane is not None
            self._version.lane.withdraw(self)
        elif self._state is CONNECTING:
            assert self._endpoint is not None
            self._endpoint.withdraw(self)

    def _drop_upstream(self) -> None:
        """Nothing more is wanted of this attempt, whatever it has got."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.release(request_whole=False)
        elif self._state is QUEUED or self._state is CONNECTING:
            self._stop_waiting()

    # failing, retrying, falling back

    def _lost(self, fault: Fault, detail: str, *, resend: bool) -> None:
        """The attempt failed; `resend`: the endpoint can't have begun to work on it, because nothing was sent, or a
        reused connection closed before a byte came back."""
        if resend and self._may_retry(fault):
            assert self._route is not None
            assert self._version is not None
            self._attempts_left -= 1
            self._engine.events.add("router_retries_total", self._route.name, self._version.name)
            self._attempt(self._version)
        else:
            self._fail(fault, detail)

    def _may_retry(self, fault: Fault) -> bool:
        """Whether there is an attempt left, all of the request, time, and budget: that is for new connections, and not
        for a server that closed a used one, which costs it nothing."""
        route = self._route
        assert route is not None
        return (
            self._attempts_left > 0
            and self._replay is not None
            and self._engine.time < self._end_by
            and (fault is Fault.UPSTREAM_RESET or route.budget.take(self._engine.time))
        )

    def _fail(self, fault: Fault, detail: str) -> None:
        """No answer from this version: the fallback answers, or the router does."""
        if self._can_fall_back():
            self._fall_back(fault.status, fault.code)
        else:
            self._refuse(fault, detail)

    def _can_fall_back(self) -> bool:
        route, version = self._route, self._version
        return (
            route is not None
            and version is not None
            and route.fallback is not None
            and version.name != route.fallback.name
            and self._replay is not None
            and self._engine.time < self._end_by
        )

    def _fall_back(self, code: int, reason: str) -> None:
        """The candidate's failure is counted and recorded as its own; then stable answers."""
        route, failed, upstream = self._route, self._version, self._upstream
        assert route is not None
        assert failed is not None
        assert route.fallback is not None
        self._engine.events.add("router_fallbacks_total", route.name, failed.name)
        if self._mirroring is not None:
            self._launch(self._mirroring, self._replay or [])
            self._record(reason)
        if upstream is not None:
            self._upstream = None
            discard(upstream, self._answer, request_whole=self._request_whole)
        self._answer = None
        self._first_byte = -1.0
        self._counter.fall_back()
        self._leave_lane()
        self._blame(code)
        self._attempts_left = route.retries
        self._enter(route.fallback)

    def _launch(self, mirroring: Mirroring, pieces: list[bytes]) -> None:
        """Copies leave after the first attempt of the live request, or before it is given up."""
        if self.head.framing is CHUNKED:
            pieces = [unchunk(piece) for piece in pieces if piece is not LAST_CHUNK]
        mirroring.launch(self.head, self.id, self._forwarded, pieces, whole=self._request_whole)
