"""The contract of every registered gate: a new one gets an example here, and is held to all of this."""

from typing import Any, get_args

import msgspec
import pytest
from pydantic import TypeAdapter

from router.rollout.evidence import Evidence
from router.rollout.gates import Gate
from router.rollout.gates.asking import AskingGate, Question
from router.rollout.gates.measuring import MeasuredGate, needs_pairs
from router.rollout.verdict import Ruling, Verdict
from router.shares import SHARE_PARTS
from tests.support.evidence import CANDIDATE, STABLE, evidence, gates, paired, series

KINDS = [model.model_fields["tag"].default for model in get_args(get_args(Gate)[0])]

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "error_rate": [{}, {"max": "2%"}],
    "latency": [{"max_ratio": 1.2}, {"max": "300ms"}, {"max_ratio": 1.2, "max": "300ms"}],
    "agreement": [{"min": "95%"}],
    "score": [{"min": 0.9}],
    "sample_ratio": [{}],
    "segments": [
        {"by": "region", "values": 2, "gate": {"error_rate": {"max": "2%"}}},
        {"by": "region", "values": 2, "gate": {"latency": {"max_ratio": 1.2}}},
        {"by": "region", "values": 2, "gate": {"agreement": {"min": "95%"}}},
        {"by": "region", "values": 2, "gate": {"score": {"min": 0.9}}},
    ],
    "webhook": [{"url": "http://127.0.0.1:1/ask"}],
    "prometheus": [{"url": "http://127.0.0.1:1", "query": "up", "max": 1.0}],
}
WRITTEN = [{kind: settings} for kind, all_of in EXAMPLES.items() for settings in all_of]
MEASURED = [each for each in WRITTEN if isinstance(gates(each)[0], MeasuredGate)]
ASKING = [each for each in WRITTEN if isinstance(gates(each)[0], AskingGate)]

FAST, SLOW = {0.05: 190, 0.2: 10}, {0.05: 100, 0.9: 100}


_GATES: TypeAdapter[tuple[Gate, ...]] = TypeAdapter(tuple[Gate, ...])


def name(written: dict[str, Any]) -> str:
    return str(written)


def traffic(found: Evidence, *, good: bool, seconds: int = 400) -> Evidence:
    """An even split of 200 requests a second and side, in one segment; a bad candidate is so in every way."""
    for second in range(1, seconds + 1):
        for slice in ("region=eu",):
            took = {at: n * second for at, n in FAST.items()}
            found.take("w", series(STABLE, 200 * second, 2 * second, took=took, slice=slice))
            took = {at: n * second for at, n in (FAST if good else SLOW).items()}
            sent, failed = (200 * second, 2 * second) if good else (150 * second, 30 * second)
            found.take("w", series(CANDIDATE, sent, failed, took=took, slice=slice))
        for slice in ("", "region=eu"):
            match, score = (99, 0.99) if good else (80, 0.5)
            pairs = paired(match * second, (100 - match) * second, scores={score: 100 * second}, slice=slice)
            found.take_pairs("r", pairs)
        found.close(float(second))
    return found


def said_of(written: dict[str, Any], found: Evidence, following: int = SHARE_PARTS) -> Ruling:
    return found.judge(gates(written), following)[0]


def watching(written: dict[str, Any]) -> Evidence:
    return evidence(*gates(written), share=5000, mirror=5000)


def test_every_registered_gate_has_an_example() -> None:
    assert sorted(KINDS) == sorted(EXAMPLES)


@pytest.mark.parametrize("written", WRITTEN, ids=name)
def test_it_is_written_as_one_key_and_says_its_kind(written: dict[str, Any]) -> None:
    (gate,) = gates(written)
    assert [gate.tag] == list(written)
    assert gates({gate.tag: written[gate.tag]}) == (gate,)
    (shown,) = _GATES.dump_python((gate,))
    assert list(shown) == [gate.tag]


