"""`router whatif` against a stub of the admin API that has samples."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from router.cli import main
from router.cli.whatif import real_end
from router.config.loader import mask
from router.config.schema import Config
from tests.support.rollouts import BAD, GOOD

CANARY = {
    "pattern": "canary", "stable": "v1", "candidate": "v2",
    "steps": [{"share": "10%", "hold": "1m"}, {"share": "50%", "hold": "1m"}],
    "gates": [{"webhook": {"url": "http://a/?key=hush"}}],
}  # fmt: skip
CONFIG = {
    "deployments": {
        "loan": {
            "match": {"path": "/loan"},
            "versions": {"v1": {"url": "http://a:1"}, "v2": {"url": "http://b:1"}},
            "rollout": CANARY,
        }
    }
}
EVENTS = [
    {"what": "restart", "when": 2000.0, "phase": "progressing", "share": 0.1, "who": "anna", "why": ""},
    {"what": "rollback", "when": 1321.0, "phase": "rolled_back", "share": 0.0, "who": "anna", "why": "bad"},
    {"what": "start", "when": 1000.0, "phase": "progressing", "share": 0.1, "who": "config", "why": ""},
]


@pytest.fixture
def gates(tmp_path: Path) -> Path:
    file = tmp_path / "gates.yaml"
    file.write_text("gates: [{error_rate: {max_ratio: 1.0, pass_ratio: 2.0}}]\n")
    return file


def run(stub: Any, samples: list[Any], gates: Path, *arguments: str) -> Result:
    spec = mask(Config.model_validate(CONFIG))["deployments"]["loan"]
    stub.answer("GET /api/v1/deployments/loan", {"name": "loan", "spec": spec})
    stub.answer("GET /api/v1/deployments/loan/samples", json.loads(msgspec.json.encode({"samples": samples})))
    stub.answer("GET /api/v1/deployments/loan/history", {"events": EVENTS})
    return CliRunner().invoke(
        main, ["whatif", "loan", "--gates", str(gates), *arguments, "--admin", stub.url]
    )


def test_a_rollout_that_would_have_been_rolled_back(stub: Any, gates: Path) -> None:
    result = run(stub, BAD, gates)
    assert result.exit_code == 0, result.output
    title, _, row = result.stdout.splitlines()
    assert title.startswith("v2 against v1")
    assert title.endswith("really rolled_back at 0%")
    assert row.split()[:2] == ["10%", "3m20s"]
    assert "rolled back after" in row
    assert "error_rate: error ratio 5" in row


def test_a_rollout_that_would_have_gone_on(stub: Any, gates: Path) -> None:
    answer = json.loads(run(stub, GOOD, gates, "--json").stdout)
    (rollout,) = answer["rollouts"]
    assert [stay["event"] for stay in rollout["stays"]] == ["advance", "complete"]
    assert [stay["share"] for stay in rollout["stays"]] == [0.1, 0.5]
    assert rollout["really"]["why"] == "bad"


def test_confidence_and_what_follows_may_be_tried_as_well(stub: Any, gates: Path) -> None:
    gates.write_text("gates: [{error_rate: {}}]\nmin_requests: 1000000\n")
    (rollout,) = json.loads(run(stub, GOOD, gates, "--json").stdout)["rollouts"]
    assert [stay["event"] for stay in rollout["stays"]] == ["hold", "hold"]
    gates.write_text("gates: [{error_rate: {}}]\non_fail: pause\n")
    (rollout,) = json.loads(run(stub, BAD, gates, "--json").stdout)["rollouts"]
    assert [stay["event"] for stay in rollout["stays"]] == ["pause"]


def test_a_file_that_is_wrong_is_said_to_be_with_line_and_key(stub: Any, gates: Path) -> None:
    gates.write_text("gates:\n  - error_rate: {max_ration: 2}\nsteps: []\n")
    result = run(stub, GOOD, gates)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "gates.yaml:2: gates[0].error_rate.max_ration" in result.stderr
    assert "did you mean `max_ratio`?" in result.stderr
    assert "gates.yaml:3: steps" in result.stderr
    assert stub.asked == []
    assert "no such file" in run(stub, GOOD, gates.with_name("none.yaml")).stderr


def test_without_samples_and_without_a_rollout_it_says_so(stub: Any, gates: Path) -> None:
    assert run(stub, [], gates).stdout == "loan: no rollout has counted anything yet\n"
    stub.answer("GET /api/v1/deployments/loan", {"name": "loan", "spec": {"rollout": None}})
    result = CliRunner().invoke(main, ["whatif", "loan", "--gates", str(gates), "--admin", stub.url])
    assert (result.exit_code, result.stderr) == (1, "router: loan has no rollout\n")


def test_the_real_end_is_the_newest_event_before_another_rollout() -> None:
    found = real_end(EVENTS, 1320.0)
    assert found is not None
    assert (found["what"], found["when"]) == ("rollback", 1321.0)
    newest = real_end(EVENTS, 2010.0)
    assert newest is not None
    assert newest["what"] == "restart"
    assert real_end([], 0.0) is None
