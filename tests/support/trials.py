"""Trials of one canary without a router around them: told counts, looked at, killed and begun again."""

from collections.abc import Callable
from typing import Any

from router.channel import Histogram, SeriesTally, Tally
from router.config.schema import DeploymentSpec
from router.config.snapshot import compile_deployment, course_of
from router.control.terms import Deployment
from router.control.trials import Trials
from router.rollout import ramp
from router.rollout.journal import Record
from router.rollout.verdict import Ruling
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
