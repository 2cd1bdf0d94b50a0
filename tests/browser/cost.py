"""`make page-cost`: what an open page costs the controller, and how long the page takes to open.

Takes about twenty minutes: the CPU time of a controller that does other things besides has to be averaged.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import aiohttp
from aiohttp import web
from playwright.async_api import Browser

from tests.browser.browsing import CHROMIUM, browser, tab
from tests.browser.stage import clients, served
from tests.support.routers import Router, canary, deployment

GATES = (
    ", min_requests: 20, gates: [{error_rate: {max: 5%}}, {latency: {quantile: 95%, max: 300ms}}, "
    "{agreement: {min: 90%}}]"
)
RATE = 60.0
"""Requests a second, over all deployments."""

CLIENTS = 6
WARM = 20.0
"""Seconds of traffic before anything is measured: charts and gates have something to say."""

SETTLED = 4.0
"""Seconds after which a page has loaded and sits open."""


class Scene(NamedTuple):
    """`gated` deployments that ramp with copies and three gates, `plain` ones without a rollout; what is looked at."""

    name: str
    gated: int
    plain: int
    place: str


SCENES = (
    Scene("one deployment", 1, 0, "deployments/m00"),
    Scene("its pairs", 1, 0, "deployments/m00/pairs"),
    Scene("a list of 10 that ramp", 10, 0, ""),
    Scene("a list of 20 that ramp", 20, 0, ""),
    Scene("a list of 30, of which 10 ramp", 10, 20, ""),
)


@asynccontextmanager
async def busy(path: Path, gated: int, plain: int) -> AsyncIterator[Router]:
    """A router with so many deployments, and traffic for all of them that came long enough to be seen."""
    rollout = canary("{share: 20%, mirror: 50%, hold: 1h}, {share: 60%, hold: 1h}", GATES)
    async with served(_model(1)) as v1, served(_model(2)) as v2:
        deployments = {
            f"m{index:02}": deployment(rollout, f"/{index}/**", v1=v1, v2=v2)
            if index < gated
            else deployment("", f"/{index}/**", v1=v1)
            for index in range(gated + plain)
        }
        client = partial(_client, count=gated + plain)
        async with Router(path, deployments) as router, clients(router.port, CLIENTS, client):
            await asyncio.sleep(WARM)
            yield router


def _model(seed: int) -> web.Application:
    random = Random(seed)

    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(0.002 + random.random() * 0.004)
        return web.json_response({"label": int(random.random() < 0.97)})

    app = web.Application()
    app.router.add_post("/{number}/x", answer)
    return app


async def _client(session: aiohttp.ClientSession, seed: int, count: int) -> None:
    random = Random(seed)
    while True:
        with suppress(aiohttp.ClientError):
            async with session.post(f"/{random.randrange(count)}/x", json={"n": seed}) as answer:
                await answer.read()
        await asyncio.sleep(random.expovariate(RATE / CLIENTS))


async def costs(running: Browser, router: Router, place: str, seconds: float, rounds: int) -> list[float]:
    """Milliseconds of the controller's CPU a minute that a page which sits open costs: in each round what is used with
    it, less the mean of what is used without it before and after, each for so many seconds."""
    found = []
    before = await _used(router, seconds)
    for _ in range(rounds):
        async with tab(running, router) as page:
            await page.go(place)
            await asyncio.sleep(SETTLED)
            with_it = await _used(router, seconds)
        await asyncio.sleep(1.0)
        after = await _used(router, seconds)
        found.append(with_it - (before + after) / 2)
        before = after
    return found


async def _used(router: Router, seconds: float) -> float:
    """Milliseconds of CPU a minute."""
    clock = (~router.process.pid << 3) | 2  # clock_getcpuclockid(3) of Linux: all threads of that process
    began, cpu = time.monotonic(), time.clock_gettime(clock)
    await asyncio.sleep(seconds)
    return 60_000 * (time.clock_gettime(clock) - cpu) / (time.monotonic() - began)


_MARK = """(() => {
  const look = () => {
    if (document.querySelector(".card, .gate, .pair, .fields")) window.__opened = performance.now();
    else requestAnimationFrame(look);
  };
  look();
})()"""


async def opening(running: Browser, router: Router, place: str) -> float:
    """Seconds from the navigation of a browser that has nothing kept to the first content from the router."""
    async with tab(running, router) as page:
        await page.page.add_init_script(_MARK)
        await page.go(place)
        await page.comes("window.__opened !== undefined")
        return float(await page.page.evaluate("window.__opened")) / 1000


async def measure(scene: Scene, seconds: float = 30.0, rounds: int = 6) -> str:
    """A line of the table."""
    with tempfile.TemporaryDirectory() as path:
        async with busy(Path(path), scene.gated, scene.plain) as router, browser() as running:
            found = await costs(running, router, scene.place, seconds, rounds)
            opened = [await opening(running, router, scene.place) for _ in range(10)]
    error = statistics.stdev(found) / rounds**0.5
    return (
        f"{scene.name:32} {statistics.mean(found):4.0f} ± {error:.0f} ms a minute, "
        f"opens in {statistics.median(opened):.2f} s (slowest of ten {max(opened):.2f})"
    )


async def _all() -> None:
    for scene in SCENES:
        print(await measure(scene), flush=True)


if __name__ == "__main__":
    if CHROMIUM is None:
        raise SystemExit("this needs chromium: apt-get install chromium, or set CHROMIUM")
    asyncio.run(_all())
