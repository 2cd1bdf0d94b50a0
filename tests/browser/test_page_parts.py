"""The parts of the page that only compute, called in a browser one by one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page

from router.control.admin.pages import read_page, show
from router.pairs.details import field
from router.pairs.intervals import wilson
from tests.browser.browsing import browser, needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium]

CALL = "async ([module, name, values]) => (await import(`/page/${module}.js`))[name](...values)"

FORMATS = [
    ("seconds", 0.00041, "410 µs"),
    ("seconds", 0.00578, "5.78 ms"),
    ("seconds", 0, "0 ms"),
    ("seconds", 1.25, "1.25 s"),
    ("seconds", None, "\u2013"),
    ("span", 5400, "1h 30m"),
    ("span", 45, "45s"),
    ("span", 0.2, "0s"),
    ("percent", 0.938, "93.8%"),
    ("percent", 0.99932, "99.93%"),
    ("percent", 0.0004, "0.04%"),
    ("percent", -0.317, "-31.7%"),
    ("percent", 1, "100%"),
    ("percent", None, "\u2013"),
    ("share", 0.0025, "0.25%"),
    ("rate", 62.3456, "62.3/s"),
    ("count", 1234567, "1,234,567"),
    ("word", "rolled_back", "rolled back"),
]
SCALES: list[tuple[str, list[Any], Any]] = [
    ("ticks", [0, 10, 5], [0, 2, 4, 6, 8, 10]),
    ("ticks", [0, 0.03, 4], [0, 0.01, 0.02, 0.03]),
    ("ticks", [5, 5, 4], [5]),
    ("widened", [0, 0, 4], [0, 1]),
    ("widened", [0.87, 1, 4], [0.85, 1]),
    ("nearest", [[1, 4, 7], 5.4], 1),
    ("nearest", [[1, 4, 7], 99], 2),
    ("nearest", [[], 5], -1),
]


FIELDS = [
    ("/usage", 0.2),
    ("/outputs/1/data/*/why", 0.01),
    ("", 0.1),
    ("/outputs/1/data/*", 0.1),
    ("/outputs/0/data/*", 0.4),
]
WAITS = [
    ("progressing", "the hold: 9m30s left, then 50%", "the hold: 9m 25s left, then 50%"),
    ("soaking", "the soak: 9m30s left, then it is promoted", "the soak: 9m 25s left, then it is promoted"),
    (
        "paused",
        "resume, to go on; paused by ci: 2 left to check",
        "resume, to go on; paused by ci: 2 left to check",
    ),
]
TREE = [  # what differs most first; a way without a fork is one row
    (0, "/outputs", False),
    (1, "/0/data/*", True),
    (1, "/1/data/*", True),
    (2, "/why", True),
    (0, "/usage", True),
    (0, "", True),
]


@asynccontextmanager
async def parts() -> AsyncIterator[Page]:
    server = TestServer(web.Application(middlewares=[show(read_page())]))
    await server.start_server()
    async with browser() as running:
        page = await running.new_page()
        await page.goto(str(server.make_url("/page/icon.svg")))
        yield page
    await server.close()


def differing(name: str, part: float) -> dict[str, Any]:
    return {"field": name, "disagreement": {"raw": {"share": part}}}


def point(at: float, y: float | None) -> dict[str, float | None]:
    return {"at": at, "y": y}


async def test_they_compute_what_they_say() -> None:
    async with parts() as page:

        async def call(module: str, name: str, *values: Any) -> Any:
            return await page.evaluate(CALL, [module, name, list(values)])

        for name, value, text in FORMATS:
            assert await call("format", name, value) == text, (name, value)
        for name, values, expected in SCALES:
            assert await call("scale", name, *values) == pytest.approx(expected), (name, values)

        # A line has a gap where a value is missing, and where a moment is.
        line = [point(0, 1), point(3, 2), point(6, None), point(9, 3), point(30, 4)]
        runs = await call("scale", "runs", line, 7.5)
        assert [[each["at"] for each in run] for run in runs] == [[0, 3], [9], [30]]
        late = {"at": 30, "since": 9, "y": 4}  # somebody looked late, and at all of it
        assert len(await call("scale", "runs", [*line[:-1], late], 4.5)) == 2

        # The interval is the one that the comparison shows.
        ours, theirs = await call("format", "wilson", 95, 100), wilson(95, 100)
        assert (ours["low"], ours["high"]) == pytest.approx((theirs.low, theirs.high), abs=1e-6)
        assert await call("format", "wilson", 0, 0) is None

        body = {"a/b": [1, 2], "c": {"d": "x"}, "e": {}}
        lines = await call("diff", "jsonLines", body)
        assert [(each["at"], each["text"]) for each in lines] == [
            ("", "{"),
            ("/a~1b", '  "a/b": [1, 2],'),
            ("/c", '  "c": {'),
            ("/c/d", '    "d": "x"'),
            ("/c", "  },"),
            ("/e", '  "e": {}'),
            ("", "}"),
        ]
        assert await call("diff", "valueAt", body, "/a~1b/1") == 2
        marked = await call("diff", "words", "paid on Monday again", "paid on Friday again")
        assert [each["children"] for each in marked if isinstance(each, dict)] == [["Monday"]]
        marked = await call("diff", "words", "comes before noon today", "comes on Friday today")
        assert [each["children"] for each in marked if isinstance(each, dict)] == [["before noon"]]

        assert await call("diff", "excerpts", "x" * 50 + "noon", "x" * 50 + "evening") == [
            "…" + "x" * 12 + "noon", "…" + "x" * 12 + "evening"
        ]  # fmt: skip
        assert await call("diff", "excerpts", 0.5, None) == ["0.5", "null"]
        assert await call("diff", "excerpts", "b" * 99, "a") == ["b" * 39 + "…", "a"]
        assert await call("parts", "thinned", [1, 2, 3, 4, 6], 3) == [1, 2.5, 5]
        assert await call("parts", "thinned", [1, 2], 3) == [1, 2]

        for at in ("/a/b", "/predictions/17/3", "/outputs/1/data/17", "/x/outputs/1", "/a1/2b", "status", ""):
            assert await call("fields", "fieldOf", at) == field(at)

        # Time goes on between two answers of the router, in words as in the ramp.
        for phase, told, shown in WAITS:
            one = {"phase": phase, "hold": 600, "held": 30, "waits_for": told}
            assert await call("model", "waitsFor", one, 5) == shown

        found = await call("fields", "tree", [differing(name, part) for name, part in FIELDS])
        assert [(each["depth"], each["text"], bool(each["field"])) for each in found] == TREE
        assert [each["full"] for each in found if each["field"]] == [
            "/outputs/0/data/*", "/outputs/1/data/*", "/outputs/1/data/*/why", "/usage", ""
        ]  # fmt: skip


HOSTILE = '<img src="https://elsewhere.example/x" onerror="document.title = 1">'


async def test_what_a_model_says_is_text_whatever_it_looks_like() -> None:
    async with parts() as page:
        await page.goto(page.url.replace("/page/icon.svg", "/"))
        shown = await page.evaluate(
            """async (hostile) => {
              const { bodyView } = await import("/page/diff.js");
              const { h, render } = await import("/page/dom.js");
              const place = document.body.appendChild(document.createElement("div"));
              const side = (body, encoding) => ({ body, body_encoding: encoding });
              render(place, h("div", {},
                bodyView(side({ text: hostile, [hostile]: 1 }, "json"), ["/text"], side({ text: "x" }, "json")),
                bodyView(side(hostile, "text"), [], side("x", "text"))));
              return [place.querySelectorAll("img").length, place.textContent.split("elsewhere.example").length - 1];
            }""",
            HOSTILE,
        )
        assert shown == [0, 3]


async def test_what_has_the_focus_keeps_it_while_all_around_changes() -> None:
    async with parts() as page:
        await page.goto(page.url.replace("/page/icon.svg", "/"))
        kept = await page.evaluate(
            """async () => {
              const { h, render } = await import("/page/dom.js");
              const place = document.body.appendChild(document.createElement("div"));
              const draw = (names, value) => render(place,
                names.map((name) => h("p", { key: name }, name)), h("input", { key: "field", value }));
              draw(["a", "b"], "");
              const field = place.querySelector("input");
              field.focus();
              field.value = "typed";
              draw(["b", "c", "a"], "drawn");
              const order = [...place.children].map((each) => each.textContent).join("");
              return [document.activeElement === field, field.value, order];
            }"""
        )
        assert kept == [True, "typed", "bca"]
