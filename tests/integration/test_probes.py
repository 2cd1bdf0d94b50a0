"""Active checks against a real server."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from router.config.schema import Config
from router.control.probes import Check, Prober, checks_of


class Server:
    """A model server whose health a test decides. `checks` counts the checks it saw, by path."""

    def __init__(self) -> None:
        self.status = 200
        self.hangs = False
        self.checks: dict[str, int] = {}
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.checks[request.path] = self.checks.get(request.path, 0) + 1
        if self.hangs:
            await asyncio.sleep(60)
        return web.Response(status=self.status, headers={"location": "/elsewhere"})


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_get("/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def probing() -> AsyncIterator[tuple[Prober, list[tuple[str, ...]]]]:
    changes: list[tuple[str, ...]] = []
    async with asyncio.TaskGroup() as tasks:
        prober = Prober(tasks, changes.append)
        try:
            yield prober, changes
        finally:
            await prober.close()


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.005)


def check(url: str, path: str = "/ready") -> Check:
    return Check(url, path, every=0.02, timeout=0.5)


async def test_down_after_two_failures_and_up_after_one_success() -> None:
    async with serving() as server, probing() as (prober, changes):
        prober.configure([check(server.url)])
        await eventually(lambda: server.checks.get("/ready", 0) >= 3)
        assert changes == []
        server.status, seen = 503, server.checks["/ready"]
        await eventually(lambda: bool(changes))
        assert changes == [(server.url,)]
        assert server.checks["/ready"] >= seen + 2
        server.status = 200
        await eventually(lambda: changes[-1] == ())
        assert len(changes) == 2


async def test_one_failure_is_no_news() -> None:
    async with serving() as server, probing() as (prober, changes):
        server.status = 500
        prober.configure([check(server.url)])
        await eventually(lambda: server.checks.get("/ready", 0) == 1)
        server.status = 200
        await eventually(lambda: server.checks["/ready"] >= 4)
        assert changes == []


async def test_refused_redirected_silent_and_unreachable_are_all_down() -> None:
    async with serving() as silent, serving() as redirecting, probing() as (prober, changes):
        silent.hangs, redirecting.status = True, 302
        urls = {
            "http://127.0.0.1:1",
            "http://no.such.host.invalid",
            silent.url,
            redirecting.url,
            "http://a b",
        }
        prober.configure([Check(url, "/ready", 0.02, 0.1) for url in urls])
        await eventually(lambda: bool(changes) and set(changes[-1]) == urls)
        assert "/elsewhere" not in redirecting.checks


@pytest.mark.parametrize("says", ["too many files", "unknown name"])
async def test_a_lack_of_descriptors_here_takes_no_endpoint_down(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    def unknown(*_: object, **__: object) -> None:
        """What the C library says of any name when it can't open /etc/hosts: it depends on what it has read before."""
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if says == "unknown name":
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with serving() as server, probing() as (prober, changes):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            prober.configure([check(server.url), check("http://localhost:1")])
            await eventually(lambda: "endpoints can't be checked" in caplog.text)
            await asyncio.sleep(0.2)  # many further checks
            assert changes == []
            assert len(caplog.records) == 1, "said once"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await eventually(lambda: server.checks != {} and changes == [("http://localhost:1",)])


async def test_the_path_follows_the_base_url() -> None:
    async with serving() as server, probing() as (prober, _):
        prober.configure([check(f"{server.url}/base/")])
        await eventually(lambda: "/base/ready" in server.checks)


async def test_unchanged_checks_run_on_and_removed_ones_stop() -> None:
    async with serving() as kept, serving() as removed, probing() as (prober, changes):
        kept.status = removed.status = 503
        prober.configure([check(kept.url), check(removed.url)])
        await eventually(lambda: bool(changes) and len(changes[-1]) == 2)
        task = prober._probes[check(kept.url)].task
        prober.configure([check(kept.url)])
        assert changes[-1] == (kept.url,), "who is no longer checked is no longer down"
        assert prober._probes[check(kept.url)].task is task
        seen = removed.checks["/ready"]
        again = kept.checks["/ready"]
        await eventually(lambda: kept.checks["/ready"] >= again + 5)
        assert removed.checks["/ready"] <= seen + 1


async def test_a_changed_check_does_not_bring_a_dead_endpoint_back() -> None:
    async with serving() as server, probing() as (prober, changes):
        server.status = 503
        prober.configure([check(server.url)])
        await eventually(lambda: bool(changes))
        prober.configure([check(server.url, "/other")])
        await eventually(lambda: server.checks.get("/other", 0) >= 2)
        assert changes == [(server.url,)]


def test_checks_of_a_configuration() -> None:
    config = Config.model_validate(
        {
            "deployments": {
                "d": {
                    "match": {"path": "/**"},
                    "versions": {
                        "v1": {"url": "http://a"},
                        "v2": {"urls": ["http://b", "http://c"], "health": {"path": "/ok", "every": "3s"}},
                    },
                    "rollout": {
                        "pattern": "canary", "stable": "v1", "candidate": "v2", "steps": [{"share": "1%"}]
                    },
                }
            }
        }
    )  # fmt: skip
    assert checks_of(config) == {Check("http://b", "/ok", 3.0, 1.0), Check("http://c", "/ok", 3.0, 1.0)}
