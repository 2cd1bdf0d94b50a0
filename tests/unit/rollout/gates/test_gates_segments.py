from typing import Any

import pytest
from pydantic import ValidationError

from router.rollout.evidence import Evidence
from router.rollout.gates.segments import SegmentsGate
from router.rollout.verdict import Ruling, Verdict
from tests.support.evidence import CANDIDATE, STABLE, evidence, gates, series

POOLED = gates({"error_rate": {}})
GATE = gates({"segments": {"by": "region", "values": 10, "gate": {"error_rate": {}}}})


@pytest.mark.parametrize(
    "settings",
    [
        {"by": "", "gate": {"error_rate": {}}},
        {"by": "region"},
        {"by": "region", "gate": {"webhook": {"url": "http://a"}}},
        {"by": "region", "gate": {"segments": {"by": "x", "gate": {"error_rate": {}}}}},
        {"by": "region", "values": 0, "gate": {"error_rate": {}}},
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SegmentsGate.model_validate(settings)


def regions(seconds: int, failing: dict[str, int], share: int = 2500) -> Evidence:
    """Ten regions of four requests a second on the candidate and twelve on stable, of which 1 % fails; in those named
    so many of a hundred of the candidate's."""
    found = evidence(*GATE, *POOLED, share=share)
    for second in range(1, seconds + 1):
        for region in (f"r{index}" for index in range(10)):
            slice, n = f"region={region}", 4 * second
            found.take("w", series(CANDIDATE, n, n * failing.get(region, 1) // 100, slice=slice))
            found.take("w", series(STABLE, 3 * n, 3 * n // 100, slice=slice))
        found.close(float(second))
    return found


def said(found: Evidence) -> Ruling:
    return found.judge(GATE, 10_000)[0]


def test_one_bad_segment_is_found_and_named() -> None:
    found = regions(300, {"r3": 10})
    ruling = said(found)
    assert ruling.verdict is Verdict.FAIL
    assert ruling.numbers["guilty"] == ["region=r3"]
    assert "(region=r3)" in ruling.why


def test_sooner_than_in_the_pool() -> None:
    found = regions(120, {"r3": 10})
    against = [each.numbers["evidence_against"] for each in found.judge((*GATE, *POOLED), 10_000)[:2]]
    assert against[0] > against[1]


def test_alike_segments_do_not_fail_and_pass_together() -> None:
    ruling = said(regions(400, {}))
    assert ruling.verdict is Verdict.PASS, ruling.why
    assert "10 segments by region" in ruling.why


def test_another_slice_is_not_looked_at() -> None:
    found = evidence(*GATE)
    found.take("w", series(CANDIDATE, 50, 50, slice="device=phone"))
    found.take("w", series(STABLE, 500, slice="device=phone"))
    found.close(1.0)
    assert said(found).numbers["evidence_against"] == 1.0


def test_the_whole_is_the_sum_of_its_segments() -> None:
    found = regions(3, {})
    assert found.state().step.candidate.done == 10 * 4 * 3


def test_unseen_segments_keep_their_place_in_the_average() -> None:
    gate = SegmentsGate.model_validate({"by": "region", "values": 8, "gate": {"error_rate": {}}})
    assert gate.failing_together({"region=a": 5.0}) < 5.0 - 2.0
