"""One fault after the other under steady load. Clients see no error that the fault does not explain, and afterwards
everything is as before: requests in flight, descriptors, memory, pairs, and the counts, which agree with the clients'.
"""

import asyncio
import os
import resource
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.accounts import (
    SETTLE,
    Footprint,
    Growth,
    at_rest,
    grown,
    in_flight,
    live_counts,
    miscounted,
    open_files,
    unaccounted,
)
from tests.support.routers import HALF, Load, Router, Sent, deployment
from tests.support.upstreams import Upstream, read_request
from tests.support.workers import until

SHADOW = "{pattern: shadow, primary: v1, shadows: [v2], max_in_flight: 1000}"
HASTE = "timeouts: {connect: 1s, first_byte: 1s}"
BODY = b'{"outputs": [{"name": "y", "data": [1, 2, 3]}]}'
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
NSS_WRAPPER = Path("/usr/lib/x86_64-linux-gnu/libnss_wrapper.so")


class Moody:
    """A model server whose mood the test sets: `answer`, `reset`, `stall`, or `cut` (half an answer, then a reset)."""

    def __init__(self) -> None:
        self.mood = "answer"
        self.server = Upstream(self.serve)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader) is not None:
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(
                BODY
            )
            if self.mood == "stall":
                await reader.read()
                return
            if self.mood in ("reset", "cut"):
                if self.mood == "cut":
                    writer.write(head + BODY[:10])
                    await writer.drain()
                writer.transport.abort()
                return
            writer.write(head + BODY)
            await writer.drain()


