import json
import os
import signal
import subprocess
import sys
from typing import Any

from click.testing import CliRunner

from router.cli import main

COUNTS = {
    "requests": 950, "errors": 1, "in_flight": 0, "p50": 0.0031, "p95": None,
    "shadow_requests": 40, "shadow_errors": 0, "agreement": 0.9312,
}  # fmt: skip
EVENT = {
    "id": 3, "deployment": "loan", "when": 1700000000.0, "who": "anna", "what": "rollback", "why": "wrong",
    "phase_before": "progressing", "phase": "rolled_back", "share": 0.0, "generation": 4,
}  # fmt: skip
LOAN = {
    "name": "loan", "pattern": "canary", "phase": "progressing", "step": 1, "steps": 4,
    "shares": {"v1": 0.95, "v2": 0.05}, "evidence": {"v1": COUNTS}, "events": [EVENT],
    "waits_for": "the hold: 3m left",
}  # fmt: skip
FINE = {"digest": "abc", "loaded_at": 1.0, "error": None, "failed_at": None}


def prepare(stub: Any, error: str | None = None) -> None:
    stub.answer("GET /api/v1/config", {"status": FINE | {"error": error}})
    stub.answer("GET /api/v1/deployments", {"deployments": [LOAN, LOAN | {"name": "embed"}]})
    stub.answer("GET /api/v1/deployments/loan", LOAN)
    stub.answer("GET /api/v1/deployments/loan/history", {"events": [EVENT]})


def run(stub: Any, *arguments: str) -> tuple[int, str, str]:
    environ = {"COLUMNS": "140"}
    result = CliRunner().invoke(main, [*arguments, "--admin", stub.url], env=environ)
    return result.exit_code, result.stdout, result.stderr


def test_status_has_a_row_for_every_version(stub: Any) -> None:
    prepare(stub)
    code, out, err = run(stub, "status")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    v1 = ["v1", "95", "%", "950", "1", "3.1", "-", "40", "93.12", "%"]
    assert ["loan", "canary", "progressing", "2/4", *v1] in rows
    assert ["v2", "5", "%", "0", "0", "-", "-", "0", "-"] in rows
    assert ["embed", "canary", "progressing", "2/4", *v1] in rows
    assert "rollback" not in out


def test_status_of_one_shows_its_last_events(stub: Any) -> None:
    prepare(stub)
    code, out, _ = run(stub, "status", "loan")
    assert code == 0
    assert "embed" not in out
    assert "waits for the hold: 3m left" in out
    assert "anna" in out
    assert "wrong" in out


def test_a_refused_configuration_stands_at_the_top(stub: Any) -> None:
    prepare(stub, error="router.yaml:3: deployments: unknown key")
    lines = run(stub, "status")[1].splitlines()
    assert lines[0].startswith("The configuration on disk is refused")
    assert lines[1] == "router.yaml:3: deployments: unknown key"


def test_status_as_json(stub: Any) -> None:
    prepare(stub)
    answer = json.loads(run(stub, "status", "loan", "--json")[1])
    assert answer == {"config": FINE, "deployments": [LOAN]}


def test_an_unknown_deployment_is_said_to_be_so(stub: Any) -> None:
    stub.answer(
        "GET /api/v1/deployments/lone", {"detail": "no deployment is called 'lone'; there is loan"}, 404
    )
    code, out, err = run(stub, "status", "lone")
    assert (code, out) == (1, "")
    assert err.endswith("404 no deployment is called 'lone'; there is loan\n")


def test_history_tells_when_who_what_and_why(stub: Any) -> None:
    prepare(stub)
    code, out, _ = run(stub, "history", "loan", "--limit", "7")
    assert code == 0
    for told in ("2023-11-1", "anna", "rollback", "rolled_back", "0 %", "wrong"):
        assert told in out
    assert stub.asked[-1][1] == "/api/v1/deployments/loan/history?limit=7"


def test_watch_looks_again_until_interrupted(stub: Any) -> None:
    prepare(stub)
    command = [sys.executable, "-m", "router.cli", "status", "--watch", "--json", "--admin", stub.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        looks = [json.loads(process.stdout.readline()) for _ in range(2)]
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(5.0) == 0
        assert process.stderr.read() == ""
    assert looks[0] == looks[1]
    assert looks[0]["deployments"][1]["name"] == "embed"
