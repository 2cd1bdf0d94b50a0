"""One rollout's evidence by itself: when it is looked at, what a mistake costs it, which samples it leaves."""

from typing import Any

import pytest

from router.channel import Histogram, SeriesTally
from router.config.schema import DeploymentSpec
from router.config.snapshot import compile_deployment, course_of, trials_of
from router.control.runs import BRISK, HURRY, LOOK, Run, place_of
from router.control.terms import Deployment
from router.rollout import ramp
from router.rollout.evidence import Evidence
from router.rollout.verdict import Verdict


def deployment(**rollout: Any) -> Deployment:
    shape = {
        "pattern": "canary",
        "stable": "v1",
        "candidate": "v2",
        "steps": [{"share": "10%", "hold": "1h"}],
        "gates": [{"error_rate": {}}],
    }
    versions = {name: {"url": "http://127.0.0.1:9001"} for name in ("v1", "v2")}
    spec = DeploymentSpec.model_validate(
        {"match": {"path": "/m"}, "versions": versions, "rollout": shape | rollout}
    )
    course = course_of("loan", spec)
    state = ramp.reconcile(course, None)
    return Deployment(spec, course, state, compile_deployment("loan", spec, state, 1), 0.0)


def begun(loan: Deployment) -> Run:
    run = Run(loan, trials_of(loan.spec, loan.course, loan.state), None, None, 0.0)
    run.place(loan)
    return run


def counted(loan: Deployment, requests: int, failed: int = 0, version: str = "v2") -> SeriesTally:
    codes, seconds = {200: requests - failed, 500: failed}, Histogram({100: requests}, 1.0)
    return SeriesTally("loan", version, "live", codes, seconds, seconds, 0, loan.state.cohort)


def test_a_failure_brings_the_next_look_forward_once() -> None:
    loan = deployment()
    run = begun(loan)
    run.take("a", counted(loan, 10))
    assert run.patience == LOOK
    run.take("a", counted(loan, 11, failed=1))
    assert run.patience == HURRY
    run.close(1.0)
    assert run.patience == LOOK
    assert begun(deployment(sticky={"header": "x-user"})).patience == BRISK


def test_what_is_judged_is_of_the_place_it_is_at() -> None:
    loan = deployment()
    run = begun(loan)
    assert run.has_news(loan)
    run.take("a", counted(loan, 2000, version="v1"))
    run.take("a", counted(loan, 40, failed=20))
    run.close(1.0)
    run.judge(loan, anew=True)
    assert run.judged == place_of(loan.state)
    assert [ruling.verdict for ruling in run.rulings if ruling.gate == "error_rate"] == [Verdict.FAIL]
    assert not run.has_news(loan)


def test_a_run_that_trips_passes_nothing_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def trip(*_: object) -> None:
        raise ZeroDivisionError

    loan = deployment()
    run = begun(loan)
    monkeypatch.setattr(Evidence, "take", trip)
    run.take("a", counted(loan, 10))
    run.take("a", counted(loan, 20))
    run.judge(loan, anew=True)
    assert {ruling.verdict for ruling in run.rulings} == {Verdict.ERROR}
    assert all(ruling.hold for ruling in run.rulings)
    assert len(caplog.records) == 1


def test_samples_hold_what_was_counted_and_of_nothing_there_is_none() -> None:
    loan = deployment()
    run = begun(loan)
    run.close(1.0)
    run.cut(1001.0)
    assert run.unsaved == []
    run.take("a", counted(loan, 30))
    run.close(2.0)
    run.cut(1002.0)
    (sample,) = run.unsaved
    assert (sample.number, sample.candidate, sample.blocks[0].whole.candidate.done) == (1, "v2", 30)
    run.note_saved(run.ran, {("loan", run.began, 1)})
    assert (run.unsaved, run.saved_at) == ([], 2.0)
