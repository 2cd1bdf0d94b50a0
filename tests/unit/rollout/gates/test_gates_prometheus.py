import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError

from router.rollout.gates.asking import Question
from router.rollout.gates.prometheus import PrometheusGate
from router.rollout.verdict import Verdict

GATE = PrometheusGate(url="http://prometheus:9090/", query="x", max=0.5, min=0.1)


def answer(kind: str, result: Any, status: str = "success") -> bytes:
    return json.dumps({"status": status, "data": {"resultType": kind, "result": result}}).encode()


def vector(*values: str) -> bytes:
    return answer("vector", [{"metric": {}, "value": [1.0, value]} for value in values])


@pytest.mark.parametrize(
    ("body", "verdict", "words"),
    [
        (vector("0.2"), Verdict.PASS, "the query says 0.2, at least 0.1 and at most 0.5"),
        (answer("scalar", [1.0, "0.5"]), Verdict.PASS, "0.5"),
        (vector("0.2", "0.3"), Verdict.PASS, "one of 2 values"),
        (
            vector("0.2", "0.9"),
            Verdict.FAIL,
            "says 0.9, one of 2 values, which is not at least 0.1 and at most 0.5",
        ),
        (vector("0.05"), Verdict.FAIL, "0.05"),
        (vector(), Verdict.INCONCLUSIVE, "no value"),
        (vector("NaN"), Verdict.INCONCLUSIVE, "not a number"),
        (vector("0.2", "+Inf"), Verdict.INCONCLUSIVE, "not a number"),
        (answer("matrix", []), Verdict.ERROR, "a scalar or vector is expected"),
        (answer("vector", [{"value": []}]), Verdict.ERROR, "a scalar or vector is expected"),
        (b'{"status": "error", "error": "parse error"}', Verdict.ERROR, "parse error"),
        (b"<html>", Verdict.ERROR, "no answer to a query"),
        (b"", Verdict.ERROR, "no answer to a query"),
    ],
)
def test_what_an_answer_means(body: bytes, verdict: Verdict, words: str) -> None:
    said = GATE.ruling(200, body)
    assert said.verdict is verdict
    assert words in said.why


def test_any_other_status_is_an_error_whatever_the_body() -> None:
    for status in (400, 422, 500, 503):
        assert GATE.ruling(status, vector("0.2")).verdict is Verdict.ERROR


def test_the_query_may_name_the_versions() -> None:
    gate = PrometheusGate(
        url="http://p:1/base", query='rate(errors{v="$candidate",d="$deployment"}[1m])', max=1
    )
    call = gate.call(Question("loan", "v2", "v1", 0, 1, 0.1, 0.0))
    assert call.url == "http://p:1/base/api/v1/query"
    assert parse_qs(call.body.decode())["query"] == ['rate(errors{v="v2",d="loan"}[1m])']


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "give max, min or both"),
        ({"max": 1, "min": 2}, "no value can pass"),
        ({"max": float("nan")}, "max"),
        ({"max": 1, "query": ""}, "query"),
        ({"max": 1, "every": "10ms"}, "every"),
        ({"max": 1, "url": "prometheus:9090"}, "scheme"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PrometheusGate.model_validate({"url": "http://p:1", "query": "x", **settings})
