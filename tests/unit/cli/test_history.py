from datetime import datetime
from typing import Any

from click.testing import CliRunner

from router.cli import main

EVENT = {
    "id": 3, "deployment": "loan", "when": 1700000000.0, "who": "anna", "what": "rollback", "why": "3 a.m.",
    "phase_before": "progressing", "phase": "rolled_back", "share": 0.0, "generation": 4,
}  # fmt: skip
CALL = "/api/v1/deployments/loan/history"
WHEN = datetime.fromtimestamp(1700000000.0).strftime("%Y-%m-%d %H:%M:%S")


def run(stub: Any, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["history", "loan", *arguments, "--admin", stub.url])
    return result.exit_code, result.stdout


def test_an_event_is_a_line_with_when_what_where_to_who_and_why(stub: Any) -> None:
    advance = EVENT | {"what": "advance", "phase": "progressing", "share": 0.25, "who": "router", "why": ""}
    stub.answer(f"GET {CALL}", {"events": [EVENT, advance]})
    code, out = run(stub, "--limit", "7")
    assert code == 0
    assert out.splitlines() == [
        f"{WHEN}  rollback  -> rolled_back, 0%   by anna: 3 a.m.",
        f"{WHEN}  advance   -> progressing, 25%  by router",
    ]
    assert stub.asked[-1][1] == f"{CALL}?limit=7"


def test_a_long_reason_is_cut_nowhere_and_can_break_no_line(stub: Any) -> None:
    stub.answer(f"GET {CALL}", {"events": [EVENT | {"why": "so\nlong " * 100}]})
    (line,) = run(stub)[1].splitlines()
    assert line.count("so long") == 100


def test_the_evidence_stands_below_each_event(stub: Any) -> None:
    counts = {
        "requests": 250, "errors": 1, "p95": 0.0061,
        "shadow_requests": 40, "shadow_errors": 0, "shadow_p95": None,
    }  # fmt: skip
    ruling = {"gate": "error_rate", "verdict": "fail", "hold": True, "why": "error ratio 9 [5, 20]"}
    seen = {"evidence": {"v1": counts, "v2": counts | {"requests": 0}}, "gates": [ruling]}
    stub.answer(f"GET {CALL}", {"events": [EVENT | seen, EVENT | {"evidence": {}, "gates": []}]})
    assert run(stub, "--evidence")[1].splitlines() == [
        f"{WHEN}  rollback  -> rolled_back, 0%  by anna: 3 a.m.",
        "    v1  250 requests, 1 error, p95 6.1 ms",
        "    v1  copies 40 requests, 0 errors, p95 - ms",
        "    v2  copies 40 requests, 0 errors, p95 - ms",
        "    error_rate  fail  error ratio 9 [5, 20]",
        f"{WHEN}  rollback  -> rolled_back, 0%  by anna: 3 a.m.",
    ]


def test_before_anything_happened(stub: Any) -> None:
    stub.answer(f"GET {CALL}", {"events": []})
    assert run(stub) == (0, "no events yet\n")
