"""TLS on the listener, and towards endpoints: who is not trusted gets nothing."""

import asyncio
import json
import ssl
from pathlib import Path

from tests.support.upstreams import model
from tests.support.workers import WorkerUnderTest, connect, deployment, get, post, read_answer

TLS = Path(__file__).parents[1] / "support" / "tls"
CERT, KEY = str(TLS / "cert.pem"), str(TLS / "key.pem")
"""Self-signed for localhost and 127.0.0.1, valid for a hundred years; used nowhere but here."""


async def test_a_listener_speaks_tls() -> None:
    async with model("a") as upstream, WorkerUnderTest(cert=CERT, key=KEY) as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        context = ssl.create_default_context(cafile=CERT)
        context.set_alpn_protocols(["h2", "http/1.1"])
        reader, writer = await asyncio.open_connection("127.0.0.1", worker.port, ssl=context)
        spoken = writer.get_extra_info("ssl_object")
        assert spoken.selected_alpn_protocol() == "http/1.1"
        for size in (0, 5, 300_000):
            writer.write(post(b"x" * size))
            answer = await read_answer(reader)
            assert json.loads(answer.body)["got"] == size
        assert upstream.requests[0].get(b"x-forwarded-proto") == b"https"
        writer.write(get(b"/x", b"connection: close"))
        assert (await read_answer(reader)).status == 200
        assert await reader.read() == b""
        writer.close()


async def test_plain_bytes_on_a_tls_listener_get_nowhere() -> None:
    async with model("a") as upstream, WorkerUnderTest(cert=CERT, key=KEY) as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        writer.write(get())
        assert b"HTTP/1.1 200" not in await reader.read()
        assert upstream.requests == []
        writer.close()


async def test_an_endpoint_that_is_not_trusted_is_a_502_that_says_why() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERT, KEY)

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError("a request reached an endpoint that is not trusted")

    server = await asyncio.start_server(never, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": f"https://127.0.0.1:{port}"}))
        reader, writer = await connect(worker.port)
        writer.write(get())
        answer = await read_answer(reader)
        assert (answer.status, answer.fields[b"x-router-error"]) == (502, b"connect_failed")
        detail = json.loads(answer.body)["detail"]
        assert f"https://127.0.0.1:{port}" in detail
        assert "certificate" in detail
        writer.close()
    server.close()
