"""A hold is said when it begins, once for each gate at each place."""

from typing import Any

from msgspec.structs import replace

from router.control.bulletin import Bulletin
from router.control.holds import Holds
from router.rollout.phase import Phase
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict

HERE = RolloutState("loan", "canary", "v1", ("v2",), Phase.PROGRESSING, 1, 1000, cohort=3)
FINE = Ruling("error_rate", Verdict.PASS, "error ratio 1")
LEANS = Ruling("error_rate", Verdict.INCONCLUSIVE, "error ratio 3", hold=True)
SPLIT = Ruling("sample_ratio", Verdict.INCONCLUSIVE, "share 9%", hold=True)
FAILS = Ruling("error_rate", Verdict.FAIL, "error ratio 9", hold=True)


class Told:
    def __init__(self) -> None:
        self.news: list[dict[str, Any]] = []

    def put(self, news: dict[str, Any]) -> None:
        self.news.append(news)

    def take(self) -> list[str]:
        whys = [f"{each['event']} {each['deployment']} {each['why']}" for each in self.news]
        self.news = []
        return whys


def test_it_is_said_once_for_each_gate_at_each_place() -> None:
    bulletin, told = Bulletin(), Told()
    bulletin.attach(told)
    holds = Holds(bulletin)

    def look(state: RolloutState, *rulings: Ruling) -> list[str]:
        holds.look({"loan": (state, rulings)})
        return told.take()

    assert look(HERE, FINE) == []
    assert look(HERE, LEANS) == ["hold loan error_rate: error ratio 3"]
    assert look(HERE, LEANS, SPLIT) == ["hold loan sample_ratio: share 9%"]
    assert look(HERE, FINE) == []
    assert look(HERE, LEANS, SPLIT) == []
    assert look(replace(HERE, step=2), LEANS) == ["hold loan error_rate: error ratio 3"]
    assert look(replace(HERE, step=2, cohort=4), LEANS) == ["hold loan error_rate: error ratio 3"]


def test_a_fail_is_no_hold_and_a_deployment_that_went_is_forgotten() -> None:
    bulletin, told = Bulletin(), Told()
    bulletin.attach(told)
    holds = Holds(bulletin)
    holds.look({"loan": (HERE, [FAILS])})
    assert told.take() == []
    holds.look({"loan": (HERE, [LEANS])})
    holds.look({})
    holds.look({"loan": (HERE, [LEANS])})
    assert len(told.take()) == 2
