"""`status --watch`: one screen, no line too long, and nothing moves but what changed."""

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import time
from fcntl import ioctl
from termios import TIOCSWINSZ
from typing import Any

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from router.cli.status import headline, roles
from router.cli.watching import BAR, NO_PULSE, Picture, Shown, bar, spark, stale, urgency
from tests.unit.cli.test_status import LOAN, RULINGS, prepare

PULSE = {
    "versions": {"v1": {"rate": 40.25, "errors": 0.0, "p95": 0.0061}, "v2": {"rate": 2.0, "errors": 0.5, "p95": 1.5}},
    "line": [0.0, 10.0, 20.0, 42.25],
}  # fmt: skip
BUSY = LOAN | {"gates": RULINGS}


def shown(deployment: dict[str, Any], pulse: dict[str, Any]) -> Shown:
    return Shown(deployment, pulse, headline(deployment), roles(deployment))


def lines_of(*each: Shown, width: int = 80, height: int = 40, trouble: str = "") -> list[str]:
    console = Console(width=width, height=height)
    top = [stale(trouble, 12.3)] if trouble else []
    with console.capture() as capture:
        console.print(Picture(top, each))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_one_picture_tells_shares_what_versions_do_and_what_gates_say() -> None:
    lines = lines_of(shown(BUSY, PULSE))
    assert lines[1] == "loan  canary  progressing  step 2 of 4  v2 at 5%, 50% copied"
    assert lines[2].startswith("  " + "█" * 23 + "▒ ")
    assert "v1 95%  v2 5%" in lines[2]
    assert lines[2].endswith("42.2/s                     ▁▃▄█")
    assert [line.split() for line in lines[3:6]] == [
        ["version", "share", "req/s", "errors", "p95", "ms", "agreement"],
        ["v1", "stable", "95%", "40.2", "0.0%", "6.1", "-"],
        ["v2", "candidate", "5%", "2.0", "25.0%", "1500.0", "93.12%"],
    ]
    assert lines[6] == "  waits for the hold: 3m left"
    assert lines[7].startswith("  error_rate  inconclusive (holds)  error ratio 1.1")
    assert lines[7].endswith("…")
    assert lines[8] == "  webhook  error  answered 500 [2J"
    assert lines[9].endswith("rollback by anna: 3 a.m.")


WIDE = BUSY | {
    "shares": {"v" * 60: 0.5, "w" * 60: 0.5}, "waits_for": "x " * 100, "name": "n" * 63,
    "candidates": ["w" * 60],
}  # fmt: skip


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("pulse", [PULSE, NO_PULSE, PULSE | {"line": [1e6] * 300}])
def test_no_line_is_wider_than_the_terminal(width: int, pulse: dict[str, Any]) -> None:
    lines = lines_of(shown(WIDE, pulse), shown(BUSY, pulse), width=width, trouble="no router at " + "h" * 100)
    assert max(map(len, lines)) <= width


@given(st.lists(st.floats(0, 1e6), max_size=100), st.floats(0, 1e5), st.text(max_size=200))
def test_the_height_does_not_depend_on_numbers_and_words(line: list[float], rate: float, why: str) -> None:
    pulse = {"versions": {"v1": {"rate": rate, "errors": rate / 3, "p95": None}}, "line": line}
    words = BUSY | {"waits_for": why, "gates": [ruling | {"why": why} for ruling in RULINGS]}
    lines = lines_of(shown(words, pulse))
    assert len(lines) == len(lines_of(shown(BUSY, PULSE)))
    assert max(map(cell_len, lines)) <= 80


def test_many_deployments_are_shown_in_short_and_what_does_not_fit_is_named() -> None:
    many = [shown(BUSY | {"name": f"d{number}"}, PULSE) for number in range(12)]
    two, seven, twelve = (lines_of(*many[:count], height=24) for count in (2, 7, 12))
    assert sum("waits for" in line for line in two) == 2
    assert [line.split()[0] for line in seven if line.startswith("d")] == [
        f"d{number}" for number in range(7)
    ]
    assert not any("waits for" in line for line in seven)
    three = lines_of(*many[:3], height=24)
    first = [line.split()[0] for line in three if line.startswith(("d", "  waits"))]
    assert first == ["d0", "waits", "d1", "waits", "d2"]
    assert max(map(len, (two, seven, twelve))) <= 24
    assert twelve[-1] == "… and 5 more: router status NAME --watch"


