"""A stub of the admin API on a real socket: canned answers, and what it was asked."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web


@dataclass
class Stub:
    """Answers `METHOD /path` with (status, JSON or text); a list of answers is given one by one, the last for ever."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)

    def answer(self, call: str, body: Any, status: int = 200) -> None:
        self.answers[call] = [(status, body)]

    def answer_in_turn(self, call: str, *bodies: Any) -> None:
        self.answers[call] = [(200, body) for body in bodies]

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.path_qs, body))
        self.tokens.append(request.headers.get("authorization", ""))
        self.conditions.append(request.headers.get("if-match", ""))
        turns = self.answers.get(f"{request.method} {request.path}")
        if not turns:
            return web.json_response({"title": "Not Found"}, status=404)
        status, answer = turns.pop(0) if len(turns) > 1 else turns[0]
        if isinstance(answer, str):
            return web.Response(text=answer, status=status)
        return web.json_response(answer, status=status)


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub()
    loop = asyncio.new_event_loop()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", stub.handle)
    runner = web.AppRunner(app)

    async def start() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        stub.url = f"http://{host}:{port}"

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield stub
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(runner.cleanup())
    loop.close()
