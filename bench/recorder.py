"""The recorder on one core: pairs a second that come over a real Unix socket, are compared, and go to real files.

    python -m bench recorder

The frames are made beforehand and sent as a worker sends them; the sender keeps a bounded number of pairs in
flight, so that nothing is dropped and the rate is that of the recorder alone.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from router.channel import (
    Drain,
    FrameReader,
    Half,
    RecorderSettings,
    RecorderTally,
    encode,
)

RECORDER_CORE = 1
SENDER_CORE = 0

_WINDOW = 4000
"""Pairs in flight."""

_CHUNK = 50
"""Pairs in one write."""

_MARK = b"0" * 12
"""Stands in the frames where the number of the exchange goes."""


@dataclass(frozen=True)
class Case:
    """What is recorded: the settings of the deployment, numbers in a tensor, and whether the answers differ."""

    name: str
    numbers: int
    settings: dict[str, object]
    differs: bool = False


CASES = (
    Case("small JSON", 4, {}),
    Case("small JSON, every answer differs", 4, {}, differs=True),
    Case("small JSON, redacted", 4, {"redact": {"request": ["/inputs/0/data/0"]}}),
    Case("JSON of 6 KB", 500, {}),
)


def main(arguments: argparse.Namespace) -> None:
    """Measures every case `rounds` times and shows the rates and the CPU time of a pair."""
    console = Console(width=120)
    table = Table(title=f"recorder on one core, {arguments.rounds} rounds")
    for column in ("case", "bytes a pair", "pairs/s (min-median-max)", "CPU µs a pair"):
        table.add_column(column, justify="left" if column == "case" else "right")
    for case in CASES:
        rounds = sorted(_measure(case, arguments.seconds) for _ in range(arguments.rounds))
        rates, costs = [rate for rate, _ in rounds], sorted(cost for _, cost in rounds)
        middle = len(rounds) // 2
        table.add_row(
            case.name,
            f"{len(b''.join(_frames(case))):,}",
            f"{rates[0]:,.0f}-{rates[middle]:,.0f}-{rates[-1]:,.0f}",
            f"{costs[middle]:.0f}",
        )
    console.print(table)


def _measure(case: Case, seconds: float) -> tuple[float, float]:
    """Pairs a second, and microseconds of CPU a pair, in a run of about so many seconds."""
    with tempfile.TemporaryDirectory() as name, _recorder(Path(name), case) as recorder:
        recorder.work(seconds=0.5)
        cpu, pairs, began = recorder.cpu(), recorder.written, time.perf_counter()
        recorder.work(seconds=seconds)
        took = time.perf_counter() - began
        done = recorder.written - pairs
        return done / took, (recorder.cpu() - cpu) / done * 1e6


class _Recorder:
    """A running recorder, and a worker's and a controller's ends of its sockets."""

    def __init__(self, process: "subprocess.Popen[bytes]", channel: socket.socket, case: Case) -> None:
        self.written = 0
        self._process = process
        self._channel = channel
        self._frames = FrameReader()
        self._template = b"".join(_frames(case))
        self._sent = 0
        self.worker = socket.socket(socket.AF_UNIX)

    def work(self, seconds: float) -> None:
        """Sends for so long, and returns when everything sent is written."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            if self._sent - self.written < _WINDOW:
                self.worker.sendall(b"".join(self._next() for _ in range(_CHUNK)))
                self._read(self._channel, wait=False)
            else:
                self._read(self._channel, wait=True)
        while self.written < self._sent:
            self._read(self._channel, wait=True)

    def cpu(self) -> float:
        """Seconds of CPU the process has used, all threads."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def _next(self) -> bytes:
        self._sent += 1
        return self._template.replace(_MARK, b"%012d" % self._sent)

    def _read(self, channel: socket.socket, *, wait: bool) -> None:
        self._discard()
        channel.settimeout(30.0 if wait else 0.0)
        try:
            data = channel.recv(1 << 16)
        except BlockingIOError:
            return
        for frame in self._frames.feed(data):
            if isinstance(frame, RecorderTally):
                if frame.dropped:
                    sys.exit(f"bench: the recorder dropped captures: {frame.dropped}")
                self.written = sum(sum(pair.verdicts.values()) for pair in frame.pairs if not pair.slice)

    def _discard(self) -> None:
        """What it says to the worker."""
        self.worker.setblocking(False)
        try:
            while self.worker.recv(1 << 16):
                pass
        except BlockingIOError:
            pass
        self.worker.settimeout(30.0)


@contextmanager
def _recorder(root: Path, case: Case) -> Iterator[_Recorder]:
    ours, theirs = socket.socketpair()
    path = root / "recorder.sock"
    command = ["taskset", "-c", str(RECORDER_CORE), sys.executable, "-m", "router.recorder"]
    with theirs:
        command += ["--channel", str(theirs.fileno()), "--listen", str(path)]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
    os.sched_setaffinity(0, {SENDER_CORE})
    try:
        settings = json.dumps(case.settings).encode()
        ours.sendall(
            encode(RecorderSettings(str(root / "pairs"), 128 << 20, 3600.0, 86400.0, {"loan": settings}))
        )
        recorder = _Recorder(process, ours, case)
        while not path.exists():
            time.sleep(0.01)
        recorder.worker.connect(str(path))
        yield recorder
        recorder.worker.close()
        ours.sendall(encode(Drain(5.0)))
        process.wait(10)
    finally:
        process.kill()
        process.wait()
        ours.close()


def _frames(case: Case) -> tuple[bytes, bytes]:
    """The two halves of a pair: an Open Inference Protocol request and its two answers."""
    numbers = [round(0.1 + index / 7, 6) for index in range(case.numbers)]
    tensor = {"name": "x", "shape": [1, case.numbers], "datatype": "FP32", "data": numbers}
    other = {**tensor, "data": [number + 1 for number in numbers]} if case.differs else tensor
    common = (b"id-%b" % _MARK, time.time(), "loan", 3, 1)
    body = _dump({"inputs": [tensor]})
    asked = (
        b"POST /v2/models/loan/infer HTTP/1.1\r\nHost: models.example.com\r\nUser-Agent: bench\r\n"
        + _head(body)
    )
    primary = replace(
        Half(_MARK, *common, *_answer("v1", tensor)),
        asked=asked,
        asked_body=body,
        asked_size=len(body),
        copies=("v2",),
    )
    return encode(primary), encode(Half(_MARK, *common, *_answer("v2", other)))


def _answer(version: str, tensor: object) -> tuple[Any, ...]:
    body = _dump({"model_name": "loan", "model_version": version, "id": _MARK.decode(), "outputs": [tensor]})
    return version, f"http://{version}.test", 200, _head(body), body, len(body), False, 0.002, 0.001


def _dump(value: object) -> bytes:
    return json.dumps(value).encode()


def _head(body: bytes) -> bytes:
    return b"Content-Type: application/json\r\nContent-Length: %d\r\nX-Request-Id: id-%b" % (len(body), _MARK)
