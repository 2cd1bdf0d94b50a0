from typing import Any

import pytest
from pydantic import ValidationError

from router.rollout.gates.sample_ratio import SampleRatioGate
from router.rollout.verdict import Ruling, Verdict
from tests.support.evidence import CANDIDATE, STABLE, evidence, gates, series


def said(candidate: int, stable: int, **settings: Any) -> Ruling:
    gate = gates({"sample_ratio": {}})
    found = evidence(*gate, **settings)
    found.take("w", series(STABLE, stable))
    found.take("w", series(CANDIDATE, candidate))
    found.close(1.0)
    return found.judge(gate, 10_000)[0]


@pytest.mark.parametrize(("candidate", "holds"), [(500, False), (540, False), (700, True), (300, True)])
def test_a_split_that_is_not_the_intended_one_holds(candidate: int, holds: bool) -> None:
    ruling = said(candidate, 10_000 - candidate)
    assert ruling.hold is holds
    assert ruling.verdict is (Verdict.INCONCLUSIVE if holds else Verdict.PASS)
    assert f"{candidate} of 10000 requests, 5% intended" in ruling.why


def test_requests_on_their_way_are_sent_too() -> None:
    """A candidate that hangs gets its part all the same."""
    gate = gates({"sample_ratio": {}})
    found = evidence(*gate)
    found.take("w", series(STABLE, 9_500))
    found.take("w", series(CANDIDATE, 0, in_flight=500))
    found.close(1.0)
    assert not found.judge(gate, 10_000)[0].hold


def test_sticky_clients_come_in_clusters() -> None:
    ruling = said(2_000, 8_000, drawn=False)
    assert (ruling.verdict, ruling.hold) == (Verdict.PASS, False)
    assert "told and not tested" in ruling.why


def test_at_a_step_of_copies_there_is_no_share_to_check() -> None:
    gate = gates({"sample_ratio": {}})
    found = evidence(*gate, share=0, mirror=10_000)
    found.take("w", series(STABLE, 300))
    found.take("w", series(CANDIDATE, 300, role="shadow"))
    found.close(1.0)
    (ruling,) = found.report(gate, 500)
    assert (ruling.verdict, ruling.hold) == (Verdict.PASS, False)
    assert ruling.why == "no share to check (the candidate answers nothing at this step)"


def test_its_confidence_is_its_own() -> None:
    assert said(500, 9_500).numbers["fails_at"] == 100.0
    assert SampleRatioGate(confidence=0.999).bar(0.0) == pytest.approx(6.907755, rel=1e-6)


def test_disabled_it_passes_unchecked() -> None:
    off = gates({"sample_ratio": {"enabled": False}})
    found = evidence(*off)
    found.take("w", series(CANDIDATE, 10_000))
    found.close(1.0)
    ruling = found.judge(off, 10_000)[0]
    assert ruling.verdict is Verdict.PASS
    assert "not checked" in ruling.why


def test_its_confidence_is_a_share_below_one() -> None:
    with pytest.raises(ValidationError):
        SampleRatioGate.model_validate({"confidence": "100%"})
