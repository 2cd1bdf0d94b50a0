"""A model server for the demo: `python -m router.demo.server --version v2 --port 9002 --delay-ms 5`.

Speaks the Open Inference Protocol V2 over REST. Stops on SIGTERM and SIGINT after the requests in flight.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import click
from aiohttp import web

from router.demo.model import LoanModel, load
from router.demo.protocol import NAME, BadInput, inference_answer, metadata

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAX_BODY = 8 << 20


class ModelServer:
    """Answers for one version; each inference takes `delay` seconds more than the arithmetic does."""

    def __init__(self, model: LoanModel, delay: float = 0.0) -> None:
        self._model = model
        self._delay = delay

    def app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY, middlewares=[_errors_as_json])
        app.router.add_get("/v2", self._server)
        app.router.add_get("/v2/health/live", self._healthy)
        app.router.add_get("/v2/health/ready", self._healthy)
        app.router.add_get(f"/v2/models/{NAME}", self._metadata)
        app.router.add_get(f"/v2/models/{NAME}/ready", self._healthy)
        app.router.add_post(f"/v2/models/{NAME}/infer", self._infer)
        return app

    async def _server(self, request: web.Request) -> web.Response:
        return web.json_response({"name": "router-demo", "version": "2", "extensions": []})

    async def _healthy(self, request: web.Request) -> web.Response:
        return web.Response()

    async def _metadata(self, request: web.Request) -> web.Response:
        return web.json_response(metadata([self._model.version]))

    async def _infer(self, request: web.Request) -> web.Response:
        try:
            body: Any = json.loads(await request.read())
        except ValueError as error:
            raise BadInput(f"the body is no JSON: {error}") from None
        answer = inference_answer(self._model, body)
        if self._delay:
            await asyncio.sleep(self._delay)
        return web.json_response(answer)


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except BadInput as error:
        return web.json_response({"error": str(error)}, status=400)
    except web.HTTPException as error:
        text = f"nothing is served at {request.path}" if error.status == 404 else error.reason
        return web.json_response({"error": text}, status=error.status)


@click.command()
@click.option("--version", type=click.Choice(["v1", "v2"]), default="v1", show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, default=9001, show_default=True)
@click.option("--delay-ms", type=float, default=0.0, help="How much slower than the arithmetic it answers.")
def main(version: str, host: str, port: int, delay_ms: float) -> None:
    """Serve one version of the loan model."""
    app = ModelServer(load(version), delay_ms / 1000).app()
    web.run_app(app, host=host, port=port, print=None, access_log=None, shutdown_timeout=1.0)


if __name__ == "__main__":
    main()
