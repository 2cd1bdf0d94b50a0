from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from router.demo.api import Api
from router.errors import RouterError


async def answer(request: web.Request) -> web.Response:
    match request.method, request.path:
        case "GET", "/api/v1/deployments/loan":
            return web.json_response({"phase": "steady"})
        case "POST", "/api/v1/deployments/loan/switch":
            return web.json_response(await request.json())
        case "POST", "/api/v1/deployments/loan/promote":
            return web.json_response({"detail": "not now"}, status=409)
    return web.Response(text="<html>")


@pytest.fixture
async def admin() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


async def test_it_reads_and_acts(admin: str) -> None:
    async with Api(admin) as api:
        assert await api.deployment() == {"phase": "steady"}
        assert await api.act("switch", {"to": "green"}) == {"to": "green"}


async def test_a_refusal_says_why(admin: str) -> None:
    async with Api(admin) as api:
        with pytest.raises(RouterError, match=r"POST .*/loan/promote: 409 not now"):
            await api.act("promote", {})


async def test_what_is_no_answer_is_an_error(admin: str) -> None:
    async with Api(admin) as api:
        with pytest.raises(RouterError, match=r"GET .*/nothing"):
            await api._call("GET", "/nothing")
    async with Api("http://127.0.0.1:9") as api:
        with pytest.raises(RouterError, match="Cannot connect"):
            await api.deployment()