@pytest.mark.parametrize("written", MEASURED, ids=name)
def test_a_good_candidate_passes(written: dict[str, Any]) -> None:
    found = traffic(watching(written), good=True)
    said = said_of(written, found)
    assert (said.verdict, said.hold) == (Verdict.PASS, False), said.why


@pytest.mark.parametrize("written", MEASURED, ids=name)
def test_a_bad_one_fails_or_is_held(written: dict[str, Any]) -> None:
    (gate,) = gates(written)
    said = said_of(written, traffic(watching(written), good=False, seconds=90))
    assert isinstance(gate, MeasuredGate)
    assert said.verdict is (Verdict.FAIL if gate.may_fail else Verdict.INCONCLUSIVE), said.why
    assert said.hold
    assert any(gate.limit(bound) in said.why for bound in ("ratio", "max", "min", "above", "below"))


@pytest.mark.parametrize("written", MEASURED, ids=name)
def test_without_evidence_nothing_passes_beyond_a_quarter_and_nothing_fails(written: dict[str, Any]) -> None:
    found = watching(written)
    found.close(1000.0)
    said = said_of(written, found)
    (gate,) = gates(written)
    assert isinstance(gate, MeasuredGate)
    assert said.verdict is (Verdict.INCONCLUSIVE if gate.needs_evidence else Verdict.PASS)
    assert (said.numbers["evidence_against"], said.hold, said.wait) == (1.0, False, None)


@pytest.mark.parametrize("share", [0, 500, SHARE_PARTS])
@pytest.mark.parametrize("written", MEASURED, ids=name)
def test_it_has_words_wherever_the_rollout_is(written: dict[str, Any], share: int) -> None:
    found = evidence(*gates(written), share=share, mirror=0 if share == SHARE_PARTS else 5000)
    found.take(
        "w", series(CANDIDATE, 300, 3, role="live" if share else "shadow", took={0.1: 300}, slice="region=eu")
    )
    found.close(61.0)
    for said in found.report(gates(written), SHARE_PARTS):
        assert said.why
        assert "{" not in said.why
        assert msgspec.json.decode(msgspec.json.encode(said), type=Ruling) == said


@pytest.mark.parametrize("written", MEASURED, ids=name)
def test_a_report_says_the_same_with_an_interval(written: dict[str, Any]) -> None:
    found = traffic(watching(written), good=True, seconds=5)
    plain, told = said_of(written, found), found.report(gates(written), SHARE_PARTS)[0]
    assert (told.verdict, told.hold, told.wait) == (plain.verdict, plain.hold, plain.wait)
    low, high = told.numbers["interval"]
    assert "[" in told.why
    assert low <= (high if high is not None else low)


@pytest.mark.parametrize("written", WRITTEN, ids=name)
def test_it_knows_whether_it_needs_pairs(written: dict[str, Any]) -> None:
    text = str(written)
    assert needs_pairs(gates(written)[0]) is ("agreement" in text or "score" in text)


@pytest.mark.parametrize("written", ASKING, ids=name)
def test_an_error_is_never_a_pass_and_never_a_fail(written: dict[str, Any]) -> None:
    (gate,) = gates(written)
    assert isinstance(gate, AskingGate)
    for status, body in [(500, b""), (502, b"<html>"), (0, b""), (302, b"")]:
        assert gate.ruling(status, body).verdict is Verdict.ERROR
    assert gate.trouble("connection refused").verdict is Verdict.ERROR


@pytest.mark.parametrize("written", ASKING, ids=name)
def test_it_says_what_to_send_and_hides_its_url(written: dict[str, Any]) -> None:
    (gate,) = gates(written)
    assert isinstance(gate, AskingGate)
    call = gate.call(Question("loan", "v2", "v1", 0, 3, 0.05, 0.0))
    assert call.method == "POST"
    assert call.url.startswith("http://127.0.0.1:1")
    assert "127.0.0.1" not in gate.ruling(500, b"").why
