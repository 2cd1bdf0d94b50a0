"""Processes that are measured: started, pinned, their CPU time and memory read from /proc, ended by their pid."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

from bench.machine import Cores
from bench.peers import Peer

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Running:
    """A started peer. What is counted are the processes on the path of a request: of ours the workers."""

    def __init__(self, peer: Peer, pid: int) -> None:
        self.peer = peer
        self.pid = pid
        found = tree(pid)
        self.path = [each for each in found if peer.counted in command_line(each)] or found
        self.beside = [each for each in found if each not in self.path]

    def pin(self, cores: Cores) -> None:
        """The path of a request to the proxy's cores, all else to that of the load."""
        for pid in self.path:
            pin(pid, cores.for_workers(len(self.path)))
        for pid in self.beside:
            pin(pid, {cores.load})

    def cpu(self) -> float:
        """Seconds of user and system time of the processes on the path so far."""
        return sum(map(cpu, self.path))

    def cpu_beside(self) -> float:
        """The same of the others (of ours: controller and recorder)."""
        return sum(map(cpu, self.beside))

    def rss(self) -> float:
        """MiB of resident memory on the path."""
        return sum(map(rss, self.path))


def cpu(pid: int) -> float:
    """Seconds of CPU, user and system, of all threads.

    From the scheduler's account in nanoseconds; where the kernel keeps none, from the ticks (mostly of 10 ms).
    """
    spent = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # a thread that has just ended
            spent += int((task / "schedstat").read_text().split()[0])
    if spent:
        return spent / 1e9
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss(pid: int) -> float:
    """MiB of resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / (1 << 20)


def command_line(pid: int) -> str:
    """With blanks between the arguments; empty when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def tree(pid: int) -> list[int]:
    """A process and all that it started and that runs."""
    found, open_pids = [], [pid]
    while open_pids:
        current = open_pids.pop()
        found.append(current)
        for task in Path(f"/proc/{current}/task").glob("*/children"):
            with suppress(OSError):
                open_pids += [int(child) for child in task.read_text().split()]
    return found


def pin(pid: int, cores: set[int]) -> None:
    """All threads that the process has, and those they will start."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), cores)


@contextmanager
def started(peer: Peer, directory: Path, cores: Cores) -> Iterator[Running]:
    """The peer, answering; ended by its pid afterwards.

    It starts on its own core, so that what sizes itself by the cores it sees has one thread. Raises RuntimeError with
    the end of its log when it does not get to answer.
    """
    for name, text in peer.files.items():
        (directory / name).write_text(text)
    log = directory / f"{peer.name}.out"
    command = [*peer.command] if peer.counted else pinned(peer.command, cores.for_workers(1))
    with running(command, log) as process:
        wait_for_answer(peer, process, log)
        found = Running(peer, process.pid)
        if peer.pinned:
            found.pin(cores)
        yield found


def pinned(command: tuple[str, ...] | list[str], cores: set[int]) -> list[str]:
    """The command on these cores from its first instruction."""
    return ["taskset", "-c", ",".join(map(str, sorted(cores))), *command]


@contextmanager
def running(command: list[str], log: Path | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """A process in a session of its own; told to end afterwards, and made to after 15 s."""
    with open(log or os.devnull, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        try:
            yield process
        finally:
            end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """SIGTERM, and 15 s later SIGKILL."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for_answer(peer: Peer, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until the peer answers a request for its path with 200; 20 s at most."""
    status: object = "nothing"
    for _ in range(400):
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}: {_last_of(log)}")
        with suppress(OSError):
            status = _status(peer.port, peer.path)
            if status == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"its answer is {status} after 20 s: {_last_of(log)}")


def _status(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        body = '{"model":"m","prompt":"x"}'
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def _last_of(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1][-200:] if lines else "it says nothing"


def wait_for_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Until something listens there. Raises RuntimeError when the process ends first, or after 10 s."""
    wanted = f":{port:04X} "
    for _ in range(400):
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}")
        lines = Path("/proc/net/tcp").read_text().splitlines()
        if any(wanted in line and " 0A " in line for line in lines):
            return
        time.sleep(0.025)
    raise RuntimeError(f"nothing listens on {port} after 10 s")
