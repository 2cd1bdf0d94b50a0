"""The way of a request to its answer: the version's turn, an endpoint, a connection, a retry, the fallback, the end.

A version whose limit is reached lets a few requests wait (`lanes`); what finds no place is refused or falls back. A
request that waited looks at the newest routes before it goes on: what was rolled back meanwhile must not be reached
(promise 1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.dataplane.discard import discard
from router.dataplane.downstream import Downstream
from router.dataplane.faults import Fault, render
from router.dataplane.inflow import Inflow
from router.dataplane.lanes import Lane
from router.dataplane.mirror import Mirroring
from router.dataplane.pool import Endpoint
from router.dataplane.routes import Route, Routes
from router.dataplane.state import CONNECTING, DONE, NEW, QUEUED, State
from router.dataplane.upstream import Upstream
from router.dataplane.versions import Version, choose
from router.http1.framing import CHUNKED, LAST_CHUNK, unchunk
from router.http1.head import RequestHead, ResponseHead
from router.telemetry.counters import VersionCounter
from router.telemetry.events import FALLBACKS, OWN_ERRORS, RETRIES

if TYPE_CHECKING:
    from router.dataplane.engine import Engine


class Attempts:
    """See the module. `Exchange` adds what the two connections say, and what they are told."""

    __slots__ = (
        "_answer", "_answer_whole", "_attempts_left", "_client", "_counter", "_end_by", "_endpoint", "_engine",
        "_first_byte", "_forwarded", "_inflow", "_lane", "_mirroring", "_replay", "_replay_size", "_request_whole",
        "_route", "_routes", "_started", "_state", "_upstream", "_version", "deadline", "head", "id", "slot",
    )  # fmt: skip

    # These are set when the exchange starts, `_counter` with `_version`.
    _attempts_left: int
    _counter: VersionCounter
    _end_by: float
    _forwarded: bytes
    _routes: Routes

    # The wheel's, and set while the exchange waits for its turn or a connection.
    deadline: float
    slot: int

    def __init__(self, engine: Engine, client: Downstream, head: RequestHead) -> None:
        self._engine = engine
        self._client = client
        self.head = head
        self.id = head.index.get(b"x-request-id") or engine.new_id()
        self._state: State = NEW
        self._started = engine.time
        self._first_byte = -1.0
        self._request_whole = self._answer_whole = False
        self._answer: ResponseHead | None = None
        self._endpoint: Endpoint | None = None
        self._version: Version | None = None
        self._mirroring: Mirroring | None = None
        self._upstream: Upstream | None = None
        self._route: Route | None = None
        self._lane: Lane | None = None
        self._inflow: Inflow | None = None
        self._replay: list[bytes] | None = []
        self._replay_size = 0

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
            self._engine.events.add(RETRIES, self._route.name, self._version.name)
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
        self._engine.events.add(FALLBACKS, route.name, failed.name)
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
        if mirroring.launched:
            return
        if self.head.framing is CHUNKED:
            pieces = [unchunk(piece) for piece in pieces if piece is not LAST_CHUNK]
        mirroring.launch(self.head, self.id, self._forwarded, pieces, whole=self._request_whole)

    # the end

    def _refuse(self, fault: Fault, detail: str) -> None:
        """The router's own answer."""
        self._engine.events.add(OWN_ERRORS, fault.code)
        request = self.head
        keep = self._request_whole and request.keep_alive and not self._engine.draining
        lines = self._version.lines if self._version is not None else b"x-request-id: "
        lines += self.id + b"\r\n"
        if not keep:
            lines += b"connection: close\r\n"
        elif not request.minor:
            lines += b"connection: keep-alive\r\n"
        client = self._client
        client.reply.out.append(render(fault, detail, lines, to_head=request.method == b"HEAD"))
        client.flush()
        self._finish(fault.status, fault.code, keep=keep)

    def _truncate(self, fault: Fault) -> None:
        """The answer can't be completed; the client must be able to tell (promise 6)."""
        client, answer = self._client, self._answer
        assert answer is not None
        client.flush()
        self._engine.events.add(OWN_ERRORS, fault.code)
        # Elsewhere the end of the connection comes too early to be taken for that of the answer.
        if client.reply.close_delimited or fault is Fault.CLIENT_STALLED:
            client.reset()
        if fault.status >= 500:  # else it was the client
            self._counter.broken += 1
            self._blame(fault.status)
        self._finish(answer.status, fault.code, keep=False)

    def _finish(self, code: int, error: str, *, keep: bool) -> None:
        """Counts the request once, hands over its half of the pairs, and lets the client's connection go on."""
        self._state = DONE
        engine = self._engine
        counter = self._counter if self._version is not None else engine.unrouted
        counter.finish(code, engine.time - self._started, self._first_byte)
        if code >= 500:
            self._blame(code)
        if self._mirroring is not None:
            self._end_mirroring(self._mirroring, error)
        self._client.exchange_done(keep=keep)
        if self._lane is not None:
            self._leave_lane()

    def _leave_lane(self) -> None:
        """Gives up its place among the requests in flight, if it has one."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.leave()

    def _blame(self, code: int) -> None:
        """The version failed this client; tells it apart from other clients where that is asked for."""
        route = self._route
        if route is not None and route.count_causes and self._version is not None:
            self._counter.blame(route.cause(self.head, self._client.ip, code))

    def _end_mirroring(self, mirroring: Mirroring, error: str) -> None:
        """Copies go on, but not for a request of which no more comes."""
        if not self._request_whole:
            mirroring.give_up(error or "request_cut")
        self._record(error)
        mirroring.free()

    def _record(self, error: str) -> None:
        mirroring, version = self._mirroring, self._version
        if mirroring is not None and version is not None:
            endpoint = self._endpoint.url if self._endpoint is not None else ""
            latency = self._engine.time - self._started
            mirroring.record(
                self.head, version.name, endpoint, self._answer, latency, self._first_byte, error,
                whole=self._answer_whole,
            )  # fmt: skip
