"""Who may stay connected to the admin API, over real sockets: strangers make room, those who were let in stay."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme
from aiohttp import web

from router.control.admin import reception
from router.control.admin.problems import Handler
from router.control.admin.reception import Reception

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Api:
    """An API that lets in whoever comes with the header `known`, and anybody to `/healthz`."""

    def __init__(self) -> None:
        self.port = 0
        self.reception = Reception()

    async def answer(self, request: web.Request) -> web.Response:
        return web.Response(text="here you are")

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path != "/healthz" and "known" not in request.headers:
            raise web.HTTPUnauthorized
        return await handler(request)

    async def connect(self) -> Connection:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def knock(self, connection: Connection, path: str = "/", header: str = "") -> int:
        """Sends a request; the status of the answer, 0 where the connection was closed."""
        reader, writer = connection
        writer.write(f"GET {path} HTTP/1.1\r\nhost: a\r\n{header}\r\n".encode())
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        except (ConnectionError, asyncio.IncompleteReadError):
            return 0
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        return int(head.split()[1])


@asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[Api]:
    api = Api()
    app = web.Application(middlewares=[api.guard, api.reception.remember])
    app.router.add_get("/{path:.*}", api.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, keepalive_timeout=reception.IDLE)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    api.port = listening.getsockname()[1]
    assert runner.server is not None
    await api.reception.open(runner.server, [listening], context)
    try:
        yield api
    finally:
        api.reception.close()
        await runner.cleanup()


async def closed(connection: Connection) -> bool:
    try:
        return await asyncio.wait_for(connection[0].read(1), 10) == b""
    except ConnectionError:
        return True


async def test_those_who_only_connect_make_room_and_those_let_in_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reception, "MOST", 4)
    async with serving() as api:
        operator = await api.connect()
        assert await api.knock(operator, header="known: yes\r\n") == 200
        silent = [await api.connect() for _ in range(2)]
        refused = await api.connect()
        assert await api.knock(refused) == 401
        probe = await api.connect()
        assert await api.knock(probe, "/healthz") == 200
        assert await closed(silent[0]), "the oldest stranger has left for the probe"
        another = [await api.connect() for _ in range(3)]
        assert await closed(silent[1])
        assert await closed(refused)
        assert await closed(probe), "a probe is let in anywhere: that says nothing"
        assert await api.knock(operator, header="known: yes\r\n") == 200
        for _, writer in (operator, *another):
            writer.close()


async def test_of_many_that_come_at_once_only_so_many_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "MOST", 4)
    async with serving() as api:
        came = await asyncio.gather(*(api.connect() for _ in range(40)))
        came.append(await api.connect())  # which finds all the others there
        leaving = {asyncio.ensure_future(closed(each)) for each in came}
        async with asyncio.timeout(10):
            while len(leaving) > 4:
                _, leaving = await asyncio.wait(leaving, return_when=asyncio.FIRST_COMPLETED)
        for task in leaving:
            task.cancel()
        for _, writer in came:
            writer.close()


async def test_where_all_were_let_in_the_next_one_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "MOST", 2)
    async with serving() as api:
        inside = [await api.connect() for _ in range(2)]
        for each in inside:
            assert await api.knock(each, header="known: yes\r\n") == 200
        assert await closed(await api.connect())
        inside[0][1].close()
        await inside[0][1].wait_closed()
        async with asyncio.timeout(10):
            while await api.knock(await api.connect(), header="known: yes\r\n") != 200:
                await asyncio.sleep(0.01)
        inside[1][1].close()


async def test_half_a_head_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "IDLE", 0.2)
    async with serving() as api:
        silent, slow = await api.connect(), await api.connect()
        slow[1].write(b"GET / HT")
        assert await closed(silent)
        assert await closed(slow)


async def test_a_handshake_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "HANDSHAKE", 0.2)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    async with serving(context) as api:
        assert await closed(await api.connect())
