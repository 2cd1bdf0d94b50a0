"""`router demo` as people run it: a process that ends by itself, or at Ctrl-C, and leaves nothing behind."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Ran:
    """How a demo ended, what it printed, and where its files are."""

    code: int
    output: str
    directory: Path

    def number(self, pattern: str) -> float:
        found = re.search(pattern, self.output)
        assert found, f"{pattern} is not in\n{self.output}"
        return float(found[1])


async def started(where: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "router.cli", "demo", *arguments),
        cwd=where,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def ended(process: asyncio.subprocess.Process, where: Path, within: float) -> Ran:
    try:
        output, _ = await asyncio.wait_for(process.communicate(), within)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    directories = list((where / "var/demo").iterdir())
    assert len(directories) == 1, output.decode()
    return Ran(process.returncode, output.decode(), directories[0])


def left_behind(where: Path) -> Iterator[str]:
    """Command lines of processes that work where the demo did."""
    for cwd in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if cwd.readlink() == where and int(cwd.parent.name) != os.getpid():
                yield (cwd.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue


def check_common(ran: Ran, where: Path) -> None:
    assert ran.code == 0, ran.output
    assert ran.number(r": (\d+) requests, 0 failed") > 200
    assert list(left_behind(where)) == []


async def test_canary(tmp_path: Path) -> None:
    ran = await ended(await started(tmp_path, "canary", "--duration", "7"), tmp_path, 30.0)
    check_common(ran, tmp_path)
    assert ran.number(r"reached v2: (\d+)") == 0, "of what began after the rollback"
    assert ran.number(r"pairs on disk: (\d+)") > 100
    shares = re.findall(r"([\d.]+)% +([\d.]+)% +(\d+) +±", ran.output)
    assert [wanted for wanted, _, _ in shares] == ["0.0", "5.0", "25.0", "50.0", "100.0", "0.0"]
    for wanted, measured, requests in shares:
        share = float(wanted) / 100
        # Users are drawn once: five standard errors, and one request each at the edges of the stretch.
        bound = 5 * (share * (1 - share) / int(requests)) ** 0.5 + 2 / int(requests)
        assert abs(float(measured) / 100 - share) <= bound + 0.0005, ran.output
    agreement = ran.number(r"agreement: ([\d.]+)% of")
    assert agreement == pytest.approx(ran.number(r"known of these models: ([\d.]+)%"), abs=6.0)


@pytest.mark.slow
async def test_shadow(tmp_path: Path) -> None:
    ran = await ended(await started(tmp_path, "shadow", "--duration", "8"), tmp_path, 30.0)
    check_common(ran, tmp_path)
    assert ran.number(r"\n +0\.0% +([\d.]+)%") == 0.0, "a shadow answers nobody"
    assert ran.number(r"pairs on disk: (\d+)") > 300


@pytest.mark.slow
async def test_blue_green(tmp_path: Path) -> None:
    ran = await ended(await started(tmp_path, "blue-green", "--duration", "9"), tmp_path, 30.0)
    check_common(ran, tmp_path)
    assert re.findall(r"\n +([\d.]+)% +[\d.]+% +\d+", ran.output) == ["0.0", "100.0", "0.0"]
    assert "switch to green at 3.0 s: in force after" in ran.output
    assert "switch to blue at 6.0 s: in force after" in ran.output


@pytest.mark.slow
async def test_ctrl_c_stops_everything_within_two_seconds(tmp_path: Path) -> None:
    process = await started(tmp_path)
    assert process.stdout is not None
    seen = b""
    async with asyncio.timeout(20.0):
        while b"progressing" not in seen:
            seen += await process.stdout.read(4096)
    assert b"rollback loan --admin http://127.0.0.1:" in seen
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    ran = await ended(process, tmp_path, 10.0)
    assert time.monotonic() - start < 6.0, "two seconds, and Python's own end on a busy machine"
    assert ran.code == 0
    assert "pairs on disk: " in ran.output
    assert list(left_behind(tmp_path)) == []


async def test_a_router_that_cannot_start_is_shown(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("in the way")
    process = await started(tmp_path)
    output, _ = await asyncio.wait_for(process.communicate(), 20.0)
    assert process.returncode == 1
    assert b"router: " in output