@dataclass
class Rig:
    """A router with a canary `c` and a shadow `m`, their model servers, and one load for each."""

    router: Router
    one: Moody
    two: Moody
    loads: dict[str, Load]
    before: dict[str, list[Footprint]] = field(default_factory=dict)

    @property
    def sent(self) -> list[Sent]:
        return [each for load in self.loads.values() for each in load.sent]

    @property
    def failures(self) -> list[Sent]:
        return [each for load in self.loads.values() for each in load.failures]

    async def more(self, count: int) -> None:
        await asyncio.gather(*(load.more(count) for load in self.loads.values()))

    async def well_again(self, within: float = 20.0) -> None:
        """Until a hundred answers in a row are good ones, of each deployment."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while True:
            since = loop.time()
            await self.more(100)
            bad = [each for each in self.failures if each.began > since]
            if not bad:
                return
            assert loop.time() < end, f"still failing: {bad[-3:]}"

    async def drop_connections(self) -> None:
        """No client and no model server is connected any more."""
        for load in self.loads.values():
            await load.stop()
        for moody in (self.one, self.two):
            await moody.server.__aexit__()


@asynccontextmanager
async def rig(path: Path, **environ: str) -> AsyncIterator[Rig]:
    one, two = Moody(), Moody()
    async with one.server, two.server:
        urls = {"v1": one.server.url, "v2": two.server.url}
        deployments = {
            "c": deployment(HALF, path="/c/**", more=HASTE, **urls),
            "m": deployment(SHADOW, path="/m/**", more=HASTE, **urls),
        }
        async with Router(path, deployments, environ=environ) as router:
            before = await at_rest(router)
            loads = {name: Load(router.port, 6, f"/{name}/x", pause=0.01) for name in deployments}
            async with loads["c"], loads["m"]:
                steady = Rig(router, one, two, loads, before)
                await steady.more(50)
                yield steady


# The faults


async def kill_a_worker(rig: Rig) -> None:
    rig.router.note_children()
    pid = rig.router.children("router.worker")[0]
    os.kill(pid, signal.SIGKILL)

    async def replaced() -> bool:
        serving = await rig.router.metric('router_workers{state="serving"}')
        return serving == 2 and pid not in rig.router.children("router.worker")

    await rig.router.comes_true(replaced, "the next worker")


async def kill_the_recorder(rig: Rig) -> None:
    rig.router.note_children()
    (pid,) = rig.router.children("router.recorder")
    os.kill(pid, signal.SIGKILL)
    await until(lambda: rig.router.children("router.recorder") not in ([], [pid]), what="the next recorder")


async def kill_the_controller(rig: Rig) -> None:
    rig.router.kill()
    await rig.more(50)
    await rig.router.start()

    async def alone() -> bool:
        return await rig.router.metric('router_workers{state="draining"}') == 0

    await rig.router.comes_true(alone, "the old workers' leaving")


async def kill_an_upstream(rig: Rig) -> None:
    await rig.one.server.__aexit__()
    await asyncio.sleep(0.5)
    await rig.one.server.__aenter__()


def mood(name: str) -> Callable[[Rig], Awaitable[None]]:
    async def strike(rig: Rig) -> None:
        rig.one.mood = name
        await asyncio.sleep(2.0)
        rig.one.mood = "answer"

    return strike


async def fill_the_disk(rig: Rig) -> None:
    pids = [rig.router.process.pid, *rig.router.children("router.recorder")]
    before = [resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY)) for pid in pids]
    await rig.more(100)
    for pid, limits in zip(pids, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


async def exhaust_descriptors(rig: Rig) -> None:
    """Of the workers: what they have they keep, and there is no further one, neither for clients nor for servers."""
    workers = rig.router.children("router.worker")
    before = [resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in workers]
    for pid, (_, hard) in zip(workers, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, hard))
    strangers = [asyncio.open_connection("127.0.0.1", rig.router.port) for _ in range(50)]
    connected = await asyncio.gather(*strangers, return_exceptions=True)
    for moody in (rig.one, rig.two):  # so that servers have to be connected to anew
        await moody.server.__aexit__()
        await moody.server.__aenter__()
    await asyncio.sleep(1.0)
    for pid, limits in zip(workers, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    for each in connected:
        if not isinstance(each, BaseException):
            each[1].close()


async def reload_a_hundred_times(rig: Rig) -> None:
    rollout = HALF
    for turn in range(100):
        share = 30 + turn % 3 * 10
        rig.router.deployments["c"] = deployment(
            rollout.replace("50%", f"{share}%"),
            path="/c/**",
            more=HASTE,
            v1=rig.one.server.url,
            v2=rig.two.server.url,
        )
        rig.router.write()
        status, answer = await asyncio.to_thread(rig.router.call, "POST", "/api/v1/config/reload")
        assert status == 200, answer


async def roll_back_a_hundred_times(rig: Rig) -> None:
    for _ in range(100):
        answer = await rig.router.act("rollback", "c")
        assert answer["workers"]["confirmed"] == answer["workers"]["live"] == 2
        await rig.router.act("restart", "c")


@dataclass(frozen=True)
class Fault:
    """`errors` are the x-router-error that clients may see because of it; `breaks`: some requests end without an
    answer; `untold`: at most so many answers of a killed process, which it had no time to count, and `unpaired` of
    them are in no pair either: their halves were still on the way (test_recorder_killed.py has which may be)."""

    strike: Callable[[Rig], Awaitable[None]]
    errors: frozenset[str] = frozenset()
    breaks: bool = False
    untold: int = 0
    unpaired: int = 0


GONE = frozenset({"connect_failed", "upstream_reset", "no_endpoint"})
LATE = GONE | {"timeout"}
FAULTS = {
    "a worker is killed": Fault(kill_a_worker, breaks=True, untold=250, unpaired=50),
    "the recorder is killed": Fault(kill_the_recorder),
    "the controller is killed": Fault(kill_the_controller),
    "an upstream is killed": Fault(kill_an_upstream, GONE, breaks=True),
    "an upstream resets": Fault(mood("reset"), GONE),
    "an upstream stalls": Fault(mood("stall"), LATE),
    "an upstream cuts its answers": Fault(mood("cut"), GONE, breaks=True),
    "the disk is full": Fault(fill_the_disk),
    "descriptors run out": Fault(exhaust_descriptors, GONE | {"overloaded"}, breaks=True),
    "100 edits": Fault(reload_a_hundred_times),
    "100 rollbacks": Fault(roll_back_a_hundred_times),
}
QUICK = {"a worker is killed", "an upstream resets"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in FAULTS]
)
async def test_it_passes_and_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    async with rig(tmp_path) as steady:
        await FAULTS[name].strike(steady)
        await steady.well_again()
        await explained(steady, FAULTS[name])


async def explained(steady: Rig, fault: Fault) -> None:
    """Everything that clients saw, and everything that is left."""
    router, loads = steady.router, steady.loads
    for load in loads.values():
        await load.stop()
    errors = {each.router_error for each in steady.sent if each.status >= 400}
    assert errors <= fault.errors, [
        each for each in steady.failures if each.router_error not in fault.errors
    ][:3]
    broken = [each for each in steady.sent if each.broken]
    assert fault.breaks or not broken, broken[:3]

    async def nothing_in_flight() -> bool:
        return in_flight(await router.metrics()) == 0

    await router.comes_true(nothing_in_flight, "the end of all requests")
    await asyncio.sleep(2 * SETTLE)
    samples = await router.metrics()
    for name, load in loads.items():
        assert miscounted(live_counts(samples, name), load.sent, fault.untold) == []
    assert await unaccounted(router, "m", loads["m"]) <= fault.unpaired
    await steady.drop_connections()
    try:
        await until(lambda: grown(steady.before, router, Growth()) == [], 5.0)
    except AssertionError:
        pytest.fail(
            "\n".join(
                [*grown(steady.before, router, Growth())]
                + [str(open_files(pid)) for pid in sorted(router.living() | {router.process.pid})]
            )
        )
    assert "Traceback" not in router.log.read_text()


# Faults that need a library in front of the program


@pytest.mark.slow
@pytest.mark.skipif(not FAKETIME.exists(), reason="needs the Debian package libfaketime")
@pytest.mark.parametrize("offset", ["+3600", "-3600"])
async def test_the_clock_jumps_by_an_hour(tmp_path: Path, offset: str) -> None:
    stamp = tmp_path / "offset"
    stamp.write_text("+0")
    faked = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(stamp),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    async with rig(tmp_path, **faked) as steady:
        held = (await steady.router.deployment("c"))["held"]
        stamp.write_text(offset)
        await steady.more(100)
        state = await steady.router.deployment("c")
        assert held <= state["held"] < held + 60, "time at a step is counted by a clock that does not jump"
        await steady.router.act("rollback", "c")
        event = (await steady.router.get("/api/v1/deployments/c/history"))["events"][0]
        first = (await steady.router.get("/api/v1/deployments/c/history"))["events"][-1]
        assert abs(event["when"] - first["when"] - float(offset)) < 60, "the jump was real"
        await steady.well_again()
        await explained(steady, Fault(kill_a_worker))


def resolves(hosts: Path, text: str) -> None:
    """What names resolve to from now on. The library reads the file again when its second of change is another."""
    moment = hosts.stat().st_mtime + 2 if hosts.exists() else 1000.0
    hosts.write_text(text)
    os.utime(hosts, (moment, moment))


@pytest.mark.slow
@pytest.mark.skipif(not NSS_WRAPPER.exists(), reason="needs the Debian package libnss-wrapper")
async def test_a_name_stops_resolving_and_comes_back(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    resolves(hosts, "127.0.0.1 models.test\n")
    faked = {"LD_PRELOAD": str(NSS_WRAPPER), "NSS_WRAPPER_HOSTS": str(hosts)}
    one = Moody()
    async with one.server:
        url = f"http://models.test:{one.server.port}"
        named = {"n": deployment(path="/n/**", more=HASTE, v1=url)}
        async with (
            Router(tmp_path, named, environ=faked) as router,
            Load(router.port, 4, "/n/x", pause=0.01) as load,
        ):
            await load.more(50)
            assert load.failures == []
            resolves(hosts, "")
            await one.server.__aexit__()  # so that it has to be connected to anew, under that name
            await one.server.__aenter__()
            await until(lambda: len(load.failures) > 10, what="failures")
            assert {each.router_error for each in load.failures} <= GONE
            assert not any(each.broken for each in load.failures)
            resolves(hosts, "127.0.0.1 models.test\n")
            since = len(load.sent)
            await until(
                lambda: sum(each.status == 200 for each in load.sent[since:]) > 50, what="answers again"
            )
            await load.stop()
            await asyncio.sleep(2 * SETTLE)
            assert miscounted(live_counts(await router.metrics(), "n"), load.sent) == []
