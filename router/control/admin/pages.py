"""The page at the root of the admin listener: its files, read once, and how they are sent. Floor 4.

They hold no data and need no token; all that the page shows comes from `/api/v1`, which asks for one. The policy
sent with them lets a browser load nothing from elsewhere, run nothing that stands in a document, and put the page
into no frame: what a model server answers can be shown there without being able to act.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePath

from aiohttp import web
from aiohttp.typedefs import Middleware

from router.control.admin.problems import Handler

INDEX = "index.html"
BELOW = "/page/"
"""Where all files but the index are."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it is sent. `tag` is its ETag: a digest of its bytes."""

    body: bytes
    content_type: str
    tag: str

    def answer(self, known: str | None) -> web.Response:
        """The file, or that it has not changed; `known` is the request's If-None-Match."""
        headers = {
            "ETag": self.tag,
            # Kept, but asked about each time: after an upgrade no old script meets a new API.
            "Cache-Control": "no-cache",
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        if known is not None and self.tag in (each.strip() for each in known.split(",")):
            return web.Response(status=304, headers=headers)
        return web.Response(body=self.body, headers=headers | {"Content-Type": self.content_type})


def read_page() -> dict[str, PageFile]:
    """Every file of the page by its path on the admin listener."""
    return {
        "/" if each.name == INDEX else BELOW + each.name: _read(each.name, each.read_bytes())
        for each in (files("router") / "page").iterdir()
        if PurePath(each.name).suffix in _TYPES
    }


def show(page: Mapping[str, PageFile]) -> Middleware:
    """A middleware that answers requests for these files; all others go on."""

    @web.middleware
    async def serve(request: web.Request, handler: Handler) -> web.StreamResponse:
        file = page.get(request.path)
        if file is None or request.method not in ("GET", "HEAD"):
            return await handler(request)
        return file.answer(request.headers.get("If-None-Match"))

    return serve


def _read(name: str, body: bytes) -> PageFile:
    return PageFile(body, _TYPES[PurePath(name).suffix], f'"{hashlib.sha256(body).hexdigest()[:20]}"')
