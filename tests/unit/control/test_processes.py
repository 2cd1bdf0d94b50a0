"""Processes, with and without the kernel's pidfd."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from router.control.processes import Child, Stranger

Start = Callable[..., Child]


@pytest.fixture(params=["pidfd", "polling"])
def start(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a child that runs some Python; ends it with the test."""
    if request.param == "polling":
        monkeypatch.delattr(os, "pidfd_open")
    children: list[Child] = []

    def start(code: str, *fds: int) -> Child:
        children.append(Child((sys.executable, "-c", code), fds))
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child._popen.wait()


async def ends(child: Child | Stranger) -> str:
    return await asyncio.wait_for(child.wait(), 10)


async def test_how_it_ended_is_told(start: Start) -> None:
    assert await ends(start("raise SystemExit(7)")) == "exit status 7"
    sleeping = start("import time; time.sleep(60)")
    sleeping.kill()
    assert await ends(sleeping) == "killed by SIGKILL"
    sleeping.kill()


async def test_a_child_has_its_descriptors_and_no_terminal_signals(start: Start) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        fd = theirs.fileno()
        child = start(f"import os; os.write({fd}, b'%d %d' % (os.getsid(0), os.getpid()))", fd)
        assert await ends(child) == "exit status 0"
        session, pid = ours.recv(100).split()
        assert session == pid
        assert int(pid) == child.pid


def test_standard_output_is_not_passed_on() -> None:
    code = "from router.control.processes import Child; Child(('echo', 'hello'), ())._popen.wait()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "hello\n")


LISTEN = "import socket,time; s=socket.socket(socket.AF_UNIX); s.bind({path!r}); s.listen(); time.sleep(60)"


async def meet(path: str) -> Stranger:
    """The stranger that listens at a path, as soon as it does."""
    async with asyncio.timeout(10):
        while True:
            with socket.socket(socket.AF_UNIX) as peer:
                try:
                    peer.connect(path)
                except OSError:
                    await asyncio.sleep(0.01)
                else:
                    return Stranger(peer)


async def test_a_stranger_is_known_by_its_socket(
    start: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = str(tmp_path_factory.mktemp("s") / "s")
    child = start(LISTEN.format(path=path))
    stranger = await meet(path)
    assert stranger.pid == child.pid
    waiting = asyncio.gather(ends(stranger), ends(child))
    stranger.kill()
    assert "unknown" in (await waiting)[0]
    stranger.kill()


async def test_a_stranger_can_be_ended_without_a_loop(
    start: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = str(tmp_path_factory.mktemp("s") / "s")
    child = start(LISTEN.format(path=path))
    stranger = await meet(path)
    os.kill(child.pid, signal.SIGSTOP)
    await asyncio.to_thread(stranger.end, 5.0)
    assert await ends(child) == "killed by SIGKILL"
