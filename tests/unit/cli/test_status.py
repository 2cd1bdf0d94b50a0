import json
import os
import signal
import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from router.cli import main
from router.cli.status import NEXT, headline, overview
from router.rollout.phase import Phase, follow

COUNTS = {
    "requests": 9500, "errors": 1, "in_flight": 0, "p50": 0.0031, "p95": None,
    "shadow_requests": 0, "shadow_errors": 0, "shadow_p50": None, "shadow_p95": None, "agreement": None,
}  # fmt: skip
COPIES = {
    "requests": 0, "errors": 0, "in_flight": 0, "p50": None, "p95": None,
    "shadow_requests": 40, "shadow_errors": 2, "shadow_p50": 0.005, "shadow_p95": 0.0061, "agreement": 0.9312,
}  # fmt: skip
EVENT = {
    "id": 3, "deployment": "loan", "when": 1700000000.0, "who": "anna", "what": "rollback", "why": "3 a.m.",
    "phase_before": "progressing", "phase": "rolled_back", "share": 0.0, "generation": 4,
}  # fmt: skip
LOAN: dict[str, Any] = {
    "name": "loan", "pattern": "canary", "phase": "progressing", "step": 1, "steps": 4, "share": 0.05,
    "mirror": 0.5, "trusted": "v1", "candidates": ["v2"], "live": "v1", "shares": {"v1": 0.95, "v2": 0.05},
    "evidence": {"v1": COUNTS, "v2": COPIES}, "events": [EVENT] * 7, "waits_for": "the hold: 3m left",
    "spec": {"rollout": {"stable": "v1", "candidate": "v2"}}, "gates": [],
}  # fmt: skip
BLUE_GREEN = LOAN | {
    "pattern": "blue_green", "phase": "steady", "steps": 0, "step": 0, "share": 0.0, "mirror": 0.0,
    "shares": {"v1": 1.0, "v2": 0.0}, "spec": {"rollout": {"blue": "v1", "green": "v2"}},
}  # fmt: skip
CONFIG: dict[str, Any] = {
    "config": {"workers": 2},
    "status": {"digest": "abc", "loaded_at": 1700000000.0, "error": None},
}
METRICS = """\
router_workers{state="serving"} 2.0
router_journal_persisted 1.0
router_endpoint_healthy{deployment="loan",version="v1",endpoint="http://127.0.0.1:9001"} 1.0
"""


def prepare(
    stub: Any, *deployments: dict[str, Any], error: str | None = None, metrics: str = METRICS
) -> None:
    stub.answer("GET /api/v1/config", CONFIG | {"status": {**CONFIG["status"], "error": error}})
    stub.answer("GET /api/v1/deployments", {"deployments": list(deployments or (LOAN,))})
    stub.answer("GET /api/v1/deployments/loan", LOAN)
    stub.answer("GET /metrics", metrics)


def run(stub: Any, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["status", *arguments, "--admin", stub.url], env={"COLUMNS": "40"})
    return result.exit_code, result.stdout, result.stderr


def lines_of(*deployments: dict[str, Any], width: int = 80, more: str = "") -> list[str]:
    answer = {
        "problems": [],
        "workers": {"serving": 2},
        "config": CONFIG["status"],
        "deployments": deployments,
    }
    console = Console(width=width)
    with console.capture() as capture:
        console.print(overview(answer, more))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_one_look_tells_phase_shares_counts_and_what_it_waits_for(stub: Any) -> None:
    prepare(stub)
    code, out, err = run(stub)
    assert (code, err) == (0, "")
    when = datetime.fromtimestamp(1700000000.0).strftime("%Y-%m-%d %H:%M:%S")
    assert out.splitlines()[:8] == [
        f"2 workers serving, configuration of {when}, no problems",
        "",
        "loan  canary  progressing  step 2 of 4  v2 at 5%, 50% copied",
        "  version             share  requests  errors  p50 ms  p95 ms  agreement",
        "  v1       stable       95%      9500       1     3.1       -",
        "  v2       candidate     5%         0       0       -       -",
        "           copies                  40       2     5.0     6.1     93.12%",
        "  waits for the hold: 3m left",
    ]
    assert out.count("by anna: 3 a.m.") == 5


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_a_terminal_and_nothing_is_cut(width: int) -> None:
    lines = lines_of(LOAN, width=width, more=" --admin http://127.0.0.1:8081")
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    assert any(line.endswith("router rollback loan --admin http://127.0.0.1:8081") for line in lines)


RULINGS = [
    {
        "gate": "error_rate", "verdict": "inconclusive", "hold": True, "wait": 240.0, "numbers": {},
        "why": "error ratio 1.1 [0.6, 2.3] (3 of 250 requests failed, of stable 48 of 4750), must be shown below 2; "
        "about 4m at this traffic",
    },
    {"gate": "webhook", "verdict": "error", "hold": False, "wait": None, "numbers": {}, "why": "answered 500\x1b[2J"},
]  # fmt: skip


