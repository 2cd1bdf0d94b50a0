"""The admin API: HTTP calls become calls of the controller, and nothing more.

Floor 4. `problems` makes answers of errors, `access` says who may call, `views` what is shown, `openapi` describes
the routes (a test keeps it equal to them). Everything that may take long is done in a thread.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from aiohttp import web
from msgspec.structs import asdict, replace

from router import logs
from router.channel import PairDetail, PairTally
from router.control import views
from router.control.access import authorize, role_of
from router.control.bulletin import Listening
from router.control.controller import Controller
from router.control.erasures import Erasures
from router.control.openapi import document
from router.control.pages import read_page, show
from router.control.problems import Handler, problems
from router.control.terms import Answer
from router.control.trends import EVERY, Trends, told
from router.errors import Refused
from router.pairs.comparators.base import VERDICTS
from router.pairs.reading import Wanted, newest
from router.pairs.stats import LAST, live, report
from router.spec import parse_share, share_parts

_log = logging.getLogger(__name__)

MAX_BODY = 64 << 10
MAX_LIMIT = 1000
MAX_LAST = 100_000_000
MAX_LISTENERS = 64
KEEP_ALIVE = 15.0
"""Seconds of silence after which an event stream says that it is still there."""

CLOSING = "closing"
API = "/api/v1"
EVENTS = f"{API}/events"

Command = Callable[[str, str, str, int | None], Awaitable[Answer]]
"""A call of the controller: the deployment, who acts, why, and the generation on whose sight."""

_B = TypeVar("_B", bound=msgspec.Struct)
_WHO = web.RequestKey("who", str)
_UNIX_TIME = re.compile(r"\d{1,11}(\.\d{1,9})?", re.ASCII)
_TAG = re.compile(r'"?(\d{1,15})"?')
_encode = msgspec.json.encode


class Reason(msgspec.Struct, forbid_unknown_fields=True):
    """The body of every command; may be left out."""

    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class ShareBody(Reason, forbid_unknown_fields=True, kw_only=True):
    """The candidate's share: a fraction, or text as in the YAML."""

    candidate: float | str


class PromoteBody(Reason, forbid_unknown_fields=True, kw_only=True):
    """`full`: 100 % at once, whatever steps are left."""

    full: bool = False


class EraseBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whose records to erase: the value of the deployment's `subject`, as the requests had it."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class SwitchBody(Reason, forbid_unknown_fields=True, kw_only=True):
    """The colour to make live."""

    to: str


class LevelBody(msgspec.Struct, forbid_unknown_fields=True):
    """What the log is to say at least."""

    level: str


@dataclass(frozen=True, slots=True)
class Outside:
    """What the API needs besides the controller.

    `listen` is the address bound. `reload` reads the files again and applies them (raises ConfigError,
    JournalError). `metrics` renders the page for an Accept header, with its content type. `ready` tells whether
    every worker serves, `troubles` which processes die again and again. `replace_workers` puts new processes in the
    place of all workers (raises Refused) and says how many. `shortfalls` says what is wrong with sending everything
    to a deployment's trusted version. `compared` has the rows and details that recorders counted of a deployment's
    pairs, `erasures` what is erased. `trends` has the last quarter of an hour. `log_level` sets what every process
    says at least.
    """

    listen: str
    reload: Callable[[], Awaitable[None]]
    metrics: Callable[[str], tuple[bytes, str]]
    ready: Callable[[], bool]
    shortfalls: Callable[[str], tuple[str, ...]]
    compared: Callable[[str], tuple[list[PairTally], list[PairDetail]]]
    erasures: Erasures
    trends: Trends
    troubles: Callable[[], tuple[str, ...]]
    replace_workers: Callable[[], Awaitable[int]]
    log_level: Callable[[str], None]


