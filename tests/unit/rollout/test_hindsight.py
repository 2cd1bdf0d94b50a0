"""Other gates over what was counted: the real rules, at the places where the rollout really was."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from router.rollout import ramp
from router.rollout.course import Course, Rung
from router.rollout.evidence import Evidence
from router.rollout.evidence_counts import Block, Exposed, Sample
from router.rollout.evidence_state import Trial
from router.rollout.gates import Gate
from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.gates.webhook import WebhookGate
from router.rollout.hindsight import Hindsight, look_back, rollouts
from router.rollout.phase import Event, Phase
from router.rollout.samples import EvidenceSample
from router.rollout.verdict import Verdict
from tests.support.properties import examples
from tests.support.rollouts import AT_10, BAD, GOOD, arm, samples

RUNGS = (Rung(1000, hold=60.0), Rung(5000, hold=60.0))
LENIENT = ErrorRateGate(max_ratio=20.0, pass_ratio=100.0)
STRICT = ErrorRateGate(max_ratio=1.0, pass_ratio=2.0)


def course(*gates: Gate, rungs: tuple[Rung, ...] = RUNGS) -> Course:
    return Course("loan", "canary", "v1", ("v3",), rungs, gates=gates)


def look(found: list[EvidenceSample], *gates: Gate, rungs: tuple[Rung, ...] = RUNGS) -> Hindsight:
    return look_back(course(*gates, rungs=rungs), Trial("v1", "v3", gates), found)


def test_a_good_rollout_would_have_gone_on_as_soon_as_its_hold_was_over() -> None:
    found = look(GOOD, STRICT)
    assert (found.candidate, found.stable, found.began) == ("v2", "v1", 4)
    assert (found.first, found.last) == (1010.0, 1320.0)
    first, second = found.stays
    assert (first.step, first.event, first.since, first.until) == (0, "advance", 0.0, 200.0)
    assert 60.0 <= first.at < 200.0
    assert (second.step, second.event, second.at) == (1, "complete", 260.0)
    assert (first.requests, second.requests) == (2000, 6000)
    assert "its gates pass: error_rate" in first.why


def test_a_gate_that_is_content_leads_on_when_the_hold_is_over() -> None:
    assert [stay.at - stay.since for stay in look(GOOD, LENIENT).stays] == [60.0, 60.0]


def test_stricter_gates_would_have_rolled_it_back_and_what_came_after_is_not_known() -> None:
    assert [stay.event for stay in look(BAD, LENIENT).stays] == ["advance", "complete"]
    (stay,) = look(BAD, STRICT).stays
    assert (stay.event, stay.until) == ("rollback", 200.0)
    assert 0 < stay.at <= 60
    assert "error_rate: error ratio 5" in stay.why


def test_it_says_the_same_as_the_evidence_would_have_at_the_time() -> None:
    evidence = Evidence(Trial("v1", "v2", (STRICT,)))
    evidence.expose(4, 1000, 0)
    failed_at = None
    for sample in samples(AT_10, 0.05, 20):
        evidence.close(sample.ran)
        evidence.apply(sample.blocks[0])
        (ruling, _) = evidence.judge((STRICT,), 5000)
        if ruling.verdict is Verdict.FAIL and failed_at is None:
            failed_at = sample.ran
    assert failed_at == look(BAD, STRICT).stays[0].at


def test_too_little_evidence_would_have_held_and_why_is_said() -> None:
    found = look(list(samples(AT_10, 0.01, 12, rps=0.5)), STRICT)
    (stay,) = found.stays
    assert (stay.event, stay.at) == ("hold", 120.0)
    assert stay.why.startswith("error_rate: ")
    (stay,) = look(list(samples(AT_10, 0.01, 3)), STRICT).stays
    assert stay.event == "hold"


def test_a_pause_is_ended_by_fails_only() -> None:
    paused = replace(AT_10, phase=Phase.PAUSED)
    (stay,) = look(list(samples(paused, 0.01, 20)), STRICT).stays
    assert (stay.event, stay.why) == ("hold", "paused: only a fail would have ended it")
    (stay,) = look(list(samples(paused, 0.5, 20)), STRICT).stays
    assert stay.event == "rollback"


def test_where_no_step_has_the_share_only_fails_mean_anything() -> None:
    rungs = (Rung(2000, hold=10.0), Rung(5000, hold=10.0))
    first, second = look(GOOD, STRICT, rungs=rungs).stays
    assert (first.step, first.event) == (None, "hold")
    assert (second.step, second.event) == (1, "complete")
    assert look(BAD, STRICT, rungs=rungs).stays[0].event == "rollback"


def test_a_step_that_stands_elsewhere_now_is_found_by_its_share() -> None:
    rungs = (Rung(100, hold=10.0), Rung(1000, pause=True), Rung(1000, hold=10.0), Rung(5000, hold=10.0))
    assert [stay.step for stay in look(GOOD, STRICT, rungs=rungs).stays] == [2, 3]


def test_what_gates_elsewhere_would_have_said_is_taken_for_granted() -> None:
    assert [stay.event for stay in look(GOOD, WebhookGate(url="http://a/")).stays] == ["advance", "complete"]


def test_rollouts_and_candidates_are_told_apart() -> None:
    other = [replace(sample, candidate="v9") for sample in samples(AT_10, 0.01, 2)]
    later = list(samples(replace(AT_10, began=9, cohort=9), 0.01, 3))
    mixed = [*GOOD[:1], other[0], *GOOD[1:2], other[1], *later]
    assert [(len(each), each[0].candidate) for each in rollouts(mixed)] == [(2, "v2"), (2, "v9"), (3, "v2")]
    assert rollouts([]) == []


@settings(max_examples=examples(30))
@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 50)), min_size=1, max_size=12),
    st.integers(1, 1000),
)
def test_the_stays_follow_the_rollout_as_it_was(counts: list[tuple[int, int]], share: int) -> None:
    state = replace(AT_10, share=share)
    found = []
    for number, (requests, failed) in enumerate(counts):
        whole = Sample(arm(requests, min(failed, requests)), arm(1000, 10))
        block = Block(4, Exposed(share), number * 10.0, number * 10.0 + 10, whole)
        found.append(EvidenceSample(number, number * 10.0 + 10, 0.0, state, "v2", (block,)))
    (stay,) = look(found, STRICT).stays
    assert stay.since <= stay.at <= stay.until == len(counts) * 10.0
    assert stay.event in ("hold", Event.ROLLBACK)
    assert ramp.rollback(state).phase is Phase.ROLLED_BACK


def test_a_soak_would_have_ended_by_itself() -> None:
    soaking = replace(AT_10, phase=Phase.SOAKING, step=2, share=10_000)
    way = replace(course(STRICT), soak=30.0)
    (stay,) = look_back(way, Trial("v1", "v2", (STRICT,)), list(samples(soaking, 0.01, 6))).stays
    assert (stay.step, stay.event, stay.at) == (2, "soaked", 30.0)
