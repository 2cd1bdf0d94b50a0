from typing import Any

import pytest
from pydantic import ValidationError

from router.rollout.gates.score import ScoreGate
from router.rollout.verdict import Verdict
from tests.support.evidence import evidence, gates, paired, series

GATE = gates({"score": {"min": 0.9}})


@pytest.mark.parametrize("settings", [{}, {"min": 1.0}, {"min": 0}, {"min": 95}])
def test_a_bound_lies_between_0_and_1(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ScoreGate.model_validate(settings)


@pytest.mark.parametrize(
    ("scores", "verdict"),
    [
        ({0.95: 100, 1.0: 100}, Verdict.PASS),
        ({0.6: 20, 0.8: 20}, Verdict.FAIL),
        ({0.8: 100, 1.0: 100}, Verdict.INCONCLUSIVE),
    ],
)
def test_the_mean_is_shown_above_or_below(scores: dict[float, int], verdict: Verdict) -> None:
    found = evidence(*GATE, mirror=10_000, min_requests=40)
    found.take("w", series("v2", 500))
    found.take_pairs("r", paired(0, 0, scores=scores))
    found.close(1.0)
    said = found.report(GATE, 10_000)[0]
    assert said.verdict is verdict, said.why
    low, high = said.numbers["interval"]
    assert low <= sum(scores) / 2 <= high


def test_without_scores_it_says_so() -> None:
    found = evidence(*GATE, mirror=10_000)
    found.take("w", series("v2", 500))
    found.close(1.0)
    assert found.judge(GATE, 10_000)[0].why.startswith("score not seen yet (no pair has a score)")
