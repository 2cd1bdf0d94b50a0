"""The admin API: HTTP calls become calls of the controller, and nothing more.

Floor 4. `rollouts`, `pairs`, `service` and `events` have the handlers; `wire` reads requests, `views` says what is
shown, `problems` makes answers of errors, `access` says who may call, and `openapi` describes the routes (a test keeps
it equal to them). Everything that may take long is done in a thread.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from router.channel import PairDetail, PairTally
from router.control.admin.access import authorize
from router.control.admin.events import EVENTS, Events
from router.control.admin.pages import read_page, show
from router.control.admin.pairs import Pairs
from router.control.admin.problems import Handler, problems
from router.control.admin.rollouts import Rollouts
from router.control.admin.service import Service
from router.control.admin.wire import WHO, Aside, Route
from router.control.controller import Controller
from router.control.erasures import Erasures
from router.control.trends import Trends

MAX_BODY = 64 << 10

READERS = 2
"""Long reads at a time: a long log must not take all threads."""


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
    events = Events(controller.bulletin)
    guard = _guard(controller, outside.listen)
    app = web.Application(middlewares=[problems, show(read_page()), guard], client_max_size=MAX_BODY)
    for method, path, handler in routes(controller, outside, events):
        app.router.add_route(method, path, handler)
        if method == "GET" and path != EVENTS:
            app.router.add_route("HEAD", path, handler)
    app.on_shutdown.append(events.say_goodbye)
    return app


def routes(controller: Controller, outside: Outside, events: Events) -> list[Route]:
    """Every call there is."""
    aside = _in_threads(READERS)
    rollouts = Rollouts(controller, outside.trends, outside.shortfalls, aside)
    pairs = Pairs(controller, outside.compared, outside.erasures, aside)
    service = Service(
        controller,
        reload=outside.reload,
        replace_workers=outside.replace_workers,
        log_level=outside.log_level,
        metrics=outside.metrics,
        ready=outside.ready,
        troubles=outside.troubles,
    )
    return [*rollouts.routes(), *pairs.routes(), *service.routes(), *events.routes()]


def _guard(controller: Controller, listen: str) -> Middleware:
    """Lets nobody in who may not, and notes who it is."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        config = controller.config
        tokens = config.admin.tokens if config is not None else ()
        request[WHO] = authorize(request, tokens, listen)
        return await handler(request)

    return guard


def _in_threads(most: int) -> Aside:
    """Runs functions in threads, at most so many at a time."""
    free = asyncio.Semaphore(most)

    async def aside(function: Callable[..., Any], *arguments: Any) -> Any:
        async with free:
            return await asyncio.to_thread(function, *arguments)

    return aside
