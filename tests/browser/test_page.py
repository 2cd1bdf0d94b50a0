"""The page in a real browser, in front of a running router with real traffic."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser.browsing import (
    PHONE,
    WIDE,
    Tab,
    axe_source,
    browser,
    faults,
    needs_chromium,
    own_faults,
    tab,
)
from tests.browser.stage import staged
from tests.support.routers import Router, ask, canary, deployment, version
from tests.support.upstreams import model

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.timeout(180)]

BAD, OPERATOR, VIEWER = "not-the-token", "operator-secret", "viewer-secret"
LOAN = "/v2/models/loan/infer"


@asynccontextmanager
async def opened(router: Router) -> AsyncIterator[Tab]:
    async with browser() as running, tab(running, router) as page:
        yield page


def guarded(router_port: int) -> str:
    tokens = f"{{name: ci, token: {OPERATOR}, role: operator}}, {{name: wall, token: {VIEWER}, role: viewer}}"
    return f"admin: {{listen: '127.0.0.1:{router_port}', tokens: [{tokens}]}}\n"


async def test_the_page_opens_complains_of_nothing_and_stays_at_home(tmp_path: Path) -> None:
    async with model("v1") as one, Router(tmp_path, {"m": deployment(v1=one.url)}, workers=1) as router:
        for _ in range(5):
            await ask(router.port)
        async with opened(router) as page:
            await page.go()
            await page.shows(".card h2", "m")
            await page.page.locator(".card a").click()
            await page.shows("h1", "m")
            await page.shows("time-chart h3", "Requests a second")
            focus = "[document.activeElement.id, document.activeElement.ariaLabel]"
            assert await page.page.evaluate(focus) == ["view", "m"]  # not lost with the list
            await page.page.locator(".skip").focus()
            await page.page.keyboard.press("Enter")
            assert await page.page.evaluate(focus) == ["view", "m"]
            assert await page.text("h1") == "m\n= steady\nproxied"
            await page.page.get_by_role("link", name="Configuration").click()
            await page.shows("pre", '"listen"')
            assert await own_faults(page) == []
            assert (page.errors, page.abroad) == ([], [])


@pytest.mark.slow
async def test_the_ramp_is_seen_moving_without_a_reload(tmp_path: Path) -> None:
    async with staged(tmp_path) as router, opened(router) as page:
        await page.go("deployments/loan")
        seen = []
        for share in ("0%", "5%", "25%"):
            await page.shows(".stair.here b", share, within=60)
            seen.append(await page.text(".stair.here b"))
        assert seen == ["0%", "5%", "25%"]
        await page.shows(".history b", "advance")
        await page.page.locator("time-chart path.line.l1").first.wait_for(state="attached")
        await page.shows(".gate h3", "agreement")
        await page.page.locator(".interval .known").first.wait_for(state="attached")
        assert (page.errors, page.abroad) == ([], [])


@pytest.mark.slow
async def test_a_mismatch_is_opened_and_shows_where_the_answers_differ(tmp_path: Path) -> None:
    async with staged(tmp_path) as router, opened(router) as page:
        await router.comes_true(lambda: _mismatches(router, 3), "a mismatch", 30)
        await page.go("deployments/loan/pairs")
        await page.page.locator(".pair").first.click()
        sides = page.page.locator(".side")
        assert await sides.count() == 2
        marked = [await sides.nth(index).locator("mark").inner_text() for index in (0, 1)]
        assert sorted(marked) == ["0", "1"]  # the label; the probability behind it is ignored
        await page.page.locator(".comparison .link").first.click()
        assert await page.page.get_by_role("combobox", name="Field").input_value() == "=/outputs/0/data/*"
        await page.comes("document.querySelectorAll('.pair').length >= 3")
        await page.page.get_by_label("Verdict").select_option("match")
        await page.shows(".pair .verdict-match", "match")
        assert (page.errors, page.abroad) == ([], [])


async def _mismatches(router: Router, count: int) -> bool:
    found = await router.get(f"/api/v1/deployments/loan/pairs?verdict=mismatch&limit={count}")
    return len(found["pairs"]) == count


@pytest.mark.slow
async def test_a_rollback_by_click_is_in_force_at_the_data_plane(tmp_path: Path) -> None:
    async with staged(tmp_path) as router, opened(router) as page:
        await router.act("share", "loan", candidate=0.5)
        assert await _answering(router) == {"v1", "v2"}
        await page.go("deployments/loan")
        await page.press("Roll back")
        await page.page.get_by_label("Reason").fill("looks wrong to me")
        await page.page.locator("dialog button.danger").click()
        await page.shows(".said", "Roll back: in force after")
        assert await _answering(router) == {"v1"}
        await page.shows("h1 .badge", "rolled back")
        await page.shows(".history", "looks wrong to me")
        assert await page.page.locator("dialog[open]").count() == 0
        assert (page.errors, page.abroad) == ([], [])


async def _answering(router: Router) -> set[str]:
    fields = [f"x-user-id: someone-{index}" for index in range(60)]
    return {await version(router.port, LOAN, each) for each in fields}


@pytest.mark.slow
async def test_what_the_api_refuses_is_shown_in_its_words_and_nothing_is_lost(tmp_path: Path) -> None:
    async with staged(tmp_path) as router, opened(router) as page:
        await page.go("deployments/loan")
        await page.press("Promote")
        await page.page.get_by_label("Reason").fill("on what I saw")
        await router.act("pause", "loan")  # somebody else was quicker
        await page.page.locator("dialog button.primary").click()
        await page.shows("dialog [role=alert]", "look at it again")
        assert await page.page.get_by_label("Reason").input_value() == "on what I saw"
        await page.page.keyboard.press("Escape")
        await page.shows("h1 .badge", "paused")


@pytest.mark.slow
async def test_a_bad_token_is_refused_a_viewer_has_no_buttons_and_an_operator_has(tmp_path: Path) -> None:
    async with model("v1") as one, model("v2") as two:
        spec = deployment("{pattern: blue_green, blue: v1, green: v2}", v1=one.url, v2=two.url)
        router = Router(tmp_path, {"m": spec}, token=OPERATOR)
        router.extra = guarded(router.admin_port)
        router.write()
        async with router, opened(router) as page:
            await page.go("deployments/m")
            await page.comes("document.activeElement.name === 'token'")
            await page.sign_in(BAD)
            await page.shows("[role=alert]", "this token is not known")
            assert await page.page.locator(".ramp").count() == 0
            await page.sign_in(VIEWER)
            await page.shows("#status", "wall, viewer")
            await page.shows("h1", "m")
            assert await page.page.locator(".page-head .buttons").count() == 0
            await page.press("Sign out")
            await page.sign_in(OPERATOR)
            await page.shows("#status", "ci, operator")
            await page.press("Switch…")
            await page.page.locator("dialog button.primary").click()
            await page.shows(".said", "Switch: in force")
            assert (await router.deployment())["changed"]["who"] == "ci"
            assert (
                await page.page.evaluate("document.cookie + localStorage.length + sessionStorage.length")
                == "00"
            )
            await page.page.reload()
            await page.shows("h1", "Sign in")
            refusals = [each for each in page.errors if "401" not in each]
            assert (refusals, page.abroad) == ([], [])


@pytest.mark.slow
async def test_a_dead_controller_makes_the_page_stale_and_the_next_one_live(tmp_path: Path) -> None:
    async with staged(tmp_path) as router, opened(router) as page:
        await page.go()
        await page.comes("parseFloat(document.querySelector('.figure.wide dd')?.innerText) > 1")
        before = await page.text(".figure.wide dd")
        router.kill()
        await page.shows("#lost [role=alert]", "Stale: nothing heard since")
        await page.shows(".pulse.lost", "stale")
        assert await page.text(".figure.wide dd") == before  # as it was: not zero
        assert (
            await page.page.evaluate("getComputedStyle(document.querySelector('main')).filter")
            == "grayscale(1)"
        )
        await asyncio.sleep(1.2)
        assert await page.page.locator(".pulse.lost").inner_text() != "stale, just now"
        await router.start()
        await page.shows(".pulse:not(.lost)", "live")
        await page.page.locator("#lost [role=alert]").wait_for(state="detached")
        assert page.abroad == []


@pytest.mark.slow
async def test_the_read_out_is_reached_by_keyboard_and_said_aloud(tmp_path: Path) -> None:
    async with staged(tmp_path) as router, opened(router) as page:
        await page.go("deployments/loan")
        chart = page.page.locator("time-chart").first
        await page.comes("document.querySelector('time-chart svg[role=img] path.line') !== null")
        await chart.locator("svg[role=img]").focus()
        await page.page.keyboard.press("ArrowLeft")
        said = await chart.locator("output").inner_text()
        assert "v1 " in said
        assert "/s" in said
        assert await page.page.locator("time-chart .tip").count() >= 4  # all charts show the same moment
        await page.page.keyboard.press("Escape")
        assert await page.page.locator("time-chart .tip").count() == 0
        await chart.locator("summary").click()
        await chart.locator("tbody tr").first.wait_for(state="attached")
        await page.press("Pause")
        assert await page.page.evaluate("document.activeElement.name") == "reason"
        await page.page.keyboard.press("Escape")
        assert await page.page.evaluate("document.activeElement.innerText") == "Pause"


@pytest.mark.slow
async def test_what_is_no_share_is_not_sent(tmp_path: Path) -> None:
    async with model("v1") as one, model("v2") as two:
        spec = deployment(canary("{share: 10%, hold: 1h}"), v1=one.url, v2=two.url)
        async with Router(tmp_path, {"m": spec}, workers=1) as router, opened(router) as page:
            await page.go("deployments/m")
            await page.press("Set share…")
            for typed in ("", "250", "3"):  # entered at once, as one does who knows what he wants
                await page.page.keyboard.press("Control+a")
                await page.page.keyboard.press("Delete")
                await page.page.keyboard.type(typed)
                await page.page.keyboard.press("Enter")
            await page.shows(".said", "v2 3%")
            events = [each["what"] for each in (await router.deployment())["events"]]
            assert events.count("share") == 1


PLACES = (
    "",
    "deployments/loan",
    "deployments/loan/pairs",
    "deployments/ranking",
    "config",
    "deployments/none",
)


@pytest.mark.slow
async def test_nobody_is_shut_out(tmp_path: Path) -> None:
    """Own checks at both widths, and axe-core in light and dark."""
    (tmp_path / "axe").mkdir()
    axe = await axe_source(tmp_path / "axe")
    async with staged(tmp_path) as router, browser() as running:
        await router.comes_true(lambda: _mismatches(router, 1), "a mismatch", 30)
        found = await _audit(running, router, axe)
    assert found == {}


async def _audit(running: Browser, router: Router, axe: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for size, scheme in ((WIDE, "light"), (WIDE, "dark"), (PHONE, "light")):
        async with tab(running, router, size=size, scheme=scheme) as page:  # type: ignore[arg-type]
            for place in PLACES:
                await page.go(place)
                await page.page.locator("main h1").first.wait_for()
                assert await page.page.evaluate("scrollY") == 0  # the name of what is shown is to be seen
                if place.endswith("pairs"):
                    await page.page.locator(".pair").first.click()
                found[f"{scheme} {size['width']} {place}"] = await faults(page, axe) + await own_faults(page)
            await page.go("deployments/loan")
            await page.press("Set share…")
            found[f"{scheme} {size['width']} dialog"] = await faults(page, axe)
    return {place: each for place, each in found.items() if each}
