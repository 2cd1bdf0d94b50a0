"""What gates are asked of evidence: which of them, about which split, and what a change of them keeps."""

from typing import Any

import pytest

from router.rollout.evidence import Evidence
from router.rollout.evidence_state import Trial
from router.rollout.sequences import bernoulli_cs
from router.rollout.verdict import Ruling, Verdict
from tests.support.evidence import CANDIDATE, ERRORS, STABLE, evidence, fed, gates, paired, ruling, series


def test_sticky_splits_are_judged_as_they_came_out() -> None:
    """A hash that sends twice the intended share to the candidate proves nothing against it."""
    drawn, sticky = evidence(*ERRORS), evidence(*ERRORS, drawn=False)
    for second in range(1, 121):
        for found in (drawn, sticky):
            fed(
                found,
                series(STABLE, 85 * second, second),
                series(CANDIDATE, 15 * second, second // 5),
                at=second,
            )
    assert ruling(drawn).numbers["evidence_against"] > 1.0
    assert ruling(sticky).numbers["evidence_against"] < 1.0


def test_knowing_the_noise_costs_a_tenth_of_what_may_go_wrong() -> None:
    watching = gates({"agreement": {"min": "98%"}})
    assert evidence(*watching).judge(watching, 0)[0].numbers["fails_at"] == 100.0
    assert evidence(*watching, noise=True).judge(watching, 0)[0].numbers["fails_at"] == 111.0


def test_a_changed_gate_gathers_anew_and_the_others_go_on() -> None:
    first = gates({"error_rate": {}}, {"latency": {"max": "300ms"}})
    found = evidence(*first)
    fed(found, series(STABLE, 900, 9, took={0.1: 900}), series(CANDIDATE, 90, 4, took={0.1: 90}), at=1.0)
    later = gates({"error_rate": {}}, {"latency": {"max": "400ms"}})
    edited = Evidence(Trial(STABLE, CANDIDATE, later), found.state())
    before, after = found.judge(first, 10_000), edited.judge(later, 10_000)
    assert after[0] == before[0]
    assert before[1].numbers["evidence_for"] > 1.0 == after[1].numbers["evidence_for"]


def test_the_sample_ratio_is_looked_at_unasked_where_there_is_a_split() -> None:
    found = evidence()
    fed_ = [series(STABLE, 9_000), series(CANDIDATE, 1_000)]
    for tally in fed_:
        found.take("w", tally)
    found.close(1.0)
    (said,) = found.judge((), 10_000)
    assert (said.gate, said.verdict, said.hold) == ("sample_ratio", Verdict.INCONCLUSIVE, True)
    assert evidence(share=10_000).judge((), 10_000) == ()
    assert evidence(splits=False, share=0, mirror=100).judge((), 10_000) == ()
    off = gates({"sample_ratio": {"enabled": False}})
    assert evidence(*off).judge((), 10_000) == ()


def split(*, candidate: tuple[int, int], stable: tuple[int, int], gate: dict[str, Any]) -> Ruling:
    """Of a share of 5 %, requests and failures of each side, in one block."""
    asked = gates(gate)
    found = evidence(*asked)
    found.take("w", series(CANDIDATE, *candidate))
    found.take("w", series(STABLE, *stable))
    found.close(1.0)
    return found.judge(asked, 10_000)[0]


def test_with_another_split_than_intended_a_gate_fails_only_by_the_requests_as_they_came() -> None:
    """8 % of the requests, and 8 % of the failures: nothing is wrong with the candidate but its share."""
    alike = split(candidate=(8_000, 400), stable=(92_000, 4_600), gate={"error_rate": {}})
    assert (alike.verdict, alike.hold) == (Verdict.INCONCLUSIVE, True)
    assert "but the split is not the intended one" in alike.why
    assert alike.numbers["evidence_against"] > 100 > alike.numbers["evidence_as_it_came"]
    worse = split(candidate=(8_000, 4_000), stable=(92_000, 4_600), gate={"error_rate": {}})
    assert worse.verdict is Verdict.FAIL
    bounded = split(candidate=(8_000, 800), stable=(92_000, 9_200), gate={"error_rate": {"max": "5%"}})
    assert bounded.verdict is Verdict.FAIL


def test_nobody_doubts_a_split_that_nobody_checks() -> None:
    asked = gates({"error_rate": {}}, {"sample_ratio": {"enabled": False}})
    found = evidence(*asked)
    fed(found, series(CANDIDATE, 8_000, 400), series(STABLE, 92_000, 4_600), at=1)
    assert found.judge(asked, 10_000)[0].verdict is Verdict.FAIL


def test_the_noise_is_known_at_a_tenth_of_what_may_be_wrong() -> None:
    found = evidence(*gates({"agreement": {"min": "90%"}}), mirror=1_000, confidence=0.95)
    found.take_pairs("r", paired(30, 10, primary=STABLE, shadow=STABLE))
    found.close(1.0)
    assert found.state().noise.interval == pytest.approx(bernoulli_cs(40, 10, 0.005))


def test_the_intended_split_is_not_doubted() -> None:
    said = split(candidate=(5_000, 500), stable=(95_000, 4_750), gate={"error_rate": {}})
    assert said.verdict is Verdict.FAIL
    assert "split" not in said.why


def test_what_they_said_last_is_said_again_while_no_verdict_is_another() -> None:
    found = evidence(*ERRORS)
    fed(found, series(STABLE, 900, 9), series(CANDIDATE, 50), at=1)
    first = found.judge(ERRORS, 10_000)
    fed(found, series(STABLE, 1_800, 18), series(CANDIDATE, 90), at=2)
    assert found.judge(ERRORS, 10_000, first) is first
    assert found.judge(ERRORS, 10_000)[0].numbers["requests"] == 90
    fed(found, series(STABLE, 1_800, 18), series(CANDIDATE, 190, 90), at=3)
    assert found.judge(ERRORS, 10_000, first)[0].verdict is Verdict.FAIL


def test_gates_that_ask_others_are_passed_over() -> None:
    watching = gates({"webhook": {"url": "http://127.0.0.1:1/x"}}, {"error_rate": {}})
    assert [each.gate for each in evidence(*watching).judge(watching, 500)] == ["error_rate", "sample_ratio"]


def test_pairs_by_slice_count_again_and_only_there() -> None:
    by_region = gates({"segments": {"by": "region", "gate": {"agreement": {"min": "90%"}}}})
    found = evidence(*by_region, mirror=1_000)
    found.take_pairs("r", paired(30, 10))
    found.take_pairs("r", paired(10, 10, slice="region=eu"))
    found.take_pairs("r", paired(30, 1, primary=STABLE, shadow=STABLE))
    found.take_pairs("r", paired(30, 1, primary="v0"))
    found.close(1.0)
    state = found.state()
    assert (state.step.pairs.match, state.step.noise.match) == (30, 30)
    assert state.slices["region=eu"].pairs.mismatch == 10
