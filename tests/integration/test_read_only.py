"""The router where only its own directory can be written, as in a container with a read-only root."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.routers import Load, Router, deployment
from tests.support.upstreams import model
from tests.support.workers import until

READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind / && exec "$@"'


def in_read_only(path: Path, *command: str) -> list[str]:
    """The command, in a mount namespace of its own where only what is below the path can be written."""
    return ["unshare", "--mount", "sh", "-c", READ_ONLY, str(path), *command]


def possible(path: Path) -> bool:
    """Whether this user may do that; in most containers only root may, and not in all."""
    probe = in_read_only(path, "sh", "-c", f"! touch {path.parent}/probe && touch {path}/probe")
    return (
        shutil.which("unshare") is not None
        and subprocess.run(probe, check=False, stderr=subprocess.DEVNULL).returncode == 0
    )


async def test_it_serves_records_reloads_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not possible(tmp_path):
        pytest.skip("needs the right to mount")
    shadow = "{pattern: shadow, primary: v1, shadows: [v2]}"
    async with model("v1") as one, model("v2") as two:
        router = Router(tmp_path, {"m": deployment(shadow, v1=one.url, v2=two.url)})
        router.command = in_read_only(tmp_path, sys.executable, "-m", "router.cli")
        async with router, Load(router.port, clients=2, pause=0.01) as load:
            await until(lambda: len(router.pairs()) > 10, what="pairs")
            await router.act("rollback")
            router.write()
            assert (await router.get("/api/v1/config"))["status"]["error"] is None
            await load.stop()
            assert load.failures == []
            assert await router.stop() == 0
        assert "Read-only" not in router.log.read_text()
