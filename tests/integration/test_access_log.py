"""The access log of a real worker: every request has its line, and why that version answered."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from router.patterns.observing import AccessLog, Observing
from router.patterns.plan import Copies, Force, Key, Plan
from router.shares import SHARE_PARTS
from tests.support.routers import Load, Router
from tests.support.routers import deployment as routed
from tests.support.upstreams import model, scripted
from tests.support.workers import WorkerUnderTest, connect, deployment, get, post, read_answer, until


class Log:
    """Where the lines of one worker are found."""

    def __init__(
        self, path: Path, sample: int = SHARE_PARTS, *, failures: bool = True, copies: bool = False
    ) -> None:
        self.path = path / "access.jsonl"
        self.worker = WorkerUnderTest(
            observing=Observing(AccessLog(str(self.path), sample, failures, copies))
        )

    def lines(self) -> list[dict[str, Any]]:
        return written(self.path) if self.path.exists() else []

    async def more(self, count: int) -> list[dict[str, Any]]:
        await until(lambda: len(self.lines()) >= count, what=f"{count} lines")
        return self.lines()

    async def ask(self, *requests: bytes) -> list[int]:
        return [await self._ask(request) for request in requests]

    async def _ask(self, request: bytes) -> int:
        reader, writer = await connect(self.worker.port)
        writer.write(request)
        answer = await read_answer(reader)
        writer.close()
        return answer.status


async def test_a_line_tells_what_happened(tmp_path: Path) -> None:
    log = Log(tmp_path)
    async with model("a", delay=0.02) as one, log.worker as worker:
        await worker.publish(deployment({"v1": one.url}))
        before = datetime.now(UTC)
        await log.ask(post(b"hello", b"x-request-id: r1", path=b"/m/x?secret=1"))
        (line,) = await log.more(1)
        assert before - timedelta(seconds=0.1) < datetime.fromisoformat(line.pop("time")) < datetime.now(UTC)
        times = [line.pop(name) for name in ("first_byte_ms", "upstream_ms", "duration_ms")]
        assert all(20 <= each < 1000 for each in times)
        assert line == {
            "id": "r1", "deployment": "d", "version": "v1", "role": "live", "why": "default", "method": "POST",
            "path": "/m/x", "status": 200, "bytes_in": 5, "bytes_out": len(b'{"model": "a", "got": 5}'),
            "client": "127.0.0.1", "attempts": 1, "endpoint": one.url,
        }  # fmt: skip


STICKY = Plan(
    default="v1", candidate="v2", share=5000, key=Key("header", "x-user"), salt=b"s",
    force=Force("x-v", {"v2": "v2"}), fallback="v1",
)  # fmt: skip


async def test_why_that_version(tmp_path: Path) -> None:
    log = Log(tmp_path)
    async with model("a") as one, model("b", status=503) as other, log.worker as worker:
        await worker.publish(deployment({"v1": one.url, "v2": other.url}, STICKY, path="/m"))
        sticky = [get(b"/m", b"x-user: %d" % number) for number in range(8)]
        await log.ask(*sticky, get(b"/m", b"x-v: v2"), get(b"/m"), get(b"/nowhere"))
        lines = await log.more(11)
        whys = [line["why"] for line in lines]
        assert set(whys[:8]) == {"sticky", "fallback"}
        assert (whys[8], lines[8]["version"], lines[8]["attempts"]) == ("fallback", "v1", 2)
        assert whys[9] in ("drawn", "fallback")
        missed = lines[10]
        assert (missed["deployment"], missed["why"], missed["error"]) == ("", "", "no_route")
        assert (missed["status"], missed["attempts"]) == (404, 0)
        assert {line["why"] for line in lines if line["version"] == "v2"} == set(), "none was answered by it"


async def test_bodies_in_pieces_are_counted_and_a_break_is_told(tmp_path: Path) -> None:
    half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"
    log = Log(tmp_path)
    async with scripted(half, then_close=True) as one, log.worker as worker:
        await worker.publish(deployment({"v1": one.url}))
        reader, writer = await connect(worker.port)
        writer.write(b"POST /x HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await writer.drain()
        writer.write(b"2\r\nde\r\n0\r\n\r\n")
        with pytest.raises(asyncio.IncompleteReadError):
            await read_answer(reader)
        writer.close()
        (line,) = await log.more(1)
        assert (line["bytes_in"], line["bytes_out"]) == (5, 3)
        assert (line["status"], line["error"]) == (200, "upstream_reset")


async def test_the_sample_is_of_what_went_well(tmp_path: Path) -> None:
    log = Log(tmp_path, sample=0)
    async with model("a") as one, model("b", status=500) as other, log.worker as worker:
        plans = [
            deployment({"v1": one.url}, name="d", path="/a"),
            deployment({"v1": other.url}, name="e", path="/b"),
        ]
        await worker.publish(*plans)
        await log.ask(*[get(b"/a"), get(b"/b")] * 5)
        assert {line["status"] for line in await log.more(5)} == {500}


async def test_copies_have_lines_where_asked_for(tmp_path: Path) -> None:
    log = Log(tmp_path, copies=True)
    plan = Plan(default="v1", copies=Copies(SHARE_PARTS, {"v1": ("v2",)}, 5.0, 64, 1 << 20))
    async with model("a") as one, model("b") as other, log.worker as worker:
        await worker.publish(deployment({"v1": one.url, "v2": other.url}, plan))
        await log.ask(post(b"hello", b"x-request-id: r1"))
        lines = {line["role"]: line for line in await log.more(2)}
        copy = lines["shadow"]
        assert (copy["id"], copy["version"], copy["why"]) == ("r1", "v2", "copy")
        assert (copy["bytes_in"], copy["bytes_out"]) == (5, lines["live"]["bytes_out"])


async def test_a_log_that_cannot_be_written_costs_lines_and_no_request(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = Log(tmp_path / "file")
    async with model("a") as one, log.worker as worker:
        await worker.publish(deployment({"v1": one.url}))
        assert set(await log.ask(*[get(b"/x")] * 10)) == {200}
        key = ("router_access_lines_dropped_total", "failed")
        await until(lambda: worker.events.get(key) == 10, what="10 lines counted as dropped")


async def test_rotation_needs_no_signal_and_the_end_loses_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path)
    async with model("a") as one, log.worker as worker:
        await worker.publish(deployment({"v1": one.url}))
        await log.ask(get(b"/1"))
        await log.more(1)
        log.path.rename(tmp_path / "access.jsonl.1")
        await log.ask(*[get(b"/2")] * 50)
        await worker.drain()
        assert [line["path"] for line in log.lines()] == ["/2"] * 50


async def test_an_edit_turns_it_on_for_every_worker_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    async with model("a") as one, Router(tmp_path, {"m": routed(v1=one.url)}, workers=2) as router:
        before = set(router.children("router.worker"))
        async with Load(router.port, clients=8) as load:
            await load.more(50)
            assert not path.exists()
            router.extra = f"access_log: {{path: {path}}}\n"
            router.write()
            await until(path.exists, what="the first lines")
            began = asyncio.get_running_loop().time()
            await load.more(200)
        sent = {each.id for each in load.since(began)}
        await until(lambda: sent <= {line["id"] for line in written(path)}, what="a line for every request")
        lines = [line for line in written(path) if line["id"] in sent]
        assert len(lines) == len(sent), "and only one"
        assert {line["deployment"] for line in lines} == {"m"}
        assert set(router.children("router.worker")) == before


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
