"""The calls about the pairs of a deployment: recent ones, what they say together, and erasing a subject's. Floor 4."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec.structs import asdict

from router.channel import PairDetail, PairTally
from router.control.admin.wire import API, ONE, WHO, Aside, Route, body_of, json_of, limit_in, name_in, number
from router.control.controller import Controller
from router.control.erasures import Erasures, check
from router.errors import Refused
from router.pairs.comparators.base import VERDICTS
from router.pairs.reading import Wanted, newest
from router.pairs.segments import Torn
from router.pairs.stats import LAST, live, report

_log = logging.getLogger(__name__)

MAX_LAST = 100_000_000


class EraseBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whose records to erase: the value of the deployment's `subject`, as the requests had it. `hash_key`: what they
    were hashed with, where no `pairs.hash` has that key any more."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    hash_key: Annotated[str, msgspec.Meta(max_length=4096)] = ""


class Pairs:
    """`compared` has the rows and details that recorders counted of a deployment's pairs."""

    def __init__(
        self,
        controller: Controller,
        compared: Callable[[str], tuple[list[PairTally], list[PairDetail]]],
        erasures: Erasures,
        aside: Aside,
    ) -> None:
        self._controller = controller
        self._compared = compared
        self._erasures = erasures
        self._aside = aside

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            ("GET", f"{ONE}/pairs", self.pairs),
            ("GET", f"{ONE}/comparison", self.comparison),
            ("POST", f"{ONE}/pairs/erase", self.erase),
            ("GET", f"{ONE}/pairs/erase/{{number}}", self.erasure),
            ("POST", f"{API}/pairs/erase", self.erase),
            ("GET", f"{API}/pairs/erase/{{number}}", self.erasure),
        ]

    async def pairs(self, request: web.Request) -> web.Response:
        verdict = request.query.get("verdict")
        if verdict is not None and verdict not in VERDICTS:
            raise Refused(
                400, f"verdict: {verdict!r} is none of {', '.join(VERDICTS)}", known=tuple(VERDICTS)
            )
        wanted = Wanted(verdict, request.query.get("id"), request.query.get("field"))
        torn: list[Torn] = []
        found = await self._aside(newest, self._log_of(request), limit_in(request, 50), wanted, torn.append)
        return json_of({"pairs": found, "torn": list(map(str, torn))})

    async def comparison(self, request: web.Request) -> web.Response:
        log, source = self._log_of(request), request.query.get("source", "log")
        if source == "live":
            return json_of(live(*self._compared(name_in(request))))
        if source != "log":
            raise Refused(400, f"source: {source!r} is neither log nor live", known=("log", "live"))
        last = request.query.get("last", str(LAST))
        most = number("last", last, MAX_LAST) if last != "all" else None
        return json_of(await self._aside(report, log, most))

    async def erase(self, request: web.Request) -> web.Response:
        """From the log of one deployment, or of every one there is."""
        name, body, config = name_in(request), await body_of(request, EraseBody), self._controller.config
        assert config is not None  # it is there before the API is
        if name:
            await self._aside(check, config, name)
        _log.info("%s has a subject of %s erased", request[WHO] or "someone", name or "every deployment")
        return json_of(asdict(self._erasures.start(name, body.key, body.hash_key)))

    async def erasure(self, request: web.Request) -> web.Response:
        one = number("erasure", request.match_info["number"], MAX_LAST)
        state = self._erasures.find(name_in(request), one)
        if state is None:
            of = f" of {name_in(request)}" if name_in(request) else ""
            raise Refused(404, f"no erasure {one}{of} is known to this controller")
        return json_of(asdict(state))

    def _log_of(self, request: web.Request) -> Path:
        """Where the pair log of the deployment is."""
        self._controller.deployment(name_in(request))
        config = self._controller.config
        assert config is not None  # there is a deployment
        return Path(config.pairs.path) / name_in(request)
