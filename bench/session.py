"""What every scenario works with: the effort, the cores, upstreams and peers that are started, and rounds in turn."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bench.machine import Cores
from bench.peers import Peer, free_port
from bench.processes import Running, pinned, running, started, wait_for_port
from bench.results import Row, Sample


@dataclass(frozen=True)
class Effort:
    """How thoroughly: rounds, and seconds of each measurement, in all scenarios.

    `streams` and `sizes` (bytes) are the cases of the scenarios with streams and bodies; `without` are scenarios that
    run only where they are named. After `hurry` seconds of a run each scenario makes do with one round, so that a busy
    machine does not make the run much longer.
    """

    name: str
    rounds: int
    seconds: int
    single: int
    streams: tuple[int, ...]
    sizes: tuple[int, ...]
    rollbacks: int
    starts: int
    without: tuple[str, ...] = ()
    hurry: float = 3600.0


SMOKE = Effort("smoke", 1, 1, 1, (200,), (1 << 20,), 5, 1)
QUICK = Effort("quick", 3, 1, 1, (1000,), (64 << 20,), 60, 3, without=("connections", "workers"), hurry=220)
FULL = Effort("full", 5, 3, 1, (1000, 5000), (64 << 10, 1 << 20, 64 << 20), 400, 10)


@dataclass
class Session:
    """One run. What is skipped is said at once and kept for the report."""

    effort: Effort
    cores: Cores
    console: Console
    skipped: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """A line of progress."""
        self.console.print(text, style="dim", highlight=False)

    def skip(self, name: str, reason: str) -> None:
        """A proxy is left out, for this reason."""
        line = f"{name} skipped: {reason}"
        self.skipped.append(line)
        self.console.print(line, style="yellow", highlight=False)

    @contextmanager
    def directory(self) -> Iterator[Path]:
        """For the files of peers, gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            yield Path(name)

    @contextmanager
    def upstream(self, *command: str) -> Iterator[int]:
        """The port of a model server of ours, `python -m COMMAND PORT`, on the load's core."""
        port = free_port()
        words = [sys.executable, "-m", *(command or ("bench.upstream",)), str(port)]
        with running(pinned(words, {self.cores.load})) as process:
            wait_for_port(port, process)
            yield port

    def start(self, peers: Iterable[Peer], directory: Path, stack: ExitStack) -> list[Running]:
        """Those that can be had, answering and pinned, until the stack is closed."""
        found = []
        for peer in peers:
            if not peer.command[0]:
                self.skip(peer.name, f"not installed ({peer.missing})")
                continue
            try:
                found.append(stack.enter_context(started(peer, directory, self.cores)))
            except (RuntimeError, OSError) as error:
                self.skip(peer.name, str(error))
        return found

    def rounds(self, what: str) -> Iterator[int]:
        """Their numbers, from 0, as many as there is time for; the first in any case."""
        for number in range(self.effort.rounds):
            if number and time.monotonic() - self.began > self.effort.hurry:
                return
            self.say(f"{what}: round {number + 1} of {self.effort.rounds}")
            yield number

    def in_turn(self, what: str, proxies: list[Running], sample: Callable[[Running], Sample]) -> list[Row]:
        """Each of them once a round, so that a drift of the machine meets all alike."""
        rows = [Row(proxy.peer.name, [], proxy.peer.note) for proxy in proxies]
        for _ in self.rounds(what):
            for row, proxy in zip(rows, proxies, strict=True):
                row.samples.append(sample(proxy))
        return rows
