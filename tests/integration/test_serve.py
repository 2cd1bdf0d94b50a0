"""`router serve` as a process: how it starts, changes, fails and ends, with its real workers."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from router import serve as serving
from router.serve import Named, usable_cpus
from tests.support.ports import free_ports

PATIENCE = 30.0
"""Seconds for whatever must happen at all: a fault, not a measure."""

START = """
import sys
from pathlib import Path
from router.serve import serve
{before}
serve(Path(sys.argv[1]))
"""
CRASH = """
import asyncio
from router.control.plane import ControlPlane
async def tick(self):
    await asyncio.sleep(0.1)
    raise KeyError("boom")
ControlPlane._tick = tick
"""
TRIP = """
from router.control import plane
def load(path, *more, load=plane.load, **named):
    if "BOOM" in path.read_text():
        raise KeyError("boom")
    return load(path, *more, **named)
plane.load = load
"""
REFUSE = """
from router.control.plane import ControlPlane
from router.errors import RouterError
async def start(self, sockets):
    raise RouterError("no such luck")
ControlPlane.start = start
"""
CONFIG = """
listen: 127.0.0.1:{port}
workers: 2
admin: {{listen: 127.0.0.1:{admin}}}
state: {{path: {path}/db}}
pairs: {{path: {path}/pairs}}
deployments:
  d:
    match: {{path: /d/**}}
    versions: {{v1: {{url: "http://127.0.0.1:1"}}}}
"""


class Router:
    """A configuration, and the processes started with it one after another."""

    def __init__(self, path: Path) -> None:
        self.file = path / "router.yaml"
        self.port, self.admin_port = free_ports(2)
        self.text = CONFIG.format(port=self.port, admin=self.admin_port, path=path)
        self.file.write_text(self.text)
        self.log = path / "log"
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, before: str = "pass") -> "subprocess.Popen[str]":
        code = START.format(before=before)
        with self.log.open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", code, str(self.file)], stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.processes.append(process)
        return process

    def ready(self, before: str = "pass") -> "subprocess.Popen[str]":
        """Started, and serving."""
        process = self.start(before)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert re.fullmatch(
            rf"router \S+ is ready: 127\.0\.0\.1:{self.port} \(workers: 2\), "
            rf"admin http://127\.0\.0\.1:{self.admin_port}\n",
            line,
        ), self.log.read_text()
        return process

    def ask(self) -> int:
        """Status of a request no deployment answers: 404, from the router itself."""
        return get(self.port, "/")[0]

    def admin(self, path: str) -> tuple[int, str]:
        return get(self.admin_port, path)

    def metric(self, name: str) -> float:
        (line,) = re.findall(rf"^{re.escape(name)} (\S+)$", self.admin("/metrics")[1], re.MULTILINE)
        return float(line)

    def clean_up(self) -> None:
        """Also what a killed controller left: the next one takes it over, and stops it."""
        for process in self.processes:
            process.terminate()
            process.wait(PATIENCE)
        if any(self.file.parent.glob("db.run/worker*")):
            self.file.write_text(self.text)
            last = self.ready()
            last.terminate()
            last.wait(PATIENCE)
        for started in self.processes:
            if started.stdout is not None:
                started.stdout.close()


def get(port: int, path: str) -> tuple[int, str]:
    """Status and body, over a connection of its own."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Router]:
    router = Router(tmp_path)
    yield router
    router.clean_up()


def eventually(condition: Callable[[], bool], within: float = PATIENCE) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_it_starts_serves_and_stops_without_a_trace(router: Router, tmp_path: Path) -> None:
    process = router.ready()
    assert router.ask() == 404
    assert router.admin("/readyz")[0] == 200
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert list((tmp_path / "db.run").iterdir()) == []
    assert "Traceback" not in router.log.read_text()
    with pytest.raises(ConnectionRefusedError):
        router.ask()


def test_edits_take_effect_and_bad_ones_show(router: Router) -> None:
    process = router.ready()
    router.file.write_text(router.text.replace("/d/**", "/e/**").replace("workers: 2", "workers: 1"))
    eventually(lambda: router.metric("router_generation") == 2)
    eventually(lambda: "workers changed: this needs a restart" in router.log.read_text())
    assert router.metric('router_workers{state="serving"}') == 2
    router.file.write_text(router.text.replace("match:", "mtach:"))
    eventually(lambda: router.metric("router_config_reload_successful") == 0)
    assert "did you mean `match`?" in router.log.read_text()
    router.file.write_text(router.text)
    eventually(lambda: router.metric("router_config_reload_successful") == 1)
    before = router.metric("router_config_reload_timestamp_seconds")
    process.send_signal(signal.SIGHUP)
    eventually(lambda: router.metric("router_config_reload_timestamp_seconds") > before)


def ignored(pid: int) -> set[int]:
    """The signals that a process ignores."""
    (mask,) = re.findall(r"^SigIgn:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return {number for number in range(1, 65) if int(mask, 16) >> number - 1 & 1}


def test_signals_for_the_controller_hurt_nobody_else(router: Router) -> None:
    """As `pkill -HUP -f router` sends them, or `systemctl kill`: to all."""
    process = router.ready()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    others = [int(pid) for pid in children.read_text().split()]
    assert len(others) == 3
    # The recorder may be starting still.
    eventually(lambda: all(signal.SIGHUP in ignored(pid) for pid in others))
    before = router.metric("router_config_reload_timestamp_seconds")
    for number in (signal.SIGUSR1, signal.SIGHUP):
        for pid in (*others, process.pid):
            os.kill(pid, number)
    eventually(lambda: router.metric("router_config_reload_timestamp_seconds") > before)
    for pid in others:
        os.kill(pid, signal.SIGUSR2)
    assert router.ask() == 404
    before = router.metric("router_config_reload_timestamp_seconds")
    process.send_signal(signal.SIGHUP)
    eventually(lambda: router.metric("router_config_reload_timestamp_seconds") > before)
    assert [int(pid) for pid in children.read_text().split()] == others
    assert router.metric("router_worker_restarts_total") == 0


def test_a_file_that_trips_the_program_itself_is_refused_like_any_other(router: Router) -> None:
    router.ready(TRIP)
    router.file.write_text(router.text + "# BOOM\n")
    eventually(lambda: router.metric("router_config_reload_successful") == 0)
    assert "KeyError: 'boom'" in router.log.read_text()
    assert router.ask() == 404
    router.file.write_text(router.text)
    eventually(lambda: router.metric("router_config_reload_successful") == 1)


def test_a_bad_configuration_does_not_start(router: Router) -> None:
    router.file.write_text("deployments: {}\n")
    assert router.start().wait(PATIENCE) == 2
    assert "deployments" in router.log.read_text()


def test_a_second_router_on_the_same_state_is_refused_and_harms_nobody(router: Router) -> None:
    router.ready()
    assert router.start().wait(PATIENCE) == 1
    assert "belongs to a router that is running" in router.log.read_text()
    assert router.ask() == 404
    assert router.metric("router_worker_restarts_total") == 0


@pytest.mark.parametrize("which", ["port", "admin_port"])
def test_a_port_in_use_ends_the_start_and_leaves_no_process(
    router: Router, tmp_path: Path, which: str
) -> None:
    with socket.create_server(("127.0.0.1", getattr(router, which))):
        assert router.start().wait(PATIENCE) == 1
    assert f"listen 127.0.0.1:{getattr(router, which)}: Address already in use" in router.log.read_text()
    assert list((tmp_path / "db.run").glob("worker-*")) == []


def test_a_start_that_fails_late_leaves_no_process_either(router: Router, tmp_path: Path) -> None:
    assert router.start(REFUSE).wait(PATIENCE) == 1
    log = router.log.read_text()
    assert "no such luck" in log
    assert "Traceback" not in log
    assert list((tmp_path / "db.run").glob("worker-*")) == []


@pytest.mark.slow
def test_a_start_that_fails_late_leaves_orphans_serving(router: Router) -> None:
    first = router.ready()
    first.kill()
    first.wait()
    assert router.start(REFUSE).wait(PATIENCE) == 1
    assert {router.ask() for _ in range(10)} == {404}


def test_told_to_stop_before_it_is_ready_it_stops(router: Router, tmp_path: Path) -> None:
    process = router.start()
    eventually((tmp_path / "db.run").exists)
    while process.poll() is None and not list((tmp_path / "db.run").iterdir()):
        time.sleep(0.001)
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert list((tmp_path / "db.run").iterdir()) == []


def test_workers_outlive_a_killed_controller_and_are_taken_over(router: Router) -> None:
    first = router.ready()
    first.kill()
    first.wait()
    assert {router.ask() for _ in range(10)} == {404}
    router.ready()
    assert {router.ask() for _ in range(10)} == {404}
    assert router.metric("router_generation") >= 2
    eventually(lambda: router.metric('router_workers{state="draining"}') == 0)


def test_a_failing_task_ends_the_controller_but_not_the_service(router: Router) -> None:
    failing = router.ready(CRASH)
    assert failing.wait(PATIENCE) == 1
    log = router.log.read_text()
    assert "workers serve on until the next controller takes over" in log
    assert "boom" in log
    assert {router.ask() for _ in range(10)} == {404}


def test_a_second_signal_does_not_wait_for_requests_in_flight(router: Router) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        router.file.write_text(router.text.replace('127.0.0.1:1"', f'127.0.0.1:{silent.getsockname()[1]}"'))
        process = router.ready()
        with socket.create_connection(("127.0.0.1", router.port)) as client:
            client.sendall(b"GET /d/x HTTP/1.1\r\nhost: a\r\n\r\n")
            silent.settimeout(10)
            upstream, _ = silent.accept()
            with upstream:
                process.send_signal(signal.SIGINT)
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(0.5)
                process.send_signal(signal.SIGINT)
                assert process.wait(10) == 0, "not the thirty seconds of the first"


@pytest.mark.parametrize(
    ("quota", "cpus"), [("max 100000", 4), ("200000 100000", 2), ("10000 100000", 1), ("nonsense", 4)]
)
def test_usable_cpus_heed_affinity_and_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cpus: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(serving, "_QUOTA", tmp_path / "cpu.max")
    (tmp_path / "cpu.max").write_text(quota)
    assert usable_cpus() == cpus
    monkeypatch.setattr(serving, "_QUOTA", tmp_path / "absent")
    assert usable_cpus() == 4


def test_what_was_asked_for_by_name_is_kept_from_others() -> None:
    named = Named({"PATH": "/bin", "TOKEN": "secret", "UNUSED": "x"})
    assert (named["TOKEN"], named.get("ABSENT", "default")) == ("secret", "default")
    assert named.others() == {"PATH": "/bin", "UNUSED": "x"}
