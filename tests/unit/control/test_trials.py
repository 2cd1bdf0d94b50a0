"""The evidence of running rollouts: what comes in, when it is looked at, what is kept, and what a mistake may cost."""

import pytest
from msgspec.structs import replace

from router.channel import PairTally, RecorderTally
from router.config.schema import DeploymentSpec
from router.control.runs import BRISK, HURRY, LOOK
from router.rollout import ramp
from router.rollout.evidence import Evidence
from router.rollout.verdict import Verdict
from tests.support.trials import Bench, deployment, spec


def test_counts_are_judged_at_the_next_look_and_not_between() -> None:
    bench = Bench()
    assert bench.look() == ["loan"]
    bench.tell(30)
    assert bench.look(LOOK / 2) == []
    assert bench.requests() == 0
    assert bench.look(LOOK / 2) == ["loan"]
    assert bench.requests() == 30


def test_a_failure_of_the_candidate_brings_the_next_look_forward() -> None:
    bench = Bench()
    bench.look()
    bench.tell(30, failed=4)
    bench.tell(900, failed=1, version="v1")
    assert bench.look(HURRY / 2) == []
    assert bench.look(HURRY / 2) == ["loan"]
    assert bench.gate().numbers["failed"] == 4
    bench.tell(60, failed=4)  # no new one
    bench.tell(950, failed=9, version="v1")
    assert bench.look(HURRY) == []
    assert bench.look(LOOK) == ["loan"]


def test_where_the_split_is_taken_as_it_comes_no_failure_ends_a_block_and_looks_are_brisk() -> None:
    bench = Bench(sticky="client_ip")
    bench.look()
    bench.tell(30, failed=4)
    assert bench.look(HURRY) == []
    assert bench.look(BRISK - HURRY) == ["loan"]


def test_where_many_rollouts_run_a_verdict_that_stays_keeps_its_words_for_some_seconds() -> None:
    bench = Bench()
    many = {f"other-{number}": deployment(spec(), f"other-{number}") for number in range(20)}
    bench.trials.follow({"loan": bench.loan, **many})
    bench.look()
    bench.tell(270, version="v1")
    bench.tell(30)
    bench.look()
    assert bench.requests() == 0
    bench.look(5.0)
    assert bench.requests() == 30
    bench.tell(60, failed=20)
    bench.look()
    assert (bench.gate().verdict, bench.requests()) == (Verdict.FAIL, 60)


def test_what_led_to_a_rollback_is_explained_once_it_is_over() -> None:
    bench = Bench()
    bench.tell(2000, version="v1")
    bench.tell(40, failed=20)
    bench.look()
    explain = bench.trials.explaining(bench.loan)
    bench.move(lambda course, state: ramp.rollback(state))
    assert bench.trials.rulings(bench.loan.state) == ()
    said = next(each for each in explain() if each.gate == "error_rate")
    assert said.verdict is Verdict.FAIL
    assert said.why.startswith("error rate 50% [")
    assert bench.trials.explaining(bench.loan)() == ()


def test_what_a_process_told_before_it_died_counts() -> None:
    bench = Bench()
    bench.tell(30)
    bench.ledger.gone("a")
    bench.tell(12, source="b")
    bench.look()
    assert bench.requests() == 42


def test_a_candidate_that_fails_is_failed() -> None:
    bench = Bench()
    bench.tell(2000, failed=0, version="v1")
    bench.tell(40, failed=20)
    bench.look()
    assert bench.gate().verdict is Verdict.FAIL


def test_what_was_said_of_one_place_is_not_said_of_the_next() -> None:
    bench = Bench()
    bench.tell(30)
    bench.look()
    bench.move(ramp.promote)
    assert bench.trials.rulings(bench.loan.state) == ()
    assert bench.trials.report(bench.loan) == ()
    bench.look()
    assert bench.requests() == 0
    bench.tell(7)
    bench.look()
    assert bench.requests() == 7


def test_a_report_has_intervals() -> None:
    bench = Bench()
    bench.tell(2000, failed=20, version="v1")
    bench.tell(100, failed=1)
    bench.look()
    assert "interval" not in bench.gate().numbers
    report = next(each for each in bench.trials.report(bench.loan) if each.gate == "error_rate")
    assert report.verdict is bench.gate().verdict
    assert report.numbers["interval"]


