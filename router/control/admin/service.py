"""The calls about the router itself: probes, metrics, configuration, workers, log level. Floor 4."""

import logging
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from router import logs
from router.control.admin import views
from router.control.admin.access import role_of
from router.control.admin.openapi import document
from router.control.admin.wire import API, WHO, Route, body_of, json_of
from router.control.controller import Controller
from router.errors import Refused

_log = logging.getLogger(__name__)


class LevelBody(msgspec.Struct, forbid_unknown_fields=True):
    """What the log is to say at least."""

    level: str


class Service:
    """See `app.Outside` for what each of the others does."""

    def __init__(
        self,
        controller: Controller,
        *,
        reload: Callable[[], Awaitable[None]],
        replace_workers: Callable[[], Awaitable[int]],
        log_level: Callable[[str], None],
        metrics: Callable[[str], tuple[bytes, str]],
        ready: Callable[[], bool],
        troubles: Callable[[], tuple[str, ...]],
    ) -> None:
        self._controller = controller
        self._reload = reload
        self._replace_workers = replace_workers
        self._set_log_level = log_level
        self._metrics = metrics
        self._ready = ready
        self._troubles = troubles

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            ("GET", f"{API}/config", self.config),
            ("POST", f"{API}/config/reload", self.reload),
            ("POST", f"{API}/workers/replace", self.replace_workers),
            ("GET", f"{API}/log-level", self.log_level),
            ("POST", f"{API}/log-level", self.set_log_level),
            ("GET", f"{API}/me", self.me),
            ("GET", f"{API}/openapi.json", self.openapi),
            ("GET", "/metrics", self.metrics),
            ("GET", "/healthz", self.healthz),
            ("GET", "/readyz", self.readyz),
        ]

    async def config(self, request: web.Request) -> web.Response:
        return json_of(views.config(self._controller))

    async def reload(self, request: web.Request) -> web.Response:
        _log.info("%s has the configuration read again", request[WHO])
        await self._reload()
        return json_of({"digest": self._controller.status.digest, "generation": self._controller.generation})

    async def replace_workers(self, request: web.Request) -> web.Response:
        _log.info("%s has the workers replaced", request[WHO])
        return json_of({"replaced": await self._replace_workers()})

    async def log_level(self, request: web.Request) -> web.Response:
        return json_of({"level": logs.level()})

    async def set_log_level(self, request: web.Request) -> web.Response:
        level = (await body_of(request, LevelBody)).level.upper()
        if level not in logs.LEVELS:
            raise Refused(400, f"level: {level!r} is none of {', '.join(logs.LEVELS)}", known=logs.LEVELS)
        self._set_log_level(level)
        _log.warning("%s sets the log level to %s", request[WHO] or "someone", level)
        return json_of({"level": level})

    async def me(self, request: web.Request) -> web.Response:
        config = self._controller.config
        tokens = config.admin.tokens if config is not None else ()
        return json_of({"name": request[WHO], "role": role_of(request[WHO], tokens)})

    async def openapi(self, request: web.Request) -> web.Response:
        return json_of(document())

    async def metrics(self, request: web.Request) -> web.Response:
        page, content_type = self._metrics(request.headers.get("Accept", ""))
        return web.Response(body=page, headers={"Content-Type": content_type})

    async def healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(self, request: web.Request) -> web.Response:
        """Where a process dies again and again it says so; only one that clients need makes it not ready."""
        troubles = self._troubles()
        if self._controller.in_force and self._ready():
            return web.Response(text="\n".join(("ready", *troubles, "")))
        waiting = "not every worker has the newest configuration in force yet"
        raise Refused(503, "; ".join((waiting, *troubles)))
