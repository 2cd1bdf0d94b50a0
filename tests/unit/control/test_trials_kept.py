"""What trials keep over restarts and edits, and what they hand to the journal."""

import pytest
from msgspec.structs import replace

from router.channel import Histogram, SeriesTally, Tally
from router.config.schema import DeploymentSpec
from router.config.snapshot import course_of
from router.control.terms import Deployment
from router.control.trials import GONE_AFTER, Trials
from router.rollout import ramp
from router.rollout.journal import Record
from router.rollout.samples import EVERY
from router.telemetry.ledger import Ledger
from tests.support.trials import Bench, spec

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
