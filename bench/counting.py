"""How a load process of ours tells what it has done: each line on its input is answered with its counts, as JSON.

So the counts and the CPU time of the proxy are read at the same moments, and what comes before and after them does not
count.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from bench.processes import pinned


def tell(counts: Callable[[], dict[str, float]]) -> None:
    """Answers until the input is closed. Blocks."""
    for _ in sys.stdin:
        print(json.dumps(counts()), flush=True)


class Counting:
    """The other end: a load process to be asked."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def counts(self) -> dict[str, float]:
        """What it has done so far. Raises RuntimeError when it is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load ended with {self._process.wait()}")
        counts: dict[str, float] = json.loads(line)
        return counts


@contextmanager
def counting(module: str, *arguments: object, core: int) -> Iterator[Counting]:
    """`python -m MODULE load ARGUMENTS`, on that core, until the end of the block."""
    command = pinned([sys.executable, "-m", module, "load", *map(str, arguments)], {core})
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Counting(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
