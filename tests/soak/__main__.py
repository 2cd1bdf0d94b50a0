"""`python -m tests.soak`: SOAK_SECONDS (default 600) of mixed traffic on a real router. Prints a line every ten seconds
and a table; exits 1 when anything leaked, or a client saw what nothing explains."""

import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.traffic import Kind, Model, flap, kinds
from tests.support.accounts import Footprint, Growth, at_rest, dropped, footprints, grown, in_flight
from tests.support.routers import Router, deployment

SECONDS = "SOAK_SECONDS"
RAMP = (
    "{pattern: canary, stable: v1, candidate: v2, fallback: true, steps: "
    "[{share: 0%, mirror: 50%, hold: 2s}, {share: 20%, hold: 2s}, {share: 60%, hold: 2s}, {pause: true}]}"
)
LIMITS = "limits: {body: 16MiB}"
WARM = 5.0
"""Seconds of traffic before memory is looked at for the first time: pools and buffers have their size then."""

REST = 10.0
"""Seconds after the last request within which everything is at rest."""


@dataclass
class Soak:
    """One run. `leak` is started beside the traffic, for the test that a run can fail."""

    path: Path
    seconds: float
    say: Callable[[str], None] = print
    leak: Callable[[Router], Coroutine[Any, Any, None]] | None = None
    kinds: list[Kind] = field(default_factory=kinds)
    cycles: int = 0
    complaints: list[str] = field(default_factory=list)

    async def run(self) -> list[str]:
        """Sentences about everything that was not right."""
        one, two, three = Model(), Model(), Model()
        async with one.server, two.server, AsyncExitStack() as stack:
            await three.server.__aenter__()
            stack.push_async_exit(three.server.__aexit__)
            deployments = {
                "m": deployment(RAMP, path="/m/**", v1=one.server.url, v2=two.server.url),
                "f": deployment(path="/f/**", v1=three.server.url),
            }
            async with Router(self.path, deployments) as router:
                start = await at_rest(router)
                warm = await self._traffic(router, three)
                for model in (one, two, three):
                    await model.server.__aexit__()
                await self._look(router, start, warm)
                if "Traceback" in router.log.read_text():
                    self.complaints.append(f"the log has a traceback: {router.log.read_text()[-2000:]}")
                self.complaints += [each for kind in self.kinds for each in kind.complaints()]
                if not self.cycles:
                    self.complaints.append("no ramp was rolled back")
        return self.complaints

    async def _traffic(self, router: Router, flapping: Model) -> dict[str, list[Footprint]]:
        over = asyncio.Event()
        clients = [
            asyncio.create_task(kind.run(router.port, over))
            for kind in self.kinds
            for _ in range(kind.clients)
        ]
        others = [
            asyncio.create_task(flap(flapping.server, random.Random(1))),
            asyncio.create_task(self._ramps(router)),
        ]
        if self.leak is not None:
            others.append(asyncio.create_task(self.leak(router)))
        await asyncio.sleep(min(WARM, self.seconds / 2))
        warm = footprints(router)
        end = time.monotonic() + self.seconds - WARM
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(10.0, left))
            self._progress(router, end - time.monotonic())
        over.set()
        await asyncio.gather(*clients)
        for task in others:
            task.cancel()
        for outcome in await asyncio.gather(*others, return_exceptions=True):
            if isinstance(outcome, Exception):
                self.complaints.append(f"a part of the soak failed: {outcome!r}")
        return warm

    async def _ramps(self, router: Router) -> None:
        """Up the steps, back, and anew."""
        while True:
            await asyncio.sleep(5.0)
            await router.act("rollback", reason="soak")
            self.cycles += 1
            await asyncio.sleep(0.5)
            await router.act("restart")

    def _progress(self, router: Router, left: float) -> None:
        asked = ", ".join(f"{kind.name} {kind.count}" for kind in self.kinds)
        memory = {
            role: max(each.resident >> 20 for each in found) for role, found in footprints(router).items()
        }
        self.say(f"{max(0, round(left)):4d} s left: {asked}; {self.cycles} rollbacks; MiB {memory}")

    async def _look(
        self, router: Router, start: dict[str, list[Footprint]], warm: dict[str, list[Footprint]]
    ) -> None:
        """Everything is as before, within REST: descriptors as at the start, memory as when it was warm."""
        end = time.monotonic() + REST
        while True:
            samples = await router.metrics()
            found = grown(start, router, Growth(resident=1 << 40))
            found += grown(warm, router, Growth(descriptors=1 << 20, resident=48 << 20))
            if flying := in_flight(samples):
                found.append(f"{flying:g} requests are in flight, and no client waits")
            if restarts := samples["router_worker_restarts_total"]:
                found.append(f"{restarts:g} workers died")
            if not found or time.monotonic() > end:
                break
            await asyncio.sleep(0.3)
        self.complaints += found
        self.say(self._table(start, warm, footprints(router), dropped(samples)))

    def _table(
        self,
        start: dict[str, list[Footprint]],
        warm: dict[str, list[Footprint]],
        end: dict[str, list[Footprint]],
        lost: int,
    ) -> str:
        lines = ["", f"{'clients':<18}{'asked':>8}{'broke':>8}  codes"]
        for kind in self.kinds:
            codes = ", ".join(f"{code}: {count}" for code, count in sorted(kind.codes.items()))
            lines.append(f"{kind.name:<18}{kind.count:>8}{kind.broken:>8}  {codes}")
        lines += ["", f"{'process':<18}{'descriptors':>14}{'MiB warm':>10}{'MiB end':>10}"]
        for role, found in end.items():
            descriptors = f"{_most(start[role], 'descriptors')} -> {_most(found, 'descriptors')}"
            before, after = (_most(each, "resident") >> 20 for each in (warm[role], found))
            lines.append(f"{role:<18}{descriptors:>14}{before:>10}{after:>10}")
        lines += ["", f"{self.cycles} ramps rolled back; {lost} copies or captures dropped and counted"]
        return "\n".join(lines)


def _most(found: list[Footprint], name: str) -> int:
    return max(int(getattr(each, name)) for each in found)


async def _main() -> int:
    seconds = float(os.environ.get(SECONDS, "600"))
    with tempfile.TemporaryDirectory() as path:
        complaints = await Soak(Path(path), seconds, say=lambda line: print(line, flush=True)).run()
    for complaint in complaints:
        print(f"NOT RIGHT: {complaint}", file=sys.stderr)
    print("soak failed" if complaints else f"soak passed: {seconds:g} s")
    return 1 if complaints else 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(_main()))
