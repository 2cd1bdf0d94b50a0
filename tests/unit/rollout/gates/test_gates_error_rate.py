from typing import Any

import pytest
from pydantic import ValidationError

from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.verdict import Verdict
from tests.support.evidence import CANDIDATE, STABLE, evidence, gates, series


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_ratio": 0.5}, "max_ratio"),
        ({"max_ratio": 3}, "write pass_ratio: 6"),
        ({"max_ratio": "nan"}, "max_ratio"),
        ({"max": "0%"}, "max"),
        ({"max": "100%"}, "max"),
        ({"pass_ratio": 1.0}, "pass_ratio"),
    ],
)
def test_bounds_that_could_not_be_shown_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ErrorRateGate.model_validate(settings)


def test_alone_the_ratio_says_why_it_cannot_and_the_bound_goes_on() -> None:
    ratio, bound = gates({"error_rate": {}}, {"error_rate": {"max": "2%"}})
    found = evidence(ratio, bound, share=10_000)
    found.take("w", series(CANDIDATE, 500, 5))
    found.close(1.0)
    first, second = found.judge((ratio, bound), 10_000)
    assert "no stable traffic to compare with at 100%" in first.why
    assert "must be shown below" in second.why
    found.take("w", series(CANDIDATE, 1000, 100))
    found.close(2.0)
    first, second = found.judge((ratio, bound), 10_000)
    assert (first.verdict, second.verdict) == (Verdict.INCONCLUSIVE, Verdict.FAIL)


def test_failures_that_come_back_before_any_answer_are_not_taken_for_all() -> None:
    """Answers take a minute, failures no time: of 200 requests sent, 2 have failed and none has ended otherwise."""
    (bound,) = gates({"error_rate": {"max": "2%"}})
    found = evidence(bound, share=10_000)
    found.take("w", series(CANDIDATE, 2, 2, in_flight=198))
    found.close(1.0)
    said = found.judge((bound,), 10_000)[0]
    assert said.numbers["evidence_against"] < 2.0
    assert said.verdict is Verdict.INCONCLUSIVE


def test_a_service_that_never_fails_passes_by_its_bound() -> None:
    (bound,) = gates({"error_rate": {"max": "2%"}})
    found = evidence(bound)
    for second in range(1, 301):
        found.take("w", series(STABLE, 48 * second))
        found.take("w", series(CANDIDATE, 2 * second))
        found.close(float(second))
    said = found.judge((bound,), 10_000)[0]
    assert said.verdict is Verdict.PASS, said.why
    assert said.why == "error rate 0% (0 of 600 requests failed, of stable 0 of 14400)"


def test_it_says_what_must_be_shown() -> None:
    (gate,) = gates({"error_rate": {"max": "2%"}})
    found = evidence(gate)
    found.take("w", series(STABLE, 4_000, 40))
    found.take("w", series(CANDIDATE, 200, 3))
    found.close(30.0)
    said = found.report((gate,), 5_000)[0]
    assert said.why.startswith("error ratio 1.5 [0.")
    assert said.why.endswith(
        "(3 of 200 requests failed, 1.5%, of stable 40 of 4000), must be shown below 2 times stable's or 2%"
    )


def test_failures_that_count_once_per_client_are_told_as_such() -> None:
    (gate,) = gates({"error_rate": {}})
    found = evidence(gate, drawn=False, once_per_client=True)
    found.take("w", series(STABLE, 4_000, 40, causes=(1, 2)))
    found.take("w", series(CANDIDATE, 200, 30, causes=(7,)))
    found.close(1.0)
    said = found.judge((gate,), 5_000)[0]
    assert "30 of 200 requests failed, 15%, of stable 40 of 4000; once per client 1 and 2)" in said.why
    assert (said.numbers["counted"], said.numbers["stable_counted"]) == (1, 2)


def test_fallbacks_are_the_candidates_failures() -> None:
    (gate,) = gates({"error_rate": {}})
    found = evidence(gate)
    found.take("w", series(STABLE, 60))
    found.take("w", series(CANDIDATE, 0, fallbacks=4))
    found.close(1.0)
    assert found.judge((gate,), 10_000)[0].verdict is Verdict.FAIL
