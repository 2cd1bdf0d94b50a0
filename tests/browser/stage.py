"""A router with something to see: five deployments, their model servers, and people who use them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random

import aiohttp
from aiohttp import web

from router.demo.model import load
from router.demo.population import applicant
from router.demo.protocol import inference_request
from router.demo.server import ModelServer
from tests.support.routers import Router

LOAN = """\
    match: {{path: /v2/models/loan/**}}
    versions: {{v1: {{url: "{v1}"}}, v2: {{url: "{v2}"}}}}
    pairs:
      compare: {{json: {{ignore: [/outputs/1]}}}}
      slices: {{region: {{header: x-region}}}}
    rollout:
      pattern: canary
      stable: v1
      candidate: v2
      sticky: {{header: x-user-id}}
      noise: 20%
      steps:
        - {{share: 0%, mirror: 100%, hold: {hold}}}
        - {{share: 5%, mirror: 60%, hold: {hold}}}
        - {{share: 25%, mirror: 40%, hold: {last}}}
        - {{pause: true}}
        - {{share: 50%, hold: 1h}}
      soak: 2h
      min_requests: 50
      gates:
        - error_rate: {{max: 2%}}
        - latency: {{quantile: 95%, max: 300ms}}
        - agreement: {{min: 90%}}
"""
CHAT = """\
    match: {{path: /v1/chat/**}}
    versions: {{q8: {{url: "{v1}"}}, q4: {{url: "{v2}"}}}}
    pairs: {{compare: {{text: {{min_similarity: 90%}}}}}}
    rollout: {{pattern: shadow, primary: q8, shadows: [q4], sample: 100%, timeout: 2s}}
"""
RANKING = """\
    match: {{path: /ranking/**}}
    versions: {{r7: {{url: "{v1}"}}, r8: {{url: "{v2}"}}}}
    rollout:
      pattern: blue_green
      blue: r7
      green: r8
      live: blue
      keep: 1h
      switch: {{steps: [{{share: 10%, hold: 1h}}, {{share: 100%}}]}}
"""
FRAUD = """\
    match: {{path: /fraud/**}}
    versions: {{v4: {{url: "{v1}"}}, v5: {{url: "{v2}"}}}}
    rollout:
      pattern: canary
      stable: v4
      candidate: v5
      steps: [{{share: 30%, hold: 1h}}, {{share: 60%, hold: 1h}}]
      min_requests: 20
      gates: [{{error_rate: {{max: 5%}}}}]
"""
EMBEDDINGS = """\
    match: {{path: /embed/**}}
    versions: {{e5: {{url: "{v1}"}}}}
"""

REPLIES = (
    "The invoice was paid on Monday, and you will get a receipt by mail.",
    "Your order has left our warehouse and arrives tomorrow before noon.",
    "Please restart the device and hold the button for five seconds.",
)
RATE = 80.0
"""Requests a second, of all clients together."""

CLIENTS = 8


def model_server(version: str, delay: float, failing: float, seed: int) -> web.Application:
    """One version of every model: `delay` seconds slow, its /fraud fails so often."""
    random = Random(seed)
    app = ModelServer(load(version), delay).app()

    async def chat(request: web.Request) -> web.Response:
        await asyncio.sleep(0.004 + random.random() * delay * 4)
        text = REPLIES[(await request.json())["n"] % len(REPLIES)]
        if version == "v2" and random.random() < 0.2:
            text = text.replace("Monday", "Tuesday morning").replace(
                "tomorrow before noon", "on Friday evening"
            )
        return web.json_response(
            {"object": "chat.completion", "choices": [{"message": {"role": "assistant", "content": text}}]}
        )

    async def simple(request: web.Request) -> web.Response:
        await asyncio.sleep(random.random() * 0.006 + delay)
        if request.path.startswith("/fraud") and random.random() < failing:
            return web.json_response({"error": "out of memory"}, status=500)
        return web.json_response({"score": round(random.random(), 3), "ok": True})

    app.router.add_post("/v1/chat/completions", chat)
    for path in ("/ranking/rank", "/fraud/score", "/embed/text"):
        app.router.add_post(path, simple)
    return app


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """The application on a free loopback port; its URL."""
    quiet = logging.getLogger("stage")  # a router that is killed leaves requests half sent
    quiet.propagate = False
    runner = web.AppRunner(app, access_log=None, logger=quiet)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def traffic(port: int, rate: float = RATE) -> AsyncIterator[None]:
    """People who use all deployments, until the block ends."""
    async with clients(port, CLIENTS, partial(_client, pause=CLIENTS / rate)):
        yield


@asynccontextmanager
async def clients(
    port: int, count: int, client: Callable[[aiohttp.ClientSession, int], Coroutine[None, None, None]]
) -> AsyncIterator[None]:
    """So many of them, each with its number, until the block ends."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        tasks = [asyncio.create_task(client(session, number)) for number in range(count)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _client(session: aiohttp.ClientSession, number: int, pause: float) -> None:
    random, turn = Random(number), 0
    while True:
        turn += 1
        headers = {
            "x-user-id": f"user-{random.randrange(5000)}",
            "x-region": random.choice(("eu", "us", "apac")),
        }
        body: object = inference_request([applicant(random)])
        path = "/v2/models/loan/infer"
        if turn % 2:
            path = ("/v1/chat/completions", "/ranking/rank", "/fraud/score", "/embed/text")[turn // 2 % 4]
            body = {"n": turn}
        with suppress(aiohttp.ClientError):
            async with session.post(path, json=body, headers=headers) as answer:
                await answer.read()
        await asyncio.sleep(random.expovariate(1 / pause))


@asynccontextmanager
async def staged(path: Path, *, hold: str = "4s", last: str = "1h", extra: str = "") -> AsyncIterator[Router]:
    """Everything, running. `hold` is that of the loan's first steps, `last` that of its 25 %; the admin API listens
    where the router says, with `extra` YAML at the top."""
    async with (
        served(model_server("v1", 0.004, 0.0, 1)) as v1,
        served(model_server("v2", 0.007, 0.25, 2)) as v2,
    ):
        bodies = {
            "loan": LOAN, "support-chat": CHAT, "ranking": RANKING, "fraud": FRAUD, "embeddings": EMBEDDINGS,
        }  # fmt: skip
        deployments = {name: body.format(v1=v1, v2=v2, hold=hold, last=last) for name, body in bodies.items()}
        async with Router(path, deployments, extra=extra) as router, traffic(router.port):
            yield router
