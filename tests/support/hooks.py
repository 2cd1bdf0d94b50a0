"""A server that is called back: it keeps what it was sent, and answers as a test wants."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Seen:
    """One call that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Hook:
    """`status` answers every call unless `answers` holds what comes first."""

    url: str = ""
    status: int = 200
    text: str = ""
    hangs: bool = False
    endless: bool = False
    seen: list[Seen] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, *answers: web.Response) -> None:
        """Gives these, one after the other, before `status` again."""
        self.answers += answers

    async def calls(self, count: int, within: float = 10.0) -> list[Seen]:
        """Waits until so many have come; all of them."""
        async with asyncio.timeout(within):
            while len(self.seen) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.seen

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append(Seen(request.method, str(request.rel_url), headers, await request.read()))
        self.arrived.set()
        if self.hangs:
            await asyncio.sleep(60)
        if self.endless:
            return await self._for_ever(request)
        return self.answers.pop(0) if self.answers else web.Response(status=self.status, text=self.text)

    async def _for_ever(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b"x" * 4096)


@asynccontextmanager
async def serving() -> AsyncIterator[Hook]:
    """A hook on loopback."""
    hook = Hook()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hook.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield hook
    finally:
        await runner.cleanup()
