"""Where sinks deliver to: a real HTTP server and a real Redis, that fail and hang as they are told."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from aiohttp import web

from router.pairs.sinks.base import SinkSpec
from router.pairs.sinks.redis import RedisSink
from router.pairs.sinks.webhook import RESPONSE, WebhookSink
from tests.support.ports import free_ports

BATCHED = "application/cloudevents-batch+json"


def half(version: str, body: Any = 1, encoding: str = "json", **more: Any) -> dict[str, Any]:
    """One answer as the pair log has it."""
    headers = {"content-type": "application/json"}
    return {
        "version": version,
        "endpoint": f"http://{version}.test",
        "status": 200,
        "headers": headers,
        "body": body,
        "body_encoding": encoding,
        "size": 1,
        "truncated": False,
        "latency_ms": 2.0,
        "first_byte_ms": 1.0,
        "error": None,
        **more,
    }


def line(exchange: str, **more: Any) -> bytes:
    """One line of the pair log."""
    request = {
        "method": "POST",
        "path": "/m",
        "headers": {"content-type": "application/json"},
        "body": {"x": 1},
        "body_encoding": "json",
        "size": 7,
        "truncated": False,
    }
    pair = {
        "id": f"id-{exchange}",
        "time": "2026-01-02T03:04:05.000Z",
        "deployment": "loan",
        "generation": 3,
        "request": request,
        "primary": half("v1"),
        "shadow": half("v2", 2),
        "verdict": "mismatch",
        "score": 0.5,
        "differences": [],
        "differences_more": 0,
        "exchange": exchange,
        **more,
    }
    return json.dumps(pair).encode() + b"\n"


class Receiver(Protocol):
    """What the contract of all sinks is tested against."""

    def spec(self, **settings: Any) -> SinkSpec: ...

    async def exchanges(self) -> list[str]:
        """Of every pair that arrived, in order, repetitions included."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def hang(self) -> None:
        """Takes connections and answers nothing, until `go_on`."""

    def go_on(self) -> None: ...


class Webhook:
    """An HTTP server on a port that stays the same over `stop` and `start`."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        self.refuses = b"\0"
        """A body with this in it is answered 400."""
        self._go_on = asyncio.Event()
        self._go_on.set()
        self._runner: web.AppRunner | None = None

    def spec(self, **settings: Any) -> WebhookSink:
        return WebhookSink.model_validate({"url": f"http://127.0.0.1:{self.port}/events", **settings})

    async def start(self) -> None:
        application = web.Application(client_max_size=1 << 26)
        application.router.add_post("/events", self._take)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        self._go_on.set()
        if self._runner is not None:
            await self._runner.cleanup()

    def hang(self) -> None:
        self._go_on.clear()

    def go_on(self) -> None:
        self._go_on.set()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        await self._go_on.wait()
        if self.refuses in body:
            return web.Response(status=400)
        if self.status < 300:
            self.requests.append(({name.lower(): value for name, value in request.headers.items()}, body))
        return web.Response(status=self.status)

    def events(self) -> list[dict[str, Any]]:
        """Of all batches."""
        return [event for _, body in self.requests for event in json.loads(body)]

    async def exchanges(self) -> list[str]:
        return [
            event["id"]
            for event in self.events()
            if (event["type"], event["endpoint"]) == (RESPONSE, "canary")
        ]


class RedisServer:
    """A redis-server of its own, without persistence: what it had is gone when it stops, and noted before."""

    def __init__(self, path: Path) -> None:
        if shutil.which("redis-server") is None:
            pytest.skip("no redis-server here: apt-get install redis-server")
        pytest.importorskip("redis", reason="the package redis is not installed: pip install 'router[redis]'")
        (self.port,) = free_ports(1)
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None
        self._before: list[str] = []

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def spec(self, **settings: Any) -> RedisSink:
        return RedisSink.model_validate({"url": self.url, "stream": "pairs", **settings})

    async def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(
            [*command, "--dir", str(self._path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        from redis.asyncio import Redis
        from redis.exceptions import ConnectionError as NotYet

        async with Redis.from_url(self.url) as client, asyncio.timeout(10):
            while True:
                try:
                    await client.ping()
                except NotYet:
                    await asyncio.sleep(0.02)
                else:
                    return

    async def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.go_on()
            self._before = await self.exchanges()
            self._process.kill()
            self._process.wait(5)

    def hang(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    async def entries(self, stream: str = "pairs") -> list[dict[Any, Any]]:
        """All entries, oldest first."""
        from redis.asyncio import Redis

        async with Redis.from_url(self.url) as client:
            return [fields or {} for _, fields in await client.xrange(stream) or []]

    async def exchanges(self) -> list[str]:
        return self._before + [json.loads(fields[b"pair"])["exchange"] for fields in await self.entries()]


@asynccontextmanager
async def receiver(kind: str, path: Path) -> AsyncIterator[Webhook | RedisServer]:
    """The receiver for a kind of sink, started."""
    made = Webhook() if kind == "webhook" else RedisServer(path)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