def test_the_gates_stand_below_with_their_verdicts_and_why() -> None:
    lines = lines_of(LOAN | {"gates": RULINGS})
    assert max(map(len, lines)) <= 80
    at = next(index for index, line in enumerate(lines) if line.startswith("  error_rate"))
    assert lines[at].startswith("  error_rate  inconclusive (holds)  error ratio 1.1 [0.6, 2.3]")
    assert lines[at + 1].startswith(" " * 36)
    text = " ".join(" ".join(lines[at:]).split())
    assert "must be shown below 2; about 4m at this traffic" in text
    assert "webhook error answered 500 [2J" in text


def test_a_pipe_gets_long_names_whole(stub: Any) -> None:
    long = "v2-" + "x" * 200
    prepare(stub, LOAN | {"shares": {long: 1.0}, "evidence": {}, "candidates": [long]})
    rows = [line for line in run(stub)[1].splitlines() if line.strip().startswith(long)]
    assert len(rows) == 1


def test_several_deployments_are_told_in_short(stub: Any) -> None:
    prepare(stub, LOAN, LOAN | {"name": "embed"})
    out = run(stub)[1]
    assert out.count("by anna") == 2
    assert "embed  canary  progressing" in out
    assert "router rollback" not in out
    assert out.splitlines()[-1].startswith("router status NAME --admin http://127.0.0.1:")


def test_a_version_that_gets_only_copies_has_one_row() -> None:
    shadow = LOAN | {"pattern": "shadow", "shares": {"v1": 1.0, "v2": 0.0}, "steps": 0,
                     "spec": {"rollout": {"primary": "v1", "shadows": ["v2"]}}}  # fmt: skip
    lines = lines_of(shadow)
    assert lines[2] == "loan  shadow  progressing  copies of 50% to v2"
    assert [line.split()[:3] for line in lines[4:6]] == [["v1", "primary", "100%"], ["v2", "copies", "40"]]
    assert not any("router promote" in line for line in lines)


def test_blue_green_offers_the_other_colour() -> None:
    assert any(line.endswith("router switch loan green") for line in lines_of(BLUE_GREEN))
    switched = BLUE_GREEN | {"phase": "promoted", "live": "v2"}
    assert any(line.endswith("router switch loan blue") for line in lines_of(switched))


def test_before_a_switch_there_is_no_step() -> None:
    assert headline(BLUE_GREEN | {"steps": 2}).plain == "loan  blue_green  steady  v2 at 0%"


def test_a_deployment_without_a_rollout_offers_nothing() -> None:
    plain = LOAN | {
        "pattern": "",
        "phase": "steady",
        "steps": 0,
        "candidates": [],
        "spec": {"rollout": None},
    }
    assert headline(plain).plain == "loan  proxied  steady  v1 answers all"
    assert not any("router " in line for line in lines_of(plain))


@pytest.mark.parametrize(("phase", "action"), [(phase, do) for phase, all in NEXT.items() for do, _ in all])
def test_what_is_offered_is_possible(phase: str, action: str) -> None:
    if action != "history":
        follow(Phase(phase), action)  # type: ignore[arg-type]


def test_what_is_wrong_stands_at_the_top(stub: Any) -> None:
    metrics = METRICS.replace("} 1.0", "} 0.0").replace("persisted 1", "persisted 0").replace(" 2.0", " 1.0")
    prepare(stub, error="router.yaml:3: deployments: unknown key", metrics=metrics)
    lines = run(stub)[1].splitlines()
    assert lines[0].endswith(", 4 problems")
    assert lines[1].startswith("! the configuration on disk is refused")
    assert lines[2] == "  router.yaml:3: deployments: unknown key"
    assert lines[3].startswith("! only 1 of 2 workers serve")
    assert lines[4].startswith("! loan v1: endpoint http://127.0.0.1:9001 is unhealthy")
    assert lines[5].startswith("! the last changes are not on disk")
    assert lines[6] == ""


def test_status_as_json(stub: Any) -> None:
    prepare(stub)
    assert json.loads(run(stub, "loan", "--json")[1]) == {
        "problems": [], "workers": {"serving": 2}, "config": CONFIG["status"], "deployments": [LOAN],
    }  # fmt: skip


def test_an_unknown_deployment_is_said_to_be_so(stub: Any) -> None:
    said = "no deployment is called 'lone'; there is loan"
    stub.answer("GET /api/v1/deployments/lone", {"detail": said}, 404)
    code, out, err = run(stub, "lone")
    assert (code, out) == (1, "")
    assert err.endswith(f"404 {said}\n")


@pytest.mark.parametrize("form", [["--json"], []], ids=["json", "people"])
def test_watch_looks_again_until_interrupted(stub: Any, form: list[str]) -> None:
    prepare(stub)
    command = [sys.executable, "-u", "-m", "router.cli", "status", "--watch", *form, "--admin", stub.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        looks = 0
        while looks < 2:
            looks += "progressing" in process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        process.stdout.read()
        assert process.wait(20) == 0
        assert process.stderr.read() == ""
