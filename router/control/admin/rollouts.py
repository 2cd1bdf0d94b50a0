"""The calls about deployments and their rollouts: what they are doing, and what is to be done. Floor 4.

Each reads its request, calls the controller once, and shows what came of it.
"""

from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec
from aiohttp import web
from msgspec.structs import replace

from router.control.admin import views
from router.control.admin.problems import Handler
from router.control.admin.wire import (
    API,
    ONE,
    WHO,
    Aside,
    Route,
    body_of,
    encode,
    json_of,
    limit_in,
    name_in,
    seen_by,
    since_in,
    tagged,
)
from router.control.controller import Controller
from router.control.orders import FINISH, PAUSE, PROMOTE, RESTART, RESUME, Order, share, switch
from router.control.terms import Answer
from router.control.trends import EVERY, Trends, told
from router.errors import Refused
from router.shares import share_parts
from router.spec import parse_share


class Reason(msgspec.Struct, forbid_unknown_fields=True):
    """The body of every command; may be left out."""

    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class ShareBody(Reason, forbid_unknown_fields=True, kw_only=True):
    """The candidate's share: a fraction, or text as in the YAML."""

    candidate: float | str


class PromoteBody(Reason, forbid_unknown_fields=True, kw_only=True):
    """`full`: 100 % at once, whatever steps are left."""

    full: bool = False


class SwitchBody(Reason, forbid_unknown_fields=True, kw_only=True):
    """The colour to make live."""

    to: str


_R = TypeVar("_R", bound=Reason)


class Rollouts:
    """`shortfalls` says what is wrong with sending everything to a deployment's trusted version."""

    def __init__(
        self,
        controller: Controller,
        trends: Trends,
        shortfalls: Callable[[str], tuple[str, ...]],
        aside: Aside,
    ) -> None:
        self._controller = controller
        self._trends = trends
        self._shortfalls = shortfalls
        self._aside = aside

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            ("GET", f"{API}/deployments", self.deployments),
            ("GET", ONE, self.deployment),
            ("POST", f"{ONE}/rollback", self.rollback),
            (
                "POST",
                f"{ONE}/promote",
                self._doing(PromoteBody, lambda body: FINISH if body.full else PROMOTE),
            ),
            ("POST", f"{ONE}/pause", self._doing(Reason, lambda _: PAUSE)),
            ("POST", f"{ONE}/resume", self._doing(Reason, lambda _: RESUME)),
            ("POST", f"{ONE}/restart", self._doing(Reason, lambda _: RESTART)),
            ("POST", f"{ONE}/share", self._doing(ShareBody, _share)),
            ("POST", f"{ONE}/switch", self._doing(SwitchBody, lambda body: switch(body.to))),
            ("GET", f"{ONE}/history", self.history),
            ("GET", f"{ONE}/samples", self.samples),
            ("GET", f"{ONE}/trends", self.trends),
            ("GET", f"{API}/trends", self.pulses),
        ]

    async def rollback(self, request: web.Request) -> web.Response:
        body = await body_of(request, Reason)
        answer = await self._controller.rollback(
            name_in(request), request[WHO], body.reason, seen_by(request)
        )
        # Judged when it is in force: a rollback waits for no doubts.
        return _answered(replace(answer, warnings=self._shortfalls(name_in(request))))

    def _doing(self, kind: type[_R], order_of: Callable[[_R], Order]) -> Handler:
        """The handler of a command whose body, of this kind, says what is ordered."""

        async def handle(request: web.Request) -> web.Response:
            body = await body_of(request, kind)
            order = order_of(body)
            seen = seen_by(request)
            return _answered(
                await self._controller.order(name_in(request), order, request[WHO], body.reason, seen)
            )

        return handle

    async def deployments(self, request: web.Request) -> web.Response:
        intervals = request.query.get("intervals", "yes")
        if intervals not in ("yes", "no"):
            raise Refused(400, f"intervals: {intervals!r} is neither yes nor no", known=("yes", "no"))
        return json_of(views.deployments(self._controller, intervals == "yes"))

    async def deployment(self, request: web.Request) -> web.Response:
        name = name_in(request)
        return tagged(json_of(views.deployment(self._controller, name)), self._controller.changed(name))

    async def history(self, request: web.Request) -> web.Response:
        entries = await self._controller.history(name_in(request), limit_in(request, 100))
        return json_of(views.history(entries))

    async def samples(self, request: web.Request) -> web.Response:
        """What was counted when, for `router whatif`; may be some megabytes."""
        samples = await self._controller.samples(name_in(request))
        body = await self._aside(encode, {"samples": samples})
        return web.Response(body=body, content_type="application/json")

    async def trends(self, request: web.Request) -> web.Response:
        self._controller.deployment(name_in(request))
        return json_of(told(self._trends.moments(name_in(request), since_in(request))))

    async def pulses(self, request: web.Request) -> web.Response:
        return json_of({"every": EVERY, "deployments": self._trends.pulses()})


def _share(body: ShareBody) -> Order:
    try:
        return share(share_parts(parse_share(body.candidate)))
    except ValueError as error:
        raise Refused(400, f"candidate: {error}") from None


def _answered(answer: Answer) -> web.Response:
    return tagged(json_of(answer), answer.generation)
