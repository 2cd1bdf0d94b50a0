import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from router.cli import main
from router.pairs.settings import SubjectSource
from router.pairs.sources import Sources
from tests.support.pairlogs import written

ERASE = "/api/v1/deployments/loan/pairs/erase"
BEGUN = {
    "number": 3, "done": 0, "total": 0, "removed": 0, "segments": 0, "unattributed": 0, "undelivered": 0,
    "busy": 0, "finished": False, "error": "",
}  # fmt: skip
DONE = BEGUN | {"removed": 5, "segments": 2, "finished": True}


def run(stub: Any, *outcomes: dict[str, Any], options: tuple[str, ...] = ("--yes",), say: str = "") -> Any:
    stub.answer(f"POST {ERASE}", BEGUN)
    stub.answer_in_turn(f"GET {ERASE}/3", *outcomes)
    arguments = ["pairs", "erase", "loan", "--key", "alice", *options, "--admin", stub.url]
    return CliRunner().invoke(main, arguments, input=say)


def test_it_waits_for_the_end_and_says_how_many(stub: Any) -> None:
    result = run(stub, BEGUN | {"done": 5, "total": 10}, DONE)
    assert (result.exit_code, result.stdout) == (0, "5 records erased, 2 files written anew\n")
    assert stub.asked[0][2] == {"key": "alice"}
    assert [each[0] for each in stub.asked] == ["POST", "GET", "GET"]


def test_what_is_left_is_said(stub: Any) -> None:
    result = run(stub, DONE | {"unattributed": 1, "undelivered": 3, "busy": 2})
    assert result.exit_code == 2
    assert "1 record do not say" not in result.stdout
    assert "1 record does not say whose it is" in result.stdout
    assert "3 records on the way to other sinks" in result.stdout
    assert "2 files held by another process" in result.stdout


def test_what_was_not_looked_at_is_said_and_how_to_do_it(stub: Any) -> None:
    left = DONE | {"log": "/var/pairs", "unconfigured": ["loan", "old"], "unattributed": 2}
    said = " ".join(run(stub, left).stdout.split())
    assert "looked at /var/pairs; a log elsewhere, as under an earlier pairs.path, needs --from DIR" in said
    assert "no key of pairs.hash is known for loan, old: if there was one, give it with --hash-key" in said
    assert "add the deployment to the configuration, with it" in said
    assert "or one that is hidden" in said
    assert "no key of pairs.hash" not in run(stub, left, options=("--yes", "--hash-key", "old")).stdout


def test_a_log_that_no_router_writes(stub: Any, tmp_path: Path) -> None:
    written(tmp_path)
    Sources(tmp_path).keep({"loan": SubjectSource(header="x-user")})
    result = run(stub, options=("--yes", "--from", str(tmp_path)))
    assert stub.asked == [], "no router is asked"
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "0 records erased, 0 files written anew")
    assert run(stub, options=("--from", str(tmp_path)), say="n\n").exit_code == 1
    result = run(stub, options=("--yes", "--from", str(tmp_path / "absent")))
    assert (result.exit_code, "there is no pair log of loan at" in result.stderr) == (1, True)


def test_a_failure_is_one(stub: Any) -> None:
    result = run(stub, DONE | {"error": "the recorder ended"})
    assert (result.exit_code, result.stderr) == (1, "router: the recorder ended (5 records erased)\n")


def test_it_asks_first(stub: Any) -> None:
    assert run(stub, DONE, options=(), say="n\n").exit_code == 1
    assert stub.asked == []
    assert run(stub, DONE, options=(), say="y\n").exit_code == 0


def test_json_for_programs(stub: Any) -> None:
    assert json.loads(run(stub, DONE, options=("--json",)).stdout) == DONE


def test_a_key_from_standard_input_is_in_no_list_of_processes(stub: Any) -> None:
    assert run(stub, DONE, options=("--yes", "--key", "-"), say="ali ce\n").exit_code == 0
    assert stub.asked[0][2] == {"key": "ali ce"}


def test_without_a_name_it_is_of_every_deployment(stub: Any) -> None:
    stub.answer("POST /api/v1/pairs/erase", BEGUN)
    stub.answer("GET /api/v1/pairs/erase/3", DONE)
    arguments = ["pairs", "erase", "--key", "alice", "--hash-key", "older", "--admin", stub.url]
    result = CliRunner().invoke(main, arguments, input="y\n")
    assert (result.exit_code, "every deployment" in result.stderr) == (0, True)
    assert stub.asked[0][2] == {"key": "alice", "hash_key": "older"}
    assert "5 records erased" in result.stdout
