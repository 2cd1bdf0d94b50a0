"""Gates judged here and gates asked elsewhere speak as one."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from router.control.gates import Gates
from router.control.inquiries import Stand
from router.control.terms import Deployment
from router.control.trials import Trials
from router.rollout import ramp
from router.rollout.course import Course, Rung
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict

HERE = Ruling("error_rate", Verdict.PASS, "few fail")
THERE = Ruling("webhook", Verdict.FAIL, "broken")


class Here:
    """Trials that say one thing, and with intervals another."""

    def __init__(self) -> None:
        self.followed: list[str] = []

    def follow(self, deployments: Mapping[str, Deployment]) -> None:
        self.followed += deployments

    def rulings(self, state: RolloutState) -> tuple[Ruling, ...]:
        return (HERE,)

    def report(self, deployment: Deployment) -> tuple[Ruling, ...]:
        return (Ruling("error_rate", Verdict.PASS, "few fail [0 %, 1 %]"),)

    def explaining(self, deployment: Deployment) -> Callable[[], tuple[Ruling, ...]]:
        return lambda: self.report(deployment)


class There:
    """Says something of one place only: told of a place, it has heard nothing of it yet."""

    def __init__(self) -> None:
        self.said: tuple[Ruling, ...] = (THERE,)
        self.stands: Mapping[str, Stand] = {}

    def configure(self, stands: Mapping[str, Stand]) -> None:
        self.stands, self.said = stands, ()

    def rulings(self, name: str) -> tuple[Ruling, ...]:
        return self.said


def placed(name: str, *candidates: str) -> Deployment:
    course = Course(name, "canary", "v1", candidates, (Rung(100, hold=60.0),) if candidates else ())
    nothing = cast(Any, None)
    return Deployment(nothing, course, ramp.reconcile(course, None), nothing, 0.0)


def test_both_are_heard() -> None:
    gates, loan = Gates(cast(Trials, Here()), There()), placed("loan", "v2")
    assert gates.rulings(loan) == (HERE, THERE)
    assert [ruling.why for ruling in gates.report(loan)] == ["few fail [0 %, 1 %]", "broken"]


def test_nobody_is_asked_where_nothing_is_on_trial() -> None:
    here, there = Here(), There()
    Gates(cast(Trials, here), there).follow({"loan": placed("loan", "v2"), "plain": placed("plain")})
    assert here.followed == ["loan", "plain"]
    assert set(there.stands) == {"loan"}


def test_what_is_explained_is_what_was_said_before_it_moved_on() -> None:
    gates, loan = Gates(cast(Trials, Here()), There()), placed("loan", "v2")
    explain = gates.explaining(loan)
    gates.follow({"loan": loan})
    assert gates.rulings(loan) == (HERE,)
    assert [ruling.why for ruling in explain()] == ["few fail [0 %, 1 %]", "broken"]
