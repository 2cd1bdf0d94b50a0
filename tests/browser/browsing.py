"""A real browser that looks at a running router, and remembers what it should never have to complain about."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from tests.support.routers import Router

WIDE: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
Scheme = Literal["light", "dark"]

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
"""The browser to drive: Playwright's own is not downloaded."""

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here: apt-get install chromium, or set CHROMIUM"
)

AXE = "axe-core@4.14.1"


@dataclass
class Tab:
    """One page in a browser. `errors` has what its console said, `abroad` requests that left the router."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    abroad: list[str] = field(default_factory=list)

    async def go(self, place: str = "") -> None:
        """To a place of the page, such as `deployments/loan`."""
        await self.page.goto(f"{self.url}/#/{place}")

    async def text(self, selector: str) -> str:
        return await self.page.locator(selector).first.inner_text()

    async def shows(self, selector: str, text: str, within: float = 15.0) -> None:
        """Until the first such element holds the text."""
        where = self.page.locator(selector).filter(has_text=text).first
        await where.wait_for(state="attached", timeout=1000 * within)

    async def comes(self, script: str, within: float = 30.0) -> None:
        """Until the expression holds. Asked from outside: the page's policy lets nobody evaluate a text in it."""
        end = asyncio.get_running_loop().time() + within
        while not await self.page.evaluate(script):
            assert asyncio.get_running_loop().time() < end, f"{script} did not come true"
            await asyncio.sleep(0.1)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def sign_in(self, token: str) -> None:
        await self.page.get_by_label("Token").fill(token)
        await self.press("Sign in")


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as driver:
        # Inside a container there is no user namespace for the browser's own sandbox.
        running = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield running
        finally:
            await running.close()


@asynccontextmanager
async def tab(
    running: Browser,
    router: Router,
    *,
    size: ViewportSize = WIDE,
    scheme: Scheme = "light",
    scale: float = 1.0,
) -> AsyncIterator[Tab]:
    """A page of its own, with nothing kept from others."""
    context = await running.new_context(viewport=size, color_scheme=scheme, device_scale_factor=scale)
    page = await context.new_page()
    opened = Tab(page, f"http://127.0.0.1:{router.admin_port}")
    page.on("console", lambda said: opened.errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: opened.errors.append(str(error)))
    origin = urlsplit(opened.url).netloc
    page.on(
        "request",
        lambda sent: opened.abroad.append(sent.url) if urlsplit(sent.url).netloc != origin else None,
    )
    try:
        yield opened
    finally:
        await context.close()


async def axe_source(directory: Path) -> str:
    """The script of axe-core, from npm; skips the test where it can't be had."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm here to get axe-core with")
    quiet = asyncio.subprocess.DEVNULL
    packing = await asyncio.create_subprocess_exec(
        npm, "pack", AXE, "--silent", cwd=directory, stdout=quiet, stderr=quiet
    )
    if await packing.wait() != 0:
        pytest.skip(f"{AXE} can't be had from npm")
    shutil.unpack_archive(next(directory.glob("axe-core-*.tgz")), directory)
    return (directory / "package" / "axe.min.js").read_text()


async def faults(opened: Tab, axe: str) -> list[str]:
    """What axe-core finds serious or critical on the page as it is."""
    await opened.page.evaluate(axe)
    found: Any = await opened.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {node['target']} {node.get('failureSummary', '')}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


OWN_CHECKS = """() => {
  const faults = [];
  const labels = (node) => [...(node.labels || [])].map((each) => each.innerText).join("");
  const named = (node) => (node.getAttribute("aria-label") || node.innerText || node.title || labels(node)).trim();
  for (const node of document.querySelectorAll("button, a, input, select, summary, [role=img]")) {
    const hidden = node.getAttribute("aria-hidden") === "true";
    if (!hidden && !named(node)) faults.push(`no name: ${node.outerHTML.slice(0, 120)}`);
  }
  for (const name of ["main", "header", "h1"]) {
    if (document.querySelectorAll(name).length !== 1) faults.push(`not exactly one ${name}`);
  }
  const width = document.documentElement.scrollWidth;
  if (width > innerWidth) faults.push(`wider than the window: ${width}`);
  return faults;
}"""
"""What needs no other program: every control has a name, the landmarks are there, nothing sticks out sideways."""


async def own_faults(opened: Tab) -> list[str]:
    found: list[str] = await opened.page.evaluate(OWN_CHECKS)
    return found
