"""The load: wrk with a small inference request, and what it reports."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw; latencies in ms."""

    requests: int
    seconds: float
    p50: float
    p99: float
    errors: int


def missing() -> str:
    """How to get the load generator, empty when it is there."""
    return "" if shutil.which("wrk") else "apt-get install wrk"


def run(port: int, *, connections: int, seconds: int, core: int) -> Load:
    """Drives a proxy on loopback for `seconds`."""
    script = Path(__file__).with_name("post.lua")
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    command += ["-s", str(script), f"http://127.0.0.1:{port}/"]
    text = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
    total = re.search(r"(\d+) requests in ([\d.]+)(\w+)", text)
    if total is None:
        raise RuntimeError(f"wrk said: {text}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors = int(bad[1]) if bad else 0
    errors += sum(int(count) for count in broken.groups()) if broken else 0
    return Load(
        int(total[1]),
        float(total[2]) * _UNITS[total[3]] / 1e3 if total[3] in _UNITS else float(seconds),
        _latency(text, "50%"),
        _latency(text, "99%"),
        errors,
    )


def _latency(text: str, quantile: str) -> float:
    found = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s)", text)
    return float(found[1]) * _UNITS[found[2]] if found else 0.0