def build_app(controller: Controller, outside: Outside) -> web.Application:
    """The application, with every route of `openapi.document`."""
    api = Admin(controller, outside)
    app = web.Application(middlewares=[problems, show(read_page()), api.guard], client_max_size=MAX_BODY)
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
            ("GET", f"{one}/samples", self.samples),
            ("GET", f"{one}/pairs", self.pairs),
            ("GET", f"{one}/comparison", self.comparison),
            ("GET", f"{one}/trends", self.trends),
            ("POST", f"{one}/pairs/erase", self.erase),
            ("GET", f"{one}/pairs/erase/{{number}}", self.erasure),
            ("POST", f"{API}/config/reload", self.reload),
            ("POST", f"{API}/workers/replace", self.replace_workers),
            ("GET", f"{API}/config", self.config),
            ("GET", f"{API}/log-level", self.log_level),
            ("POST", f"{API}/log-level", self.set_log_level),
            ("GET", EVENTS, self.events),
            ("GET", f"{API}/trends", self.pulses),
            ("GET", f"{API}/me", self.me),
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
        body = await _body(request, Reason)
        answer = await self._controller.rollback(
            _name(request), request[_WHO], body.reason, _seen(request.headers.get("If-Match"))
        )
        # Judged when it is in force: a rollback waits for no doubts.
        return _answer(replace(answer, warnings=self._outside.shortfalls(_name(request))))

    async def promote(self, request: web.Request) -> web.Response:
        body = await _body(request, PromoteBody)
        command = self._controller.finish if body.full else self._controller.promote
        return await self._run(request, command, body.reason)

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
        share = self._controller.share
        return await self._run(request, lambda name, *order: share(name, parts, *order), body.reason)

    async def switch(self, request: web.Request) -> web.Response:
        body = await _body(request, SwitchBody)
        switch = self._controller.switch
        return await self._run(request, lambda name, *order: switch(name, body.to, *order), body.reason)

    async def reload(self, request: web.Request) -> web.Response:
        await self._outside.reload()
        return _json({"digest": self._controller.status.digest, "generation": self._controller.generation})

    async def replace_workers(self, request: web.Request) -> web.Response:
        _log.info("%s has the workers replaced", request[_WHO])
        return _json({"replaced": await self._outside.replace_workers()})

    async def _command(self, request: web.Request, command: Command) -> web.Response:
        return await self._run(request, command, (await _body(request, Reason)).reason)

    async def _run(self, request: web.Request, command: Command, reason: str) -> web.Response:
        seen = _seen(request.headers.get("If-Match"))
        return _answer(await command(_name(request), request[_WHO], reason, seen))

    # Looking

    async def deployments(self, request: web.Request) -> web.Response:
        return _json(views.deployments(self._controller))

    async def deployment(self, request: web.Request) -> web.Response:
        shown = _json(views.deployment(self._controller, _name(request)))
        shown.headers["ETag"] = _tag(self._controller.changed(_name(request)))
        return shown

    async def history(self, request: web.Request) -> web.Response:
        return _json(views.history(await self._controller.history(_name(request), _limit(request, 100))))

    async def samples(self, request: web.Request) -> web.Response:
        """What was counted when, for `router whatif`; may be some megabytes."""
        samples = await self._controller.samples(_name(request))
        body = await self._read(_encode, {"samples": samples})
        return web.Response(body=body, content_type="application/json")

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
        log, source = self._pair_log(request), request.query.get("source", "log")
        if source == "live":
            return _json(live(*self._outside.compared(_name(request))))
        if source != "log":
            raise Refused(400, f"source: {source!r} is neither log nor live", known=("log", "live"))
        last = request.query.get("last", str(LAST))
        number = _number("last", last, MAX_LAST) if last != "all" else None
        return _json(await self._read(report, log, number))

    async def erase(self, request: web.Request) -> web.Response:
        name, key = _name(request), (await _body(request, EraseBody)).key
        self._controller.deployment(name)
        config = self._controller.config
        if config is None or config.deployments[name].subject is None:
            raise Refused(
                409,
                f"nothing says whose records those of {name} are: set pairs.subject, or sticky to a header or "
                "cookie (the address of a client is not recorded)",
            )
        _log.info("%s has a subject of deployment %s erased", request[_WHO] or "someone", name)
        return _json(asdict(self._outside.erasures.start(name, key)))

    async def erasure(self, request: web.Request) -> web.Response:
        number = _number("erasure", request.match_info["number"], MAX_LAST)
        state = self._outside.erasures.find(_name(request), number)
        if state is None:
            raise Refused(404, f"no erasure {number} of {_name(request)} is known to this controller")
        return _json(asdict(state))

    async def trends(self, request: web.Request) -> web.Response:
        self._controller.deployment(_name(request))
        return _json(told(self._outside.trends.moments(_name(request), _since(request))))

    async def pulses(self, request: web.Request) -> web.Response:
        return _json({"every": EVERY, "deployments": self._outside.trends.pulses()})

    async def me(self, request: web.Request) -> web.Response:
        config = self._controller.config
        tokens = config.admin.tokens if config is not None else ()
        return _json({"name": request[_WHO], "role": role_of(request[_WHO], tokens)})

    async def config(self, request: web.Request) -> web.Response:
        return _json(views.config(self._controller))

    async def log_level(self, request: web.Request) -> web.Response:
        return _json({"level": logs.level()})

    async def set_log_level(self, request: web.Request) -> web.Response:
        level = (await _body(request, LevelBody)).level.upper()
        if level not in logs.LEVELS:
            raise Refused(400, f"level: {level!r} is none of {', '.join(logs.LEVELS)}", known=logs.LEVELS)
        self._outside.log_level(level)
        _log.warning("%s sets the log level to %s", request[_WHO] or "someone", level)
        return _json({"level": level})

    async def openapi(self, request: web.Request) -> web.Response:
        return _json(document())

    async def metrics(self, request: web.Request) -> web.Response:
        page, content_type = self._outside.metrics(request.headers.get("Accept", ""))
        return web.Response(body=page, headers={"Content-Type": content_type})

    async def healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(self, request: web.Request) -> web.Response:
        """Where a process dies again and again it says so; only one that clients need makes it not ready."""
        troubles = self._outside.troubles()
        if self._controller.in_force and self._outside.ready():
            return web.Response(text="\n".join(("ready", *troubles, "")))
        waiting = "not every worker has the newest configuration in force yet"
        raise Refused(503, "; ".join((waiting, *troubles)))

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


def _seen(if_match: str | None) -> int | None:
    """The generation that an `If-Match` names; None where any will do."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = _TAG.fullmatch(if_match.strip())
    if found is None:
        raise Refused(
            400, f"If-Match: {if_match!r} is no generation: send one as it stands in ETag or `generation`"
        )
    return int(found[1])


def _tag(generation: int) -> str:
    return f'"{generation}"'


def _answer(answer: Answer) -> web.Response:
    """With the tag that the next command may name."""
    shown = _json(answer)
    shown.headers["ETag"] = _tag(answer.generation)
    return shown


def _limit(request: web.Request, default: int) -> int:
    return _number("limit", request.query.get("limit", str(default)), MAX_LIMIT)


def _since(request: web.Request) -> float:
    text = request.query.get("since", "0")
    if not _UNIX_TIME.fullmatch(text):
        raise Refused(400, f"since: {text!r} is no Unix time in seconds")
    return float(text)


def _number(name: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
        raise Refused(400, f"{name}: {text!r} is no number from 1 to {most}")
    return int(text)


def _json(data: Any) -> web.Response:
    return web.Response(body=_encode(data), content_type="application/json")
