"""The load of small requests: wrk, and what it reports."""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.peers import INFER
from bench.processes import pinned

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}
"""In ms."""


@dataclass(frozen=True)
class Asked:
    """What wrk asks for. `deployments`: how many there are to fill in for %d of the path, one after the other;
    `pause`: ms between an answer and the next request on its connection."""

    port: int
    path: str = INFER
    connections: int = 32
    deployments: int = 1
    pause: int = 0


@dataclass(frozen=True)
class Seen:
    """What one run saw; latencies in ms."""

    requests: int
    seconds: float
    p50: float
    p99: float
    errors: int


def missing() -> str:
    """How to get the load generator, empty when it is there."""
    return "" if shutil.which("wrk") else "apt-get install wrk"


def command(asked: Asked, *, seconds: int, core: int) -> list[str]:
    """wrk with one thread on that core."""
    script = str(Path(__file__).with_name("post.lua"))
    words = [
        "wrk",
        "-t1",
        f"-c{asked.connections}",
        f"-d{seconds}s",
        "--timeout",
        "10s",
        "--latency",
        "-s",
        script,
    ]
    words += [f"http://127.0.0.1:{asked.port}/", "--", asked.path, str(asked.deployments), str(asked.pause)]
    return pinned(words, {core})


def run(asked: Asked, *, seconds: int, core: int) -> Seen:
    """Drives a proxy on loopback for `seconds`."""
    words = command(asked, seconds=seconds, core=core)
    return parse(
        subprocess.run(words, capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
    )


class Background:
    """A run that goes on beside what is measured. `seen` is there after the block."""

    seen: Seen


@contextmanager
def background(asked: Asked, *, most: int, core: int) -> Iterator[Background]:
    """Load until the end of the block, and for `most` seconds at most."""
    found = Background()
    process = subprocess.Popen(command(asked, seconds=most, core=core), stdout=subprocess.PIPE, text=True)
    try:
        yield found
        process.send_signal(signal.SIGINT)  # wrk ends early, with its report
        found.seen = parse(process.communicate(timeout=30)[0])
    finally:
        process.kill()
        process.wait()


def parse(text: str) -> Seen:
    """wrk's report. Raises ValueError where it has no total."""
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m|h),", text)
    if total is None:
        raise ValueError(f"wrk said: {text.strip()[-300:]}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors = int(bad[1]) if bad else 0
    errors += sum(map(int, broken.groups())) if broken else 0
    seconds = float(total[2]) * _UNITS[total[3]] / 1e3
    return Seen(int(total[1]), seconds, _latency(text, "50%"), _latency(text, "99%"), errors)


def _latency(text: str, quantile: str) -> float:
    found = re.search(rf"^\s*{quantile}\s+([\d.]+)(us|ms|s|m)\s*$", text, re.MULTILINE)
    return float(found[1]) * _UNITS[found[2]] if found else 0.0