def test_pairs_are_evidence_too() -> None:
    bench = Bench(gates=[{"agreement": {"min": "98%"}}])
    pairs = PairTally("loan", "v1", "v2", {"match": 50, "mismatch": 50}, {}, bench.loan.state.cohort)
    bench.ledger.recorder_tally("r", RecorderTally((pairs,), ()))
    bench.look()
    assert bench.gate("agreement").verdict is Verdict.FAIL


def test_nothing_is_gathered_where_nothing_is_on_trial() -> None:
    bench = Bench()
    bench.loan.state = ramp.rollback(bench.loan.state)
    bench.trials.follow({"loan": bench.loan})
    bench.tell(30)
    assert bench.look() == []
    assert bench.trials.rulings(bench.loan.state) == ()
    shadow = {"pattern": "shadow", "primary": "v1", "shadows": ["v2"]}
    versions = {name: {"url": "http://127.0.0.1:9001"} for name in ("v1", "v2")}
    ungated = DeploymentSpec.model_validate(
        {"match": {"path": "/m"}, "versions": versions, "rollout": shadow}
    )
    bench.loan = deployment(ungated)
    bench.trials.follow({"loan": bench.loan})
    assert bench.look() == []


def test_each_shadow_is_judged_by_itself() -> None:
    versions = {name: {"url": "http://127.0.0.1:9001"} for name in ("v1", "v2", "v3")}
    shadow = {
        "pattern": "shadow",
        "primary": "v1",
        "shadows": ["v2", "v3"],
        "gates": [{"agreement": {"min": "98%"}}],
    }
    bench = Bench()
    shadowed = DeploymentSpec.model_validate(
        {"match": {"path": "/m"}, "versions": versions, "rollout": shadow}
    )
    bench.trials.follow({})
    bench.loan = deployment(shadowed)
    bench.loan.state = replace(bench.loan.state, cohort=9, began=9)
    bench.trials.follow({"loan": bench.loan})
    cohort = bench.loan.state.cohort
    rows = [
        PairTally("loan", "v1", name, {verdict: 50}, {}, cohort)
        for name, verdict in (("v2", "match"), ("v3", "mismatch"))
    ]
    bench.ledger.recorder_tally("r", RecorderTally(tuple(rows), ()))
    bench.look(61.0)  # without any request of both sides it waits so long
    said = {each.why.split(":")[0]: each.verdict for each in bench.trials.rulings(bench.loan.state)}
    assert said.keys() == {"v2", "v3"}
    assert said["v3"] is Verdict.FAIL
    assert said["v2"] is not Verdict.FAIL


@pytest.mark.parametrize("method", ["judge", "take", "close"])
def test_a_gate_that_trips_passes_nothing_and_stops_nobody_else(
    method: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def trip(*_: object) -> None:
        raise ZeroDivisionError("no gate should")

    bench = Bench()
    bench.look()
    monkeypatch.setattr(Evidence, method, trip)
    bench.tell(30)
    bench.look()
    bench.look()
    said = bench.trials.rulings(bench.loan.state)
    assert {each.verdict for each in said} == {Verdict.ERROR}
    assert caplog.text.count("nothing passes any more") == 1
    bench.saved()
    bench.move(ramp.promote)


def test_a_fail_stands_on_doubtful_counts() -> None:
    bench = Bench()
    bench.tell(2000, version="v1")
    bench.tell(40, failed=20)
    bench.trials._runs["loan"]._damaged = True
    bench.look()
    assert bench.gate().verdict is Verdict.FAIL


def test_many_rollouts_are_looked_at_in_turn() -> None:
    bench = Bench()
    fleet = {f"d{n}": deployment(spec(), f"d{n}") for n in range(8)}
    bench.trials.follow(fleet)
    seen = []
    for _ in range(4):
        bench.time += 0.25
        seen.append(len(bench.trials.look(fleet.values())))
    assert max(seen) <= 4
    assert sum(seen) >= 8
