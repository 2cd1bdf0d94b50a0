"""The log level of a running router: every process follows, and those that are started later."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.support.routers import Router, ask, deployment
from tests.support.upstreams import model


def said(router: Router, level: str) -> dict[str, list[str]]:
    """What processes said at this level, by the process."""
    log = router.log.read_text().splitlines()
    lines: list[dict[str, Any]] = [json.loads(line) for line in log if line.startswith("{")]
    return {
        name: [line["message"] for line in lines if line["process"] == name and line["level"] == level]
        for name in {line["process"] for line in lines}
    }


async def test_every_process_follows_and_so_do_new_ones(tmp_path: Path) -> None:
    async with model("a") as one, Router(tmp_path, {"m": deployment(v1=one.url)}, workers=1) as router:
        assert await router.get("/api/v1/log-level") == {"level": "INFO"}
        await asyncio.to_thread(router.call, "POST", "/api/v1/log-level", {"level": "error"})
        assert await router.get("/api/v1/log-level") == {"level": "ERROR"}

        async def silent(pid: int, name: str) -> None:
            """A SIGTERM is answered with a line at INFO; `level` asks what is heard."""
            os.kill(pid, signal.SIGTERM)
            await asyncio.sleep(0.2)
            assert not any("SIGTERM" in message for message in said(router, "INFO").get(name, []))

        (worker,) = router.children("router.worker")
        await silent(worker, "worker-0")
        os.kill(worker, signal.SIGKILL)

        async def replaced() -> bool:
            now = router.children("router.worker")
            return (
                bool(now)
                and now != [worker]
                and (await router.metric('router_workers{state="serving"}')) == 1
            )

        await router.comes_true(replaced, "another worker")
        (worker,) = router.children("router.worker")
        await silent(worker, "worker-0")
        await asyncio.to_thread(router.call, "POST", "/api/v1/log-level", {"level": "info"})
        await ask(router.port)

        async def heard() -> bool:
            os.kill(
                worker, signal.SIGTERM
            )  # again, for the worker may hear of the level later than of the first
            return any("SIGTERM" in message for message in said(router, "INFO").get("worker-0", []))

        await router.comes_true(heard, "a line at INFO")
