"""The admin API: HTTP calls become calls of the controller, and nothing more.

Floor 4. `problems` makes answers of errors, `access` says who may call, `views` what is shown, `openapi` describes
the routes (a test keeps it equal to them). Everything that may take long is done in a thread.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from aiohttp import web

from router.control import views
from router.control.access import authorize
from router.control.bulletin import Listening
from router.control.controller import Controller
from router.control.openapi import document
from router.control.problems import Handler, problems
from router.control.terms import Answer
from router.errors import Refused
from router.pairs.comparators.base import VERDICTS
from router.pairs.reading import Wanted, newest
from router.pairs.stats import stats
from router.spec import parse_share, share_parts

MAX_BODY = 64 << 10
MAX_LIMIT = 1000
MAX_LISTENERS = 64
KEEP_ALIVE = 15.0
"""Seconds of silence after which an event stream says that it is still there."""

CLOSING = "closing"
API = "/api/v1"
EVENTS = f"{API}/events"

Command = Callable[[str, str, str], Awaitable[Answer]]
"""A call of the controller: the deployment, who acts, and why."""

_B = TypeVar("_B", bound=msgspec.Struct)
_WHO = web.RequestKey("who", str)
_encode = msgspec.json.encode


class Reason(msgspec.Struct, forbid_unknown_fields=True):
    """The body of every command; may be left out."""

    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class ShareBody(Reason, forbid_unknown_fields=True, kw_only=True):
    """The candidate's share: a fraction, or text as in the YAML."""

    candidate: float | str


class SwitchBody(Reason, forbid_unknown_fields=True, kw_only=True):
    """The colour to make live."""

    to: str


@dataclass(frozen=True, slots=True)
class Outside:
    """What the API needs besides the controller.

    `listen` is the address bound. `reload` reads the files again and applies them (raises ConfigError,
    JournalError). `metrics` renders the page for an Accept header, with its content type. `ready` tells whether
    every worker serves.
    """

    listen: str
    reload: Callable[[], Awaitable[None]]
    metrics: Callable[[str], tuple[bytes, str]]
    ready: Callable[[], bool]


def build_app(controller: Controller, outside: Outside) -> web.Application:
    """The application, with every route of `openapi.document`."""
    api = Admin(controller, outside)
    app = web.Application(middlewares=[problems, api.guard], client_max_size=MAX_BODY)
    for method, path, handler in api.routes():
        app.router.add_route(method, path, handler)
        if method == "GET" and path != EVENTS:
            app.router.add_route("HEAD", path, handler)
    app.on_shutdown.append(api.say_goodbye)
    return app


