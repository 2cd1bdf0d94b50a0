import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from router.demo.model import load
from router.demo.protocol import inference_request
from router.demo.server import ModelServer
from tests.support.ports import free_ports

ROW = [50.0, 0.3, 8.0, 20.0, 1.0, 4.0]
INFER = "/v2/models/loan/infer"

Client = TestClient[Request, Application]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with TestClient(TestServer(ModelServer(load("v1"), delay=0.02).app())) as client:
        yield client


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", "/v2/models/loan/ready", "/v2"])
async def test_it_is_healthy(client: Client, path: str) -> None:
    async with client.get(path) as answer:
        assert answer.status == 200


async def test_it_describes_the_model(client: Client) -> None:
    async with client.get("/v2/models/loan") as answer:
        assert (await answer.json())["versions"] == ["v1"]


async def test_it_judges_and_takes_its_time(client: Client) -> None:
    start = time.perf_counter()
    async with client.post(INFER, json=inference_request([ROW])) as answer:
        body = await answer.json()
    assert time.perf_counter() - start >= 0.02
    assert body["outputs"][0]["data"] == [1]


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        (INFER, b"{", 400, "the body is no JSON"),
        (INFER, b"\xff", 400, "the body is no JSON"),
        (INFER, b"{}", 400, "list of inputs"),
        ("/v2/models/other/infer", b"{}", 404, "nothing is served at /v2/models/other/infer"),
        ("/v2/models/loan", b"{}", 405, "Method Not Allowed"),
    ],
)
async def test_errors_are_json(client: Client, path: str, body: bytes, status: int, error: str) -> None:
    async with client.post(path, data=body) as answer:
        assert answer.status == status
        assert error in (await answer.json())["error"]


async def test_it_runs_as_a_process_and_ends_when_asked() -> None:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "router.demo.server", "--version", "v2", "--port", str(port)]
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:
                await asyncio.sleep(0.05)
        writer.write(b"GET /v2/models/loan HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 20.0) == 0
    finally:
        if process.returncode is None:
            process.kill()
    assert b'"versions": ["v2"]' in answer
