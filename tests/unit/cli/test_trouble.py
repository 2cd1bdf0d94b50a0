from typing import Any

import pytest

from router.channel import RecorderTally, SinkTally
from router.cli.trouble import Condition, condition, problems
from router.rollout.phase import Phase
from router.telemetry.exposition import ControlFacts, Exposition, FleetFacts
from router.telemetry.ledger import Ledger

FINE = Condition({"serving": 2, "starting": 0}, (), persisted=True)
CONFIG = {"config": {"workers": 2}, "status": {"error": None}}


class Facts:
    """What the controller or the supervisor tells the metrics."""

    def __init__(self, facts: Any) -> None:
        self._facts = facts

    def facts(self) -> Any:
        return self._facts


def page(control: ControlFacts, fleet: FleetFacts, ledger: Ledger | None = None) -> str:
    exposition = Exposition(ledger or Ledger(), Facts(control), Facts(fleet), tuple(Phase))
    return exposition.render()[0].decode()


def test_the_condition_is_read_from_the_routers_own_metrics() -> None:
    good, bad = "http://10.0.0.1:9001", 'http://10.0.0.2:9002/a"b'
    control = ControlFacts(persisted=False, endpoints=(("loan", "v1", good), ("loan", "v2", bad)))
    fleet = FleetFacts(workers={"serving": 1, "starting": 1}, down=frozenset({bad}))
    assert condition(page(control, fleet)) == Condition(
        {"serving": 1, "starting": 1}, (("loan", "v2", bad),), persisted=False
    )


def test_sinks_that_fail_are_read_with_what_waits_for_them() -> None:
    ledger = Ledger()
    sinks = (SinkTally("good", 1, {}, 3), SinkTally("bad", 1, {}, 4, "away"))
    ledger.recorder_tally("r", RecorderTally((), (), sinks=sinks))
    text = page(ControlFacts(), FleetFacts(), ledger)
    assert condition(text).failing_sinks == {"bad": 4}


def test_nothing_is_wrong() -> None:
    assert problems(CONFIG, FINE) == []
    assert condition(page(ControlFacts(), FleetFacts())) == Condition({}, (), persisted=True)


@pytest.mark.parametrize(
    ("config", "found", "said"),
    [
        (CONFIG, Condition({"serving": 1}, (), True), "only 1 of 2 workers serve"),
        (CONFIG, Condition({"serving": 2, "starting": 1}, (), True), "only 2 of 3 workers serve"),
        (
            CONFIG | {"config": {"workers": "auto"}},
            Condition({"starting": 1}, (), True),
            "only 0 of 1 workers",
        ),
        (
            CONFIG,
            Condition({"serving": 2}, (("loan", "v2", "http://x"),), True),
            "loan v2: endpoint http://x",
        ),
        (CONFIG, Condition({"serving": 2}, (), False), "not on disk"),
        (
            CONFIG,
            Condition({"serving": 2}, (), True, {"webhook": 1}),
            "sink webhook cannot be reached, 1 pair waiting",
        ),
        (
            CONFIG | {"status": {"error": "a.yaml:3: no\na.yaml:4: \x1bno"}},
            FINE,
            "\na.yaml:3: no\na.yaml:4: no",
        ),
        (
            CONFIG | {"status": {"error": None, "warnings": ["k.pem is not \x1bthe key"]}},
            FINE,
            "a certificate can't be renewed: k.pem is not the key",
        ),
    ],
)
def test_each_trouble_is_one_problem(config: dict[str, Any], found: Condition, said: str) -> None:
    (problem,) = problems(config, found)
    assert said in problem


def test_a_router_without_a_configuration_tells_what_is_known() -> None:
    assert problems(CONFIG | {"config": None}, FINE) == []