class Admin:
    """The handlers. Each reads its request, calls the controller once, and shows what came of it."""

    def __init__(self, controller: Controller, outside: Outside) -> None:
        self._controller = controller
        self._outside = outside
        self._listeners = 0
        self._reading = asyncio.Semaphore(2)

    def routes(self) -> list[tuple[str, str, Handler]]:
        """Method, path, handler."""
        one = f"{API}/deployments/{{name}}"
        return [
            ("GET", f"{API}/deployments", self.deployments),
            ("GET", one, self.deployment),
            ("POST", f"{one}/rollback", self.rollback),
            ("POST", f"{one}/promote", self.promote),
            ("POST", f"{one}/pause", self.pause),
            ("POST", f"{one}/resume", self.resume),
            ("POST", f"{one}/restart", self.restart),
            ("POST", f"{one}/share", self.share),
            ("POST", f"{one}/switch", self.switch),
            ("GET", f"{one}/history", self.history),
            ("GET", f"{one}/pairs", self.pairs),
            ("GET", f"{one}/comparison", self.comparison),
            ("POST", f"{API}/config/reload", self.reload),
            ("GET", f"{API}/config", self.config),
            ("GET", EVENTS, self.events),
            ("GET", f"{API}/openapi.json", self.openapi),
            ("GET", "/metrics", self.metrics),
            ("GET", "/healthz", self.healthz),
            ("GET", "/readyz", self.readyz),
        ]

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Lets nobody in who may not."""
        config = self._controller.config
        tokens = config.admin.tokens if config is not None else ()
        request[_WHO] = authorize(request, tokens, self._outside.listen)
        return await handler(request)

    # Commands

    async def rollback(self, request: web.Request) -> web.Response:
        return await self._command(request, self._controller.rollback)

    async def promote(self, request: web.Request) -> web.Response:
        return await self._command(request, self._controller.promote)

    async def pause(self, request: web.Request) -> web.Response:
        return await self._command(request, self._controller.pause)

    async def resume(self, request: web.Request) -> web.Response:
        return await self._command(request, self._controller.resume)

    async def restart(self, request: web.Request) -> web.Response:
        return await self._command(request, self._controller.restart)

    async def share(self, request: web.Request) -> web.Response:
        body = await _body(request, ShareBody)
        try:
            parts = share_parts(parse_share(body.candidate))
        except ValueError as error:
            raise Refused(400, f"candidate: {error}") from None
        return _json(await self._controller.share(_name(request), parts, request[_WHO], body.reason))

    async def switch(self, request: web.Request) -> web.Response:
        body = await _body(request, SwitchBody)
        return _json(await self._controller.switch(_name(request), body.to, request[_WHO], body.reason))

    async def reload(self, request: web.Request) -> web.Response:
        await self._outside.reload()
        return _json({"digest": self._controller.status.digest, "generation": self._controller.generation})

    async def _command(self, request: web.Request, command: Command) -> web.Response:
        body = await _body(request, Reason)
        return _json(await command(_name(request), request[_WHO], body.reason))

    # Looking

    async def deployments(self, request: web.Request) -> web.Response:
        return _json(views.deployments(self._controller))

    async def deployment(self, request: web.Request) -> web.Response:
        return _json(views.deployment(self._controller, _name(request)))

    async def history(self, request: web.Request) -> web.Response:
        return _json(views.history(await self._controller.history(_name(request), _limit(request, 100))))

    async def pairs(self, request: web.Request) -> web.Response:
        verdict = request.query.get("verdict")
        if verdict is not None and verdict not in VERDICTS:
            raise Refused(
                400, f"verdict: {verdict!r} is none of {', '.join(VERDICTS)}", known=tuple(VERDICTS)
            )
        wanted = Wanted(verdict, request.query.get("id"))
        found = await self._read(newest, self._pair_log(request), _limit(request, 50), wanted)
        return _json({"pairs": found})

    async def comparison(self, request: web.Request) -> web.Response:
        return _json({"comparisons": await self._read(stats, self._pair_log(request))})

    async def config(self, request: web.Request) -> web.Response:
        return _json(views.config(self._controller))

    async def openapi(self, request: web.Request) -> web.Response:
        return _json(document())

    async def metrics(self, request: web.Request) -> web.Response:
        page, content_type = self._outside.metrics(request.headers.get("Accept", ""))
        return web.Response(body=page, headers={"Content-Type": content_type})

    async def healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(self, request: web.Request) -> web.Response:
        if self._controller.in_force and self._outside.ready():
            return web.Response(text="ready\n")
        raise Refused(503, "not every worker has the newest configuration in force yet")

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Every change as it happens, as server-sent events."""
        if self._listeners >= MAX_LISTENERS:
            raise Refused(503, f"{MAX_LISTENERS} listeners are connected, which is all there may be")
        self._listeners += 1
        try:
            with self._controller.bulletin.listen() as listening:
                stream = web.StreamResponse(
                    headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
                )
                await stream.prepare(request)
                with suppress(ConnectionError):  # the listener has left
                    await _tell(stream, listening)
                return stream
        finally:
            self._listeners -= 1

    async def say_goodbye(self, app: web.Application) -> None:
        """Ends the event streams, which would otherwise hold up the shutdown."""
        self._controller.bulletin.announce({"event": CLOSING})

    def _pair_log(self, request: web.Request) -> Path:
        self._controller.deployment(_name(request))
        config = self._controller.config
        assert config is not None  # there is a deployment
        return Path(config.pairs.path) / _name(request)

    async def _read(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """In a thread, two at a time: a long log must not take all threads."""
        async with self._reading:
            return await asyncio.to_thread(function, *arguments)


async def _tell(stream: web.StreamResponse, listening: Listening) -> None:
    missed = 0
    await stream.write(b": listening\n\n")
    while True:
        try:
            news = await asyncio.wait_for(listening.next(), KEEP_ALIVE)
        except TimeoutError:
            await stream.write(b": keep-alive\n\n")
            continue
        if listening.missed > missed:
            await stream.write(_event({"event": "missed", "count": listening.missed - missed}))
            missed = listening.missed
        await stream.write(_event(news))
        if news["event"] == CLOSING:
            return


def _event(news: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (str(news["event"]).encode(), _encode(news))


def _name(request: web.Request) -> str:
    return request.match_info["name"]


async def _body(request: web.Request, kind: type[_B]) -> _B:
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise Refused(400, f"the body is not right: {error}") from None


def _limit(request: web.Request, default: int) -> int:
    text = request.query.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_LIMIT):
        raise Refused(400, f"limit: {text!r} is no number from 1 to {MAX_LIMIT}")
    return int(text)


def _json(data: Any) -> web.Response:
    return web.Response(body=_encode(data), content_type="application/json")
