"""Schemathesis against the admin API of a real router: whatever it makes of the description, no answer is a mistake
of the router's, and every answer is as described."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.routers import HALF, Load, Router, deployment
from tests.support.upstreams import model

TOKEN = "operator-secret"
EXTRA = "admin: {{listen: '127.0.0.1:{port}', tokens: [{{name: ci, token: {token}, role: operator}}]}}\n"
EXAMPLES = 25
"""Of each call, for each kind of data."""

NEVER_ENDS = "/api/v1/events"
STARTS_PROCESSES = "/api/v1/workers/replace"
DEPENDS_ON_THE_PHASE = "positive_data_acceptance"
"""A well-formed command is refused with 409 where the rollout is not such that it makes sense."""


async def fuzz(router: Router, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("run", f"http://127.0.0.1:{router.admin_port}/api/v1/openapi.json"),
        *("--header", f"Authorization: Bearer {TOKEN}"),
        *("--exclude-path", NEVER_ENDS, "--exclude-path", STARTS_PROCESSES),
        *("--exclude-checks", DEPENDS_ON_THE_PHASE),
        *("--max-examples", str(EXAMPLES), "--seed", "1", "--request-timeout", "10", "--no-shrink"),
        *options,
    ]
    return await asyncio.to_thread(
        subprocess.run, command, cwd=router.path, capture_output=True, text=True, timeout=150
    )


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    pytest.importorskip("schemathesis")
    async with model("v1") as one, model("v2") as two:
        versions = {"v1": one.url, "v2": two.url}
        router = Router(
            tmp_path,
            {
                "m": deployment(HALF, **versions),
                "b": deployment("{pattern: blue_green, blue: v1, green: v2}", path="/b/**", **versions),
                "s": deployment("{pattern: shadow, primary: v1, shadows: [v2]}", path="/s/**", **versions),
            },
            token=TOKEN,
        )
        router.extra = EXTRA.format(port=router.admin_port, token=TOKEN)
        router.write()
        async with router, Load(router.port, clients=2, pause=0.01) as load:
            done = await fuzz(router)
            assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
            assert (await asyncio.to_thread(router.call, "GET", "/readyz"))[0] == 200
            await load.more(50)
        assert load.failures == []
        assert "Traceback" not in router.log.read_text()
