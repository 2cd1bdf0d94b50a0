from typing import Any

import pytest
from pydantic import ValidationError

from router.rollout.evidence import Evidence
from router.rollout.gates.agreement import AgreementGate
from router.rollout.verdict import Ruling, Verdict
from tests.support.evidence import CANDIDATE, STABLE, evidence, gates, paired, series

GATE = gates({"agreement": {"min": "98%"}})


@pytest.mark.parametrize("settings", [{}, {"min": "100%"}, {"min": "0%"}])
def test_what_can_never_be_shown_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AgreementGate.model_validate(settings)


def copied(seconds: int, mismatches: float, *, noise: float | None = None, **settings: Any) -> Evidence:
    """Shadow-first: twenty pairs a second, and as many of stable with itself where there is noise."""
    found = evidence(*GATE, share=0, mirror=10_000, **settings)
    for second in range(1, seconds + 1):
        n = 20 * second
        found.take("w", series(STABLE, n))
        found.take("w", series(CANDIDATE, n, role="shadow"))
        found.take_pairs("r", paired(n - round(n * mismatches), round(n * mismatches)))
        if noise is not None:
            differ = round(n * noise)
            found.take_pairs("r", paired(n - differ, differ, primary=STABLE, shadow=STABLE))
        found.close(float(second))
    return found


def said(found: Evidence, following: int = 10_000) -> Ruling:
    return found.judge(GATE, following)[0]


@pytest.mark.parametrize(
    ("mismatches", "verdict"), [(0.2, Verdict.FAIL), (0.05, Verdict.FAIL), (0.004, Verdict.PASS)]
)
def test_agreement_is_shown_or_disproved(mismatches: float, verdict: Verdict) -> None:
    assert said(copied(120, mismatches)).verdict is verdict


def test_just_at_the_bound_nothing_is_shown() -> None:
    assert said(copied(120, 0.02)).verdict is Verdict.INCONCLUSIVE


def test_what_stable_does_to_itself_is_not_held_against_the_candidate() -> None:
    assert said(copied(300, 0.10, noise=0.10)).verdict is not Verdict.FAIL
    assert said(copied(300, 0.30, noise=0.10)).verdict is Verdict.FAIL


def test_expected_noise_is_waited_for() -> None:
    found = evidence(*GATE, share=0, mirror=10_000, noise=True)
    found.take_pairs("r", paired(10, 90))
    found.close(1.0)
    assert said(found).numbers["evidence_against"] == 1.0


def test_no_pass_without_pairs_even_where_little_is_asked() -> None:
    found = evidence(*GATE, share=0, mirror=10_000)
    found.take("w", series(STABLE, 900))
    found.take("w", series(CANDIDATE, 900, role="shadow"))
    found.close(1.0)
    assert "0 of the 100 pairs that are asked for" in said(found, 100).why


def test_at_a_step_without_pairs_what_is_known_goes_on() -> None:
    shown, unsure = copied(120, 0.004), copied(6, 0.0)
    for found in (shown, unsure):
        found.expose(2, 2500, 0)
        found.take("w", series(STABLE, 900, cohort=2))
        found.take("w", series(CANDIDATE, 300, cohort=2))
        found.close(200.0)
    assert said(shown).verdict is Verdict.PASS
    assert "this step makes no pairs: give it mirror" in said(unsure).why


def test_a_report_names_the_noise() -> None:
    told = copied(60, 0.05, noise=0.04).report(GATE, 10_000)[0]
    assert told.why.startswith("agreement 95% [")
    assert "stable differs from itself in" in told.why
