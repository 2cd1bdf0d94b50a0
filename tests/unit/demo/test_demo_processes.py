import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.demo.processes import MARK, STOP_WITHIN, Crashed, Crew, bearing, free_ports

SLEEP = "import time; time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); {SLEEP}"
LEAVES_A_CHILD = (
    "import subprocess, sys, time;"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True);"
    "print(child.pid, flush=True);"
    "time.sleep(60)"
)


@pytest.fixture
async def crew(tmp_path: Path) -> AsyncIterator[Crew]:
    crew = Crew(tmp_path)
    yield crew
    await crew.stop()


async def said(crew: Crew, name: str) -> str:
    async with asyncio.timeout(10.0):
        while not (text := crew.log_of(name).read_text()).endswith("\n"):
            await asyncio.sleep(0.02)
    return text.strip()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(20))) == 20


async def test_a_crew_stops_at_once(crew: Crew) -> None:
    await crew.start("sleeper", "-c", SLEEP)
    start = time.monotonic()
    await crew.stop()
    assert time.monotonic() - start < STOP_WITHIN, "it was not killed"


async def test_one_that_does_not_listen_is_killed_in_time(crew: Crew) -> None:
    await crew.start("stubborn", "-c", STUBBORN)
    await said(crew, "stubborn")
    start = time.monotonic()
    await crew.stop()
    assert time.monotonic() - start < STOP_WITHIN + 5.0


async def test_nothing_that_was_started_is_left(crew: Crew) -> None:
    await crew.start("parent", "-c", LEAVES_A_CHILD)
    child = int(await said(crew, "parent"))
    assert alive(child)
    await crew.stop()
    async with asyncio.timeout(10.0):
        while alive(child):
            await asyncio.sleep(0.01)


async def test_processes_bear_the_mark_and_the_environment_they_were_given(crew: Crew) -> None:
    code = f"import os; print(os.environ['{MARK}'], os.environ['DEMO_X'], flush=True); {SLEEP}"
    await crew.start("marked", "-c", code, environ={"DEMO_X": "7"})
    mark, given = (await said(crew, "marked")).split()
    assert given == "7"
    assert len(list(bearing(mark))) == 1
    assert os.getpid() not in bearing(mark)


async def test_a_crash_shows_the_last_words(crew: Crew) -> None:
    await crew.start("loser", "-c", "raise SystemExit('no such file')")
    with pytest.raises(Crashed, match=r"(?s)loser ended with code 1:.*no such file"):
        await crew.ready("loser", "http://127.0.0.1:9/")


async def test_waiting_for_readiness_has_an_end(crew: Crew) -> None:
    await crew.start("sleeper", "-c", SLEEP)
    with pytest.raises(Crashed, match="not ready after 0 s"):
        await crew.ready("sleeper", "http://127.0.0.1:9/", within=0.2)


async def test_a_server_becomes_ready(crew: Crew) -> None:
    (port,) = free_ports(1)
    await crew.start("server", "-m", "router.demo.server", "--port", str(port))
    await crew.ready("server", f"http://127.0.0.1:{port}/v2/health/ready")
