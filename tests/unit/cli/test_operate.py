from typing import Any

import pytest
from click.testing import CliRunner

from router.cli import main

ANSWER = {
    "deployment": "loan",
    "phase": "rolled_back",
    "shares": {"v1": 1.0, "v2": 0.0},
    "generation": 7,
    "applied_ms": 3.24,
    "workers": {"live": 2, "confirmed": 2},
    "persisted": True,
    "warnings": [],
}


def run(stub: Any, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [*arguments, "--admin", stub.url])
    return result.exit_code, result.stdout, result.stderr


def test_a_rollback_says_what_took_effect(stub: Any) -> None:
    stub.answer("POST /api/v1/deployments/loan/rollback", ANSWER)
    code, out, err = run(stub, "rollback", "loan", "--reason", "wrong")
    assert (code, err) == (0, "")
    assert out == (
        "loan: rolled_back: v1 100%, v2 0%\ngeneration 7, in force after 3.2 ms on 2 of 2 workers\n"
    )
    assert stub.asked == [("POST", "/api/v1/deployments/loan/rollback", {"reason": "wrong"})]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"persisted": False}, "warning: not written to the journal"),
        (
            {"workers": {"live": 3, "confirmed": 2}},
            "warning: 1 worker did not confirm in time and was replaced",
        ),
        ({"warnings": ["no endpoint of v1\x1b is healthy"]}, "warning: no endpoint of v1 is healthy"),
    ],
)
def test_what_to_worry_about_is_said(stub: Any, change: dict[str, Any], said: str) -> None:
    stub.answer("POST /api/v1/deployments/loan/rollback", ANSWER | change)
    code, out, err = run(stub, "rollback", "loan")
    assert (code, err) == (0, "")
    assert said in out


@pytest.mark.parametrize(
    ("arguments", "call", "body"),
    [
        (["rollback", "loan"], "rollback", {}),
        (["promote", "loan"], "promote", {}),
        (
            ["promote", "loan", "--full", "--reason", "why not"],
            "promote",
            {"full": True, "reason": "why not"},
        ),
        (["pause", "loan"], "pause", {}),
        (["resume", "loan"], "resume", {}),
        (["restart", "loan"], "restart", {}),
        (["share", "loan", "25%"], "share", {"candidate": 0.25}),
        (["share", "loan", "0.5"], "share", {"candidate": 0.5}),
        (["switch", "loan", "green"], "switch", {"to": "green"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_each_command_makes_its_call(stub: Any, arguments: list[str], call: str, body: Any) -> None:
    stub.answer(f"POST /api/v1/deployments/loan/{call}", ANSWER)
    assert run(stub, *arguments)[0] == 0
    assert stub.asked == [("POST", f"/api/v1/deployments/loan/{call}", body)]


def test_a_command_may_name_the_generation_it_is_about(stub: Any) -> None:
    stub.answer("POST /api/v1/deployments/loan/pause", ANSWER)
    assert run(stub, "pause", "loan", "--seen", "7")[0] == 0
    assert run(stub, "pause", "loan")[0] == 0
    assert stub.conditions == ['"7"', ""]


def test_json_is_the_answer_itself(stub: Any) -> None:
    stub.answer("POST /api/v1/deployments/loan/pause", ANSWER)
    code, out, _ = run(stub, "pause", "loan", "--json")
    assert code == 0
    assert '"applied_ms": 3.24' in out


@pytest.mark.parametrize("share", ["25", "101%", "x", "0.123456"])
def test_a_share_that_is_none_is_wrong_usage(stub: Any, share: str) -> None:
    code, out, err = run(stub, "share", "loan", share)
    assert (code, out) == (2, "")
    assert "share" in err
    assert stub.asked == []


def test_a_refusal_is_exit_code_1(stub: Any) -> None:
    call = "/api/v1/deployments/loan/promote"
    stub.answer(
        f"POST {call}", {"title": "Conflict", "detail": "promote is not possible while rolled_back"}, 409
    )
    code, out, err = run(stub, "promote", "loan")
    assert (code, out) == (1, "")
    assert err == f"router: POST {stub.url}{call}: 409 promote is not possible while rolled_back\n"
