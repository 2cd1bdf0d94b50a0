"""`make screenshots`: the pictures of the documentation, taken from a running router with traffic.

Takes about three minutes, so that there is something in the charts.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, ViewportSize

from tests.browser.browsing import CHROMIUM, PHONE, WIDE, Scheme, Tab, browser, tab
from tests.browser.stage import staged
from tests.support.routers import Router

HOLD = "40s"
RIPE = 45.0
"""Seconds at the step that is shown."""


async def take(directory: Path) -> None:
    """Writes the pictures into the directory."""
    with tempfile.TemporaryDirectory() as path:
        async with staged(Path(path), hold=HOLD) as router, browser() as running:
            await router.act("switch", "ranking", to="green")
            await router.comes_true(lambda: _at_a_quarter(router), "the step of 25 %", 300)
            await asyncio.sleep(RIPE)
            for scheme in ("light", "dark"):
                await _shoot(running, router, directory, scheme)
            await _phone(running, router, directory)


async def _at_a_quarter(router: Router) -> bool:
    return float((await router.deployment("loan"))["share"]) == 0.25


async def _shoot(running: Browser, router: Router, directory: Path, scheme: Scheme) -> None:
    async with tab(running, router, size=WIDE, scheme=scheme, scale=1.5) as page:
        await page.go()
        await page.comes("document.querySelectorAll('.spark').length > 3")
        await _save(page, directory / f"overview-{scheme}.png")
        await page.go("deployments/loan")
        await page.comes("document.querySelectorAll('time-chart path.line').length > 10")
        await _save(page, directory / f"deployment-{scheme}.png")
        await page.go("deployments/support-chat/pairs")
        await page.page.locator(".pair").first.click()
        await page.page.locator(".side").first.wait_for()
        await page.page.evaluate("scrollTo(0, 0)")
        await page.page.screenshot(path=directory / f"pairs-{scheme}.png")


async def _phone(running: Browser, router: Router, directory: Path) -> None:
    size: ViewportSize = {"width": PHONE["width"], "height": 1200}
    async with tab(running, router, size=size, scale=1.5) as page:
        await page.go("deployments/loan")
        await page.comes("document.querySelectorAll('time-chart path.line').length > 10")
        await page.page.screenshot(path=directory / "phone.png")


async def _save(page: Tab, path: Path) -> None:
    await page.page.screenshot(path=path, full_page=True)


if __name__ == "__main__":
    if CHROMIUM is None:
        raise SystemExit("this needs chromium: apt-get install chromium, or set CHROMIUM")
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(target))