def test_what_somebody_has_to_look_at_comes_first() -> None:
    def ruling(verdict: str, hold: bool = False) -> dict[str, Any]:
        return {"gate": "latency", "verdict": verdict, "hold": hold, "why": ""}

    def at(phase: str, *gates: dict[str, Any]) -> int:
        return urgency(LOAN | {"phase": phase, "gates": list(gates)})

    assert at("rolled_back") == at("progressing", ruling("pass"), ruling("fail")) == 0
    assert at("paused") == at("soaking", ruling("error")) == at("progressing", ruling("pass", hold=True)) == 1
    assert at("steady") == at("progressing", ruling("inconclusive")) == 2


@given(st.lists(st.integers(1, 100), min_size=1, max_size=4))
def test_a_bar_is_as_wide_as_all_of_it_and_shows_who_has_any(weights: list[int]) -> None:
    parts = {str(number): weight / sum(weights) for number, weight in enumerate(weights)}
    drawn = bar(parts).plain
    assert len(drawn) == BAR
    assert bar({"a": 1.0, "b": 0.0}).plain == "█" * BAR
    assert "▒" in bar({"a": 0.9999, "b": 0.0001}).plain


def test_a_line_goes_from_nothing_to_its_top() -> None:
    assert spark([]) == ""
    assert spark([0.0, 0.0]) == "▁▁"
    assert spark([0.0, 7.0, 14.0]) == "▁▅█"
    assert len(spark([1.0] * 300)) == BAR


class Terminal:
    """A terminal of 80 by 24 in which a command runs, as pyte sees it."""

    def __init__(self, *command: str) -> None:
        self.screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._fd, theirs = pty.openpty()
        ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ)
        os.close(theirs)

    def until(self, wanted: str, within: float = 30.0) -> list[str]:
        """Reads until this is on the screen."""
        end = time.monotonic() + within
        while wanted not in "\n".join(self.screen.display):
            assert time.monotonic() < end, "\n".join(self.screen.display)
            self.read(0.1)
        return [line.rstrip() for line in self.screen.display]

    def says(self, wanted: bytes, within: float = 30.0) -> None:
        """Reads until these bytes have come."""
        end = time.monotonic() + within
        while wanted not in self.raw:
            assert time.monotonic() < end, self.raw[-200:]
            self.read(0.1)

    def read(self, seconds: float) -> bytes:
        data = b""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and select.select([self._fd], [], [], left)[0]:
            try:
                data += os.read(self._fd, 65536)
            except OSError:  # the command has ended
                break
        self._stream.feed(data)
        self.raw += data
        return data

    def close(self) -> None:
        self.process.kill()
        self.process.wait(5)
        os.close(self._fd)


def test_nothing_flickers_on_a_real_terminal(stub: Any) -> None:
    prepare(stub, BUSY)

    def rate(now: float) -> None:
        stub.answer("GET /api/v1/trends", {"deployments": {"loan": PULSE | {"line": [now]}}})

    rate(10.0)
    terminal = Terminal(sys.executable, "-m", "router.cli", "status", "--watch", "--admin", stub.url)
    try:
        first = terminal.until("10.0/s")
        before = len(terminal.raw)
        rate(20.0)
        second = terminal.until("20.0/s")
        assert [at for at in range(24) if first[at] != second[at]] == [
            first.index(next(x for x in first if "/s " in x))
        ]
        assert not re.search(rb"\x1b\[[0-3]?[JK]", terminal.raw[before:]), (
            "nothing is erased between two looks"
        )
        stub.answers.clear()
        gone = terminal.until("STALE for")
        assert "404" in gone[0]
        assert gone[1:12] == second[:11], "what was known stays"
        terminal.process.send_signal(signal.SIGINT)
        terminal.says(b"\x1b[?1049l")  # the screen before is back
        assert terminal.process.wait(20) == 0
    finally:
        terminal.close()
