import msgspec
import pytest

from router.rollout.gates.asking import Question
from router.rollout.gates.webhook import WebhookGate
from router.rollout.verdict import Verdict

GATE = WebhookGate(url="https://checks:443/loan?key=secret", headers={"authorization": "Bearer secret"})


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.PASS),
        (204, Verdict.PASS),
        (409, Verdict.INCONCLUSIVE),
        (400, Verdict.FAIL),
        (404, Verdict.FAIL),
        (499, Verdict.FAIL),
        (301, Verdict.ERROR),
        (500, Verdict.ERROR),
        (503, Verdict.ERROR),
        (101, Verdict.ERROR),
    ],
)
def test_what_an_answer_means(status: int, verdict: Verdict) -> None:
    assert GATE.ruling(status, b"").verdict is verdict


def test_its_words_are_passed_on_in_one_short_line() -> None:
    why = GATE.ruling(400, "drift in\n\n  régions \xff".encode() + b"\xff" + b"x" * 900).why
    assert why.startswith("answered 400: drift in régions")
    assert "\n" not in why
    assert len(why) < 230


def test_it_is_told_where_the_rollout_is() -> None:
    call = GATE.call(Question("loan", "v2", "v1", 1, 4, 0.25, 0.1, {"v2": {"requests": 3}}))
    assert call.headers == {"content-type": "application/json", "authorization": "Bearer secret"}
    told = msgspec.json.decode(call.body)
    assert (told["deployment"], told["candidate"], told["share"], told["counts"]["v2"]) == (
        "loan",
        "v2",
        0.25,
        {"requests": 3},
    )
