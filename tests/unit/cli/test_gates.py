"""How rulings look."""

from typing import Any

import pytest
from rich.console import Console

from router.cli.gates import gates_table
from router.rollout.verdict import Verdict


def shown(**ruling: Any) -> str:
    console = Console(width=80)
    base = {"gate": "latency", "verdict": "pass", "hold": False, "why": "p95 9 ms"}
    with console.capture() as capture:
        console.print(gates_table([base | ruling]))
    return capture.get().rstrip()


@pytest.mark.parametrize("verdict", list(Verdict))
def test_gate_verdict_and_why(verdict: Verdict) -> None:
    assert shown(verdict=verdict.value) == f"latency  {verdict.value}  p95 9 ms"


def test_a_gate_that_holds_without_failing_says_so() -> None:
    assert shown(verdict="inconclusive", hold=True) == "latency  inconclusive (holds)  p95 9 ms"
    assert shown(verdict="fail", hold=True) == "latency  fail  p95 9 ms"


def test_what_a_webhook_said_cannot_steer_the_terminal() -> None:
    assert shown(why="all\r\n\x1b[31mfine") == "latency  pass  all [31mfine"
