"""The regression guard: what one proxied request takes, counted exactly, in multiples of the bare proxy of this run.

Time is noise where others use the machine too, and hardware counters are not there in every virtual machine. So the
work is counted: bytecodes that Python executes and functions written in C that it calls, for requests that go through
the real protocols over transports that only count. The counts are the same in every run of one Python; between Pythons
they move together with those of the bare proxy (bench/bare.py), which is why ratios are stored, not counts.
"""

import asyncio
import collections
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, cast

from bench import bare
from bench.upstream import ANSWER
from router.dataplane.downstream import Downstream
from router.dataplane.engine import Engine
from router.dataplane.upstream import Upstream
from router.patterns.assignment import salt_of
from router.patterns.plan import Copies, DeploymentPlan, Key, Match, Plan, Snapshot, VersionSpec
from router.shares import SHARE_PARTS

STORE = Path(__file__).with_name("guard.json")

MARGIN = 1.05
"""How far a count may rise above what is stored. Counts are exact: this is room for small changes, not for noise."""

MARGIN_ELSEWHERE = 1.25
"""The same under another Python than the one that was stored: the ratios move a little with its bytecode."""

_PYTHON = "{}.{}".format(*sys.version_info)

_ROUNDS = 200
_URL = "http://127.0.0.1:9"
_BODY = b'{"inputs":[{"name":"features","datatype":"FP32","shape":[1,4],"data":[52000,0.31,7,12000]}]}'
_REQUEST = (
    b"POST /v2/models/loan/infer HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: bench\r\n"
    b"Content-Type: application/json\r\nx-user-id: user-%d\r\nContent-Length: %d\r\n\r\n%b"
)

Counts = dict[str, float]
"""Per request: `bytecodes` and `C calls`."""

Ratios = dict[str, Counts]
"""By the case (`canary`, `mirrored`), in multiples of the bare proxy."""


class Transport(asyncio.Transport):
    """Takes what is written and counts it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.writes = 0

    def write(self, data: Any) -> None:
        self.writes += 1

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


Exchange = Callable[[bytes], None]
"""One request from its first byte to the last of its answer."""


def measured() -> Ratios:
    """Counts all cases in a loop of its own; about a second."""
    return asyncio.run(_measured())


async def _measured() -> Ratios:
    yardstick = counted(bare_exchange())
    cases = {"canary": _routed(canary()), "mirrored": _routed(mirrored())}
    counts = {name: counted(exchange) for name, exchange in cases.items()}
    return {
        name: {what: found[what] / yardstick[what] for what in yardstick} for name, found in counts.items()
    }


def canary() -> Plan:
    """90/10 with a sticky header and a fallback."""
    return Plan(
        default="v1",
        candidate="v2",
        share=SHARE_PARTS // 10,
        key=Key("header", "x-user-id"),
        salt=salt_of("loan", "v2"),
        fallback="v1",
    )


def mirrored() -> Plan:
    """Every request copied, both answers captured."""
    return Plan(default="v1", copies=Copies(SHARE_PARTS, {"v1": ("v2",)}, 5.0, 64, 1 << 20))


class _Recorder:
    """Stands for the connection to the recorder: always there, never behind."""

    connected = True
    backlog = 0

    def write(self, data: bytes) -> None:
        """Takes it."""


def _routed(plan: Plan) -> Exchange:
    """A worker's parts with connected endpoints; the request goes to whichever is asked."""
    engine = Engine(asyncio.get_running_loop(), "/nonexistent")
    engine.recorder._link = cast(Any, _Recorder())
    versions = (VersionSpec("v1", (_URL,)), VersionSpec("v2", (_URL,)))
    deployment = DeploymentPlan("loan", Match(path="/v2/models/loan/**"), versions, plan)
    engine.put_in_force(Snapshot(1, (deployment,)))
    roles = ("live", "shadow") if plan.copies else ("live",)
    upstreams, transports = [], []
    for role in roles:
        endpoint = engine.runtime.endpoint(role, _URL)
        upstream, transport = Upstream(engine, endpoint), Transport()
        upstream.connection_made(transport)
        upstream.deadline = float("inf")
        endpoint._idle.append(upstream)
        upstreams.append(upstream)
        transports.append(transport)
    client, ours = Downstream(engine, b"http"), Transport()
    client.connection_made(ours)

    def exchange(request: bytes) -> None:
        before = ours.writes, *(transport.writes for transport in transports)
        client.data_received(request)
        for upstream in upstreams:
            upstream.data_received(ANSWER)
        after = ours.writes, *(transport.writes for transport in transports)
        assert all(b > a for a, b in zip(before, after, strict=True)), "a message was not passed on"

    return exchange


def bare_exchange() -> Exchange:
    """The yardstick."""
    pool = bare.Pool(9)
    model, client, ours = bare.Model(pool), bare.Client(pool), Transport()
    model.connection_made(Transport())
    pool.idle.append(model)
    client.connection_made(ours)

    def exchange(request: bytes) -> None:
        before = ours.writes
        client.data_received(request)
        model.data_received(ANSWER)
        assert ours.writes > before, "the answer was not passed on"

    return exchange


def counted(exchange: Exchange) -> Counts:
    """Bytecodes and C calls of one exchange, averaged; the first ones, which fill caches, do not count."""
    requests = [_REQUEST % (number, len(_BODY), _BODY) for number in range(_ROUNDS)]
    for request in requests:
        exchange(request)
    totals: collections.Counter[str] = collections.Counter()
    with _tracing(totals):
        for request in requests:
            exchange(request)
    return {what: totals[what] / _ROUNDS for what in ("bytecodes", "C calls")}


@contextmanager
def _tracing(totals: "collections.Counter[str]") -> Iterator[None]:
    """Adds up what runs in the block, the harness left out as far as it is Python."""

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename == __file__:
            return None
        if event == "opcode":
            totals["bytecodes"] += 1
        else:
            frame.f_trace_opcodes = True
        return trace

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "c_call" and frame.f_code.co_filename != __file__:
            totals["C calls"] += 1

    before, profiler = sys.gettrace(), sys.getprofile()
    sys.setprofile(profile)
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
        sys.setprofile(profiler)


def limits() -> Ratios:
    """What was accepted last, with the margin."""
    accepted = json.loads(STORE.read_text())
    margin = MARGIN if accepted["python"] == _PYTHON else MARGIN_ELSEWHERE
    return {
        case: {what: value * margin for what, value in each.items()}
        for case, each in accepted["ratios"].items()
    }


def store(found: Ratios) -> None:
    """Accepts these ratios."""
    ratios = {case: {what: round(value, 3) for what, value in each.items()} for case, each in found.items()}
    STORE.write_text(json.dumps({"python": _PYTHON, "ratios": ratios}, indent=2) + "\n")


def described(found: Ratios) -> list[str]:
    """A line for each case."""
    return [
        f"{case}: {', '.join(f'{value:.2f} x the {what} of the bare proxy' for what, value in each.items())}"
        for case, each in found.items()
    ]


def complaints(found: Ratios, limits: Ratios) -> list[str]:
    """What has become dearer than the limits allow, each with the way out."""
    return [
        f"{case}: {what} of a request are {found[case][what]:.2f} times those of the bare proxy, {limit:.2f} are "
        "allowed: find what the request pays for now, or accept it with `python -m bench guard --store` and say why"
        for case, each in limits.items()
        for what, limit in each.items()
        if found[case][what] > limit
    ]
