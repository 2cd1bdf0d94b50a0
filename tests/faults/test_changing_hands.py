"""Stopping, replacing workers, another controller in the place of the one that runs: what clients see of it (nothing),
and an orphan's end."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.support.accounts import SETTLE, live_counts, miscounted
from tests.support.routers import BROKEN, HALF, Load, Router, ask, deployment
from tests.support.upstreams import Upstream, model, read_request
from tests.support.workers import connect, get, read_answer, until


class Stream:
    """A model server that answers with a stream, whose end the test says."""

    def __init__(self) -> None:
        self.end = asyncio.Event()
        self.server = Upstream(self.serve)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader) is not None:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegin\r\n")
            await writer.drain()
            await self.end.wait()
            writer.write(b"3\r\nend\r\n0\r\n\r\n")
            await writer.drain()


async def test_a_stop_closes_the_door_and_lets_those_inside_finish(tmp_path: Path) -> None:
    stream = Stream()
    async with stream.server, Router(tmp_path, {"m": deployment(v1=stream.server.url)}, workers=1) as router:
        reader, writer = await connect(router.port)
        idle, _ = await connect(router.port)
        writer.write(get(b"/m/x"))
        head = await reader.readuntil(b"begin\r\n")
        assert b"connection: close" not in head, "nobody knew yet"
        router.process.terminate()
        assert await idle.read() == b"", "a client that asks nothing is not waited for"
        await until(lambda: refused(router.port), what="a closed door")
        assert router.process.poll() is None
        stream.end.set()
        assert (await reader.read()).endswith(b"0\r\n\r\n"), "whole, and then closed"
        assert await asyncio.to_thread(router.process.wait, 30) == 0
        writer.close()


async def test_an_answer_during_the_stop_says_that_the_connection_closes(tmp_path: Path) -> None:
    slow = model("v1", delay=0.7)
    async with slow, Router(tmp_path, {"m": deployment(v1=slow.url)}, workers=1) as router:
        reader, writer = await connect(router.port)
        writer.write(get(b"/m/x") * 2)
        await until(lambda: len(slow.requests) == 1, what="the first request")
        router.process.terminate()
        answer = await read_answer(reader)
        assert (answer.status, answer.fields[b"connection"]) == (200, b"close")
        assert await reader.read() == b"", "the second was never begun"
        assert len(slow.requests) == 1
        assert await asyncio.to_thread(router.process.wait, 30) == 0
        writer.close()


@pytest.mark.slow
async def test_what_does_not_end_within_drain_timeout_is_cut(tmp_path: Path) -> None:
    stream, clock = Stream(), asyncio.get_running_loop().time
    async with stream.server:
        versions = deployment(v1=stream.server.url)
        async with Router(tmp_path, {"m": versions}, workers=1, extra="drain_timeout: 1s\n") as router:
            reader, writer = await connect(router.port)
            writer.write(get(b"/m/x"))
            await reader.readuntil(b"begin\r\n")
            began = clock()
            router.process.terminate()
            try:
                rest = await asyncio.wait_for(reader.read(), 10)
            except ConnectionError:
                rest = b""
            assert not rest.endswith(b"0\r\n\r\n"), "what is cut does not look whole"
            assert 0.8 < clock() - began < 5
            assert await asyncio.to_thread(router.process.wait, 30) == 0
            writer.close()


def refused(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return False
    except ConnectionRefusedError:
        return True


async def test_all_workers_are_replaced_under_load_and_nobody_notices(tmp_path: Path) -> None:
    stream = Stream()
    async with (
        model("v1") as one,
        model("v2") as two,
        stream.server,
        Router(
            tmp_path,
            {
                "m": deployment(HALF, v1=one.url, v2=two.url),
                "s": deployment(path="/s/**", v1=stream.server.url),
            },
        ) as router,
        Load(router.port, clients=8, pause=0.005) as load,
    ):
        before = set(router.children("router.worker"))
        router.note_children()
        reader, writer = await connect(router.port)
        writer.write(get(b"/s/x"))
        await reader.readuntil(b"begin\r\n")
        command = [sys.executable, "-m", "router.cli", "reload", "--workers"]
        admin = f"http://127.0.0.1:{router.admin_port}"
        done = await asyncio.to_thread(
            subprocess.run, [*command, "--admin", admin], capture_output=True, text=True, timeout=30
        )
        assert done.stdout == "2 workers replaced; those before finish what they have\n", done.stderr
        await load.more(300)
        living = set(router.children("router.worker"))
        assert len(living - before) == 2
        assert len(living & before) == 1, "the one with the stream waits for its end"
        stream.end.set()
        assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"end\r\n0\r\n\r\n")
        writer.close()
        await until(lambda: not before & set(router.children("router.worker")), what="the old workers' end")
        await load.stop()
        await asyncio.sleep(2 * SETTLE)
        samples = await router.metrics()
        assert miscounted(live_counts(samples, "m"), load.sent) == [], "their counts stay"
        assert samples["router_worker_restarts_total"] == 0
    assert load.failures == []


async def test_another_controller_takes_over_and_nobody_notices(tmp_path: Path) -> None:
    async with (
        model("v1") as one,
        model("v2") as two,
        Router(tmp_path, {"m": deployment(HALF, v1=one.url, v2=two.url)}) as router,
        Load(router.port, clients=8, pause=0.005) as load,
    ):
        await load.more(100)
        await router.act("share", candidate=0.4)
        first, old = router.process, set(router.children("router.worker"))
        router.note_children()
        await router.start("--take-over")
        assert await asyncio.to_thread(first.wait, 30) == 0
        assert first.stdout is not None
        first.stdout.close()
        await load.more(300)
        state = await router.deployment()
        assert (state["phase"], state["share"]) == ("paused", 0.4), "the rollout is where it was"
        new = set(router.children("router.worker"))
        assert len(new) == 2
        assert not new & old, "new processes, which run the new program"
        await until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in old), what="the old ones' end")
        await load.more(100)
    assert load.failures == []
    assert "Traceback" not in router.log.read_text()


async def test_there_is_nobody_to_take_over_from(tmp_path: Path) -> None:
    async with model("v1") as one:
        router = Router(tmp_path, {"m": deployment(v1=one.url)}, workers=1)
        try:
            await router.start("--take-over")
            assert (await ask(router.port)).status == 200
            assert await router.stop() == 0
        finally:
            router.end()


@pytest.mark.slow
async def test_an_orphan_serves_until_its_time_is_up(tmp_path: Path) -> None:
    async with (
        model("v1") as one,
        Router(tmp_path, {"m": deployment(v1=one.url)}, workers=1, extra="orphan_timeout: 2s\n") as router,
    ):
        router.kill()
        killed = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < killed + 1.2:
            assert (await ask(router.port)).status == 200
            await asyncio.sleep(0.1)
        await until(lambda: not router.living(), 10, "the end of the worker and of its recorder")
        assert "no controller for 2 s" in router.log.read_text()
        assert refused(router.port)


@pytest.mark.slow
async def test_one_that_finds_a_controller_in_time_stays(tmp_path: Path) -> None:
    stream = Stream()
    async with (
        stream.server,
        Router(
            tmp_path, {"m": deployment(v1=stream.server.url)}, workers=1, extra="orphan_timeout: 10s\n"
        ) as router,
    ):
        reader, writer = await connect(router.port)
        writer.write(get(b"/m/x"))
        await reader.readuntil(b"begin\r\n")
        router.kill()
        await router.start()
        await asyncio.sleep(10.5)
        stream.end.set()
        try:
            assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"end\r\n0\r\n\r\n")
        except BROKEN:
            raise AssertionError("it gave up although it had been adopted") from None
        assert "no controller for" not in router.log.read_text()
        writer.close()


def _another(router: Router, dead: int) -> bool:
    """A process that was killed may be there a moment longer."""
    return router.children("router.recorder") not in ([], [dead])


async def test_a_crash_loop_shows_in_readyz_with_its_reason(tmp_path: Path) -> None:
    async with model("v1") as one, Router(tmp_path, {"m": deployment(v1=one.url)}, workers=1) as router:
        for _ in range(4):
            router.note_children()
            (recorder,) = router.children("router.recorder")
            os.kill(recorder, signal.SIGKILL)
            await until(partial(_another, router, recorder), what="another recorder")
        status, said = await asyncio.to_thread(router.call, "GET", "/readyz")
        assert status == 200, "clients need no recorder"
        assert said.startswith("ready\nrecorder-")
        assert "died: killed by SIGKILL; another starts in" in said
        assert await router.metric('router_crash_loops{process="recorder"}') == 1
        assert (await ask(router.port)).status == 200
