"""The files of the page: all there, sent safely, naming nothing outside."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from router.control.admin.pages import BELOW, read_page, show

PAGE = read_page()
SCRIPTS = {path: file.body.decode() for path, file in PAGE.items() if path.endswith(".js")}
IMPORT = re.compile(r"""^import\s(?:.*?\sfrom\s)?"\./([^"]+)";""", re.MULTILINE | re.DOTALL)


class Named(HTMLParser):
    """What a document loads, and whether anything in it would run or style by itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "img"):
            self.loaded.append(values.get("src") or "")
        if tag == "link":
            self.loaded.append(values.get("href") or "")
        self.inline += [name for name in values if name == "style" or name.startswith("on")]
        if tag == "style":
            self.inline.append(tag)


@pytest_asyncio.fixture
async def url() -> AsyncIterator[str]:
    async def other(request: web.Request) -> web.Response:
        return web.Response(text="other")

    app = web.Application(middlewares=[show(PAGE)])
    app.router.add_get("/api", other)
    app.router.add_post("/", other)
    server = TestServer(app)
    await server.start_server()
    yield str(server.make_url("/")).rstrip("/")
    await server.close()


def test_the_document_loads_only_files_of_the_page_and_runs_nothing_of_its_own() -> None:
    named = Named(PAGE["/"].body.decode())
    assert "/page/main.js" in named.loaded
    assert set(named.loaded) <= PAGE.keys()
    assert named.inline == []


def test_every_script_imports_what_there_is_and_the_document_asks_for_all_at_once() -> None:
    imported = {BELOW + name for text in SCRIPTS.values() for name in IMPORT.findall(text)}
    assert imported <= SCRIPTS.keys()
    assert set(Named(PAGE["/"].body.decode()).loaded) >= SCRIPTS.keys()


def test_nothing_is_read_as_html_or_named_elsewhere() -> None:
    for path, text in SCRIPTS.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text), path
        assert set(re.findall(r"https?://[^\"'` ]+", text)) <= {"http://www.w3.org/2000/svg"}, path
    assert "url(" not in PAGE["/page/style.css"].body.decode()


@pytest.mark.parametrize("path", sorted(PAGE))
async def test_each_file_is_sent_with_the_policy_and_again_only_when_it_has_changed(
    url: str, path: str
) -> None:
    async with ClientSession() as session, session.get(url + path) as answer:
        assert answer.status == 200
        assert await answer.read() == PAGE[path].body
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-cache"
        tag = answer.headers["ETag"]
        async with session.get(url + path, headers={"If-None-Match": f'"old", {tag}'}) as again:
            assert (again.status, await again.read()) == (304, b"")
            assert again.headers["Content-Security-Policy"] == policy
        async with session.get(url + path, headers={"If-None-Match": '"old"'}) as changed:
            assert changed.status == 200


async def test_a_head_has_no_body_and_what_is_no_file_goes_on(url: str) -> None:
    async with ClientSession() as session:
        async with session.head(url + "/") as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        async with session.get(url + "/api") as answer:
            assert await answer.text() == "other"
        async with session.post(url + "/") as answer:
            assert await answer.text() == "other"
        async with session.get(url + "/page/../pages.py") as answer:
            assert answer.status == 404
