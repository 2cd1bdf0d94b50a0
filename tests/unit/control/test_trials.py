"""The evidence of running rollouts: what comes in, when it is looked at, what is kept, and what a mistake may cost."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from router.channel import Histogram, PairTally, RecorderTally, SeriesTally, Tally
from router.config.schema import DeploymentSpec
from router.config.snapshot import compile_deployment, course_of
from router.control.runs import BRISK, HURRY, LOOK
from router.control.terms import Deployment
from router.control.trials import GONE_AFTER, Trials
from router.rollout import ramp
from router.rollout.evidence import Evidence
from router.rollout.journal import Record
from router.rollout.samples import EVERY
from router.rollout.verdict import Ruling, Verdict
from router.telemetry.ledger import Ledger

STEPS = [{"share": "10%", "mirror": "10%", "hold": "1h"}, {"share": "50%", "hold": "1h"}]
GATES: list[dict[str, Any]] = [{"error_rate": {}}]


def spec(**rollout: Any) -> DeploymentSpec:
    shape = {"pattern": "canary", "stable": "v1", "candidate": "v2", "steps": STEPS, "gates": GATES} | rollout
    versions = {name: {"url": "http://127.0.0.1:9001"} for name in ("v1", "v2", "v3")}
    return DeploymentSpec.model_validate({"match": {"path": "/m"}, "versions": versions, "rollout": shape})


def deployment(spec: DeploymentSpec, name: str = "loan") -> Deployment:
    course = course_of(name, spec)
    state = ramp.reconcile(course, None)
    return Deployment(spec, course, state, compile_deployment(name, spec, state, 1), 0.0)


class Bench:
    """One rollout, a ledger that tells what the test says, and a clock."""

    def __init__(self, **rollout: Any) -> None:
        self.time = 0.0
        self.ledger = Ledger()
        self.trials = Trials(self.ledger, {}, lambda: self.time, lambda: 1000.0 + self.time)
        self.loan = deployment(spec(**rollout))
        self.trials.follow({"loan": self.loan})

    def tell(self, requests: int, failed: int = 0, source: str = "a", version: str = "v2") -> None:
        codes = {200: requests - failed, 500: failed}
        seconds = Histogram({100: requests}, 1.0)
        row = SeriesTally("loan", version, "live", codes, seconds, seconds, 0, self.loan.state.cohort)
        self.ledger.tally(source, Tally((row,), ()))

    def look(self, seconds: float = 1.0) -> list[str]:
        self.time += seconds
        return self.trials.look([self.loan])

    def move(self, command: Callable[..., Any]) -> None:
        self.loan.state = command(self.loan.course, self.loan.state)
        self.trials.follow({"loan": self.loan})

    def gate(self, name: str = "error_rate") -> Ruling:
        return next(each for each in self.trials.rulings(self.loan.state) if each.gate == name)

    def requests(self) -> int:
        found: int = self.gate().numbers["requests"]
        return found

    def saved(self) -> Record:
        record = Record(1, (self.loan.state,), (), (), *self.trials.kept({"loan"}))
        self.trials.saved(record)
        return record

    def reborn(self, record: Record) -> None:
        """Another controller, with what the journal has."""
        self.ledger = Ledger()
        kept = {each.deployment: each for each in record.evidence}
        self.trials = Trials(self.ledger, kept, lambda: self.time, lambda: 1000.0 + self.time)
        self.trials.follow({"loan": self.loan})


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


# Over restarts and edits


def test_another_controller_goes_on_with_every_count_once() -> None:
    bench = Bench()
    bench.tell(30)
    bench.look()
    record = bench.saved()
    bench.tell(50)
    bench.look()
    bench.time += 1000
    bench.reborn(record)
    bench.tell(70)  # cumulative: 40 since the checkpoint
    bench.look()
    assert bench.requests() == 70


def test_what_was_told_before_there_was_a_trial_is_asked_of_the_ledger() -> None:
    bench = Bench()
    bench.tell(30)
    bench.look()
    record = bench.saved()
    bench.ledger = Ledger()
    kept = {each.deployment: each for each in record.evidence}
    trials = bench.trials = Trials(bench.ledger, kept, lambda: bench.time, lambda: 0.0)
    bench.tell(45)
    trials.follow({"loan": bench.loan})
    bench.look()
    assert bench.requests() == 45


def test_its_time_is_the_time_it_was_watched() -> None:
    bench = Bench()
    bench.tell(30)
    bench.look(10.0)
    (kept,) = bench.saved().evidence
    bench.time += 1000
    bench.reborn(Record(1, evidence=(kept,)))
    bench.look(5.0)
    assert bench.saved().evidence[0].ran == pytest.approx(15.0)


def test_a_process_that_an_earlier_controller_had_and_nobody_hears_of_waits_for_nothing() -> None:
    bench = Bench()
    row = SeriesTally(
        "loan", "v2", "live", {200: 1}, Histogram({}, 0), Histogram({}, 0), 500, bench.loan.state.cohort
    )
    bench.ledger.tally("dead", Tally((row,), ()))
    bench.tell(10, source="alive")
    bench.look()
    record = bench.saved()
    bench.reborn(record)
    bench.tell(10, source="alive")
    bench.look()
    assert sources(bench) == {"dead", "alive"}
    bench.look(GONE_AFTER)
    assert sources(bench) == {"alive"}
    assert bench.requests() == 11


def sources(bench: Bench) -> set[str]:
    return set(bench.trials._runs["loan"].evidence[0].state().sources)


def test_another_rollout_begins_without_evidence() -> None:
    bench = Bench()
    bench.tell(30)
    bench.look()
    record = bench.saved()
    bench.move(ramp.restart)
    bench.look()
    assert bench.requests() == 0
    bench.reborn(record)
    bench.look()
    assert bench.requests() == 0


def test_other_gates_go_on_with_what_was_counted() -> None:
    bench = Bench()
    bench.tell(1000, version="v1")
    bench.tell(100)
    bench.look()
    bench.loan = replace_spec(bench.loan, spec(gates=[{"error_rate": {}}, {"latency": {"max": "1s"}}]))
    bench.trials.follow({"loan": bench.loan})
    bench.look()
    assert {each.gate for each in bench.trials.rulings(bench.loan.state)} >= {"error_rate", "latency"}
    assert bench.requests() == 100
    bench.tell(110)
    bench.look()
    assert bench.requests() == 110


def replace_spec(old: Deployment, new: DeploymentSpec) -> Deployment:
    return Deployment(new, course_of("loan", new), old.state, old.plan, old.since)


def test_evidence_nobody_understands_is_gathered_anew(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.tell(30)
    bench.look()
    (kept,) = bench.saved().evidence
    bench.reborn(Record(1, evidence=(replace(kept, state=b"rubbish"),)))
    bench.tell(30)
    bench.look()
    assert bench.requests() == 30
    assert "not understood" in caplog.text


def test_a_deployment_that_comes_back_goes_on() -> None:
    bench = Bench()
    bench.tell(30)
    bench.look()
    bench.trials.follow({})
    assert bench.trials.look([bench.loan]) == []
    bench.trials.follow({"loan": bench.loan})
    bench.tell(35)
    bench.look()
    assert bench.requests() == 35


# For the journal


def test_only_what_changed_is_news() -> None:
    bench = Bench()
    bench.look()
    bench.saved()
    bench.look()
    assert bench.trials.news() == set()
    bench.tell(3)
    bench.look()
    assert bench.trials.news() == {"loan"}
    record = Record(1, (), (), (), *bench.trials.kept({"loan"}))
    bench.tell(5)
    bench.look()
    bench.trials.saved(record)
    assert bench.trials.news() == {"loan"}, "what came while it was written is not in it"


def test_samples_are_taken_every_ten_seconds_and_before_a_move() -> None:
    bench = Bench()
    for second in range(1, 26):
        bench.tell(second)
        bench.look(1.0)
    bench.trials.cut({"loan"})
    samples = bench.saved().samples
    assert [sample.number for sample in samples] == [1, 2, 3]
    assert [sample.ran for sample in samples] == pytest.approx([EVERY, 2 * EVERY, 25.0], abs=1.5)
    assert sum(sample.blocks[0].whole.candidate.done for sample in samples) == 25
    assert bench.saved().samples == ()


def test_the_last_sample_of_what_was_rolled_back_is_kept() -> None:
    bench = Bench()
    bench.tell(30, failed=20)
    bench.look()
    before = bench.loan.state
    bench.loan.state = ramp.rollback(before)
    bench.trials.follow({"loan": bench.loan})
    (sample,) = bench.saved().samples
    assert (sample.state, sample.blocks[0].whole.candidate.failed) == (before, 20)
    assert bench.saved() == Record(1, (bench.loan.state,))


def test_a_sick_journal_gets_longer_samples_and_none_is_lost() -> None:
    bench = Bench()
    for second in range(1, 400):
        bench.tell(second)
        bench.look(1.0)
    first = bench.saved().samples
    assert len(first) < 10
    bench.trials.cut({"loan"})
    rest = bench.saved().samples
    assert sum(block.whole.candidate.done for sample in (*first, *rest) for block in sample.blocks) == 399


# Mistakes of ours


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
