"""A running admin API over a controller whose surroundings are in the hands of the test, and a client to it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, ClientSession, ClientTimeout
from aiohttp.test_utils import TestServer

from router.channel import Erase, RecorderSettings
from router.config.loader import Loaded
from router.config.schema import Config
from router.control.admin.app import Outside, build_app
from router.control.controller import Controller
from router.control.erasures import Erasures
from router.control.terms import Confirmation
from router.control.trends import Trends
from router.rollout.journal import Journal, JournalError, Record
from router.telemetry.ledger import Ledger

OPERATOR, VIEWER = "operator-secret", "viewer-secret"


TOKENS = [
    {"name": "ci", "token": OPERATOR, "role": "operator"},
    {"name": "wall", "token": VIEWER, "role": "viewer"},
]


CANARY = {
    "pattern": "canary",
    "stable": "v1",
    "candidate": "v2",
    "steps": [{"share": "10%", "hold": "1m"}, {"pause": True}, {"share": "50%", "hold": "1m"}],
}


BLUE_GREEN = {"pattern": "blue_green", "blue": "v1", "green": "v2"}


class FakeFleet:
    async def publish(self, generation: int, snapshot: bytes) -> Confirmation:
        return Confirmation(2, 2)

    def recorder_settings(self, settings: RecorderSettings) -> None:
        pass


class FullJournal(Journal):
    full = False

    def write(self, *records: Record) -> None:
        if self.full:
            raise JournalError("the disk is full")
        super().write(*records)


def config_of(tmp_path: Path, tokens: list[dict[str, str]]) -> Config:
    versions = {version: {"url": "http://127.0.0.1:9001"} for version in ("v1", "v2")}
    return Config.model_validate(
        {
            "admin": {"tokens": tokens},
            "pairs": {"path": str(tmp_path / "pairs")},
            "deployments": {
                "loan": {"match": {"path": "/loan"}, "versions": versions, "rollout": CANARY},
                "fraud": {"match": {"path": "/fraud"}, "versions": versions, "rollout": BLUE_GREEN},
            },
        }
    )


class Api:
    """A running admin API and a client to it."""

    def __init__(self, tmp_path: Path, tokens: list[dict[str, str]], listen: str) -> None:
        self.config = config_of(tmp_path, tokens)
        self.journal = FullJournal(tmp_path / "router.db")
        self.controller = Controller(self.journal, FakeFleet(), Ledger(), workers=2)
        self.reload_error: Exception | None = None
        self.ready = True
        self.shortfalls: tuple[str, ...] = ()
        self.orders: list[Erase] = []
        self.erasures = Erasures(self.send)
        self.troubles: tuple[str, ...] = ()
        self.replacements = 0
        self.levels: list[str] = []
        self.trends = Trends(Ledger())
        outside = Outside(
            listen,
            self.reload,
            lambda accept: (b"metric 1\n", "text/plain"),
            lambda: self.ready,
            lambda name: self.shortfalls,
            lambda name: ([], []),
            self.erasures,
            self.trends,
            lambda: self.troubles,
            self.replace_workers,
            self.levels.append,
        )
        self.server = TestServer(build_app(self.controller, outside))
        self.session = ClientSession(timeout=ClientTimeout(total=10))

    def send(self, order: Erase) -> bool:
        self.orders.append(order)
        return True

    async def replace_workers(self) -> int:
        self.replacements += 1
        return 2

    async def reload(self) -> None:
        if self.reload_error is not None:
            self.controller.reject(self.reload_error)
            raise self.reload_error
        await self.controller.apply(Loaded(self.config, "d2", ()))

    async def call(
        self, method: str, path: str, body: Any = None, token: str = "", **headers: str
    ) -> tuple[int, Any]:
        """Status, and the JSON or text of the answer. Paths without / are below /api/v1."""
        url = self.server.make_url(path if path.startswith("/") else f"/api/v1/{path}")
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        async with self.session.request(method, url, data=data, headers=headers) as answer:
            return answer.status, await _content(answer)

    async def get(self, path: str, **headers: str) -> Any:
        status, content = await self.call("GET", path, **headers)
        assert status == 200, content
        return content

    async def post(self, path: str, body: Any = None) -> Any:
        status, content = await self.call("POST", path, body)
        assert status == 200, content
        return content


async def _content(answer: ClientResponse) -> Any:
    text = await answer.text()
    if answer.status >= 400 and text:
        assert answer.content_type == "application/problem+json"
        problem = json.loads(text)
        assert problem["status"] == answer.status
        return problem
    return json.loads(text) if answer.content_type == "application/json" else text


@asynccontextmanager
async def running(
    tmp_path: Path, tokens: list[dict[str, str]] | None = None, listen: str = "127.0.0.1:8081"
) -> AsyncIterator[Api]:
    api = Api(tmp_path, tokens or [], listen)
    await api.controller.apply(Loaded(api.config, "d1", ()))
    await api.server.start_server()
    try:
        yield api
    finally:
        await api.session.close()
        await api.server.close()
        await api.controller.close()
