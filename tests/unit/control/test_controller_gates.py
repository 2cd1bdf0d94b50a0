"""Gates in the controller: who is asked when, what their word leads to, and what waits for none of it."""

import asyncio
from collections.abc import Mapping

import pytest

from router.channel import Histogram, SeriesTally, Tally
from router.control.controller import CHECKPOINT, Controller
from router.control.inquiries import Stand
from router.control.orders import PAUSE, RESTART, switch
from router.control.scribe import Scribe
from router.errors import Refused
from router.rollout.evidence import Evidence
from router.rollout.phase import Phase
from router.rollout.verdict import Ruling, Verdict
from tests.support.controllers import (
    Bench,
    deployment,
    loaded,
    until,
)

GATED = deployment(
    gates=[{"error_rate": {}}], steps=[{"share": "10%", "hold": "1m"}, {"share": "50%", "hold": "1m"}]
)


class FakeAsked:
    """Says what the test says, of the place it was last told of."""

    def __init__(self, *said: Ruling) -> None:
        self.said = said
        self.stands: list[Mapping[str, Stand]] = []

    def configure(self, stands: Mapping[str, Stand]) -> None:
        self.stands.append(stands)

    def rulings(self, name: str) -> tuple[Ruling, ...]:
        return self.said


def tell(bench: Bench, version: str, requests: int, failed: int = 0) -> None:
    """What one worker counted under the exposure in force."""
    seconds = Histogram({100: requests}, 1.0)
    codes = {200: requests - failed, 500: failed}
    row = SeriesTally("loan", version, "live", codes, seconds, seconds, 0, bench.state().cohort)
    bench.ledger.tally("w", Tally((row,), ()))


async def test_a_failing_gate_rolls_back_by_itself_and_the_history_says_on_what(bench: Bench) -> None:
    await bench.controller.apply(loaded("d1", loan=GATED))
    tell(bench, "v1", 2000)
    tell(bench, "v2", 40, failed=20)
    await bench.pass_time(1)
    assert (bench.state().phase, bench.fleet.share()) == (Phase.ROLLED_BACK, 0)
    entry = (await bench.controller.history("loan"))[0]
    assert (entry.who, entry.what, entry.evidence) == ("router", "rollback", {"v2": {"requests": 7}})
    failed = next(gate for gate in entry.gates if gate.gate == "error_rate")
    assert failed.verdict is Verdict.FAIL
    assert entry.why == bench.state().why
    assert entry.why.startswith("error_rate: error rate 50% (20 of 40 requests failed")
    low, high = failed.numbers["interval"]  # found once the rollback was on its way
    assert low < 0.5 < high
    assert "error rate 50% [" in failed.why
    assert bench.controller.facts().rollbacks == {("loan", "error_rate"): 1}
    await bench.pass_time(1)
    assert len(await bench.controller.history("loan")) == 2


async def test_a_failing_gate_waits_for_no_disk_and_no_turn(bench: Bench) -> None:
    bench.controller._changes._scribe = Scribe(bench.journal, patience=60)
    await bench.controller.apply(loaded("d1", loan=GATED))
    tell(bench, "v1", 2000)
    tell(bench, "v2", 40, failed=20)
    promoting = await bench.stuck(bench.controller.order("loan", PAUSE, "bob"))
    bench.time += 1
    ticking = asyncio.create_task(bench.controller.tick())
    await until(lambda: bench.fleet.share() == 0)
    assert not promoting.done(), "it holds the turn all the while"
    bench.journal.well.set()
    with pytest.raises(Refused):
        await promoting
    await ticking
    await until(lambda: bench.controller.facts().persisted)
    assert bench.on_disk().phase is Phase.ROLLED_BACK


async def test_a_step_ends_with_its_hold_and_a_pass(bench: Bench) -> None:
    await bench.controller.apply(loaded("d1", loan=GATED))
    await bench.pass_time(60)
    assert bench.state().step == 0
    tell(bench, "v1", 40_000, failed=400)
    tell(bench, "v2", 4400, failed=40)
    await bench.pass_time(1)
    assert (bench.state().step, bench.fleet.share()) == (1, 5000)
    entry = (await bench.controller.history("loan"))[0]
    assert (entry.what, entry.who) == ("advance", "router")
    assert entry.why == "step 1 of 2 was held to its end, and its gates pass: error_rate"
    assert [gate.verdict for gate in entry.gates if gate.gate == "error_rate"] == [Verdict.PASS]
    kept = bench.journal.evidence()["loan"]
    assert (kept.began, bench.on_disk().step) == (bench.state().began, 1), "state and evidence go together"
    assert bench.controller.rulings("loan") == (), "nothing is said of the new step yet"


async def test_an_edit_of_gates_or_holds_goes_on_with_the_evidence_and_a_restart_begins_anew(
    bench: Bench,
) -> None:
    await bench.controller.apply(loaded("d1", loan=GATED))
    tell(bench, "v2", 30)
    await bench.pass_time(10)
    edited = deployment(gates=[{"error_rate": {}}], steps=[{"share": "10%", "hold": "2m"}], soak="2h")
    await bench.controller.apply(loaded("d2", loan=edited))
    await bench.pass_time(1)
    assert (bench.state().held, requests(bench)) == (11, 30)
    await bench.reborn().apply(loaded("d2", loan=edited))
    tell(bench, "v2", 35)
    await bench.pass_time(1)
    assert requests(bench) == 35
    await bench.controller.order("loan", RESTART, "anna")
    await bench.pass_time(1)
    assert requests(bench) == 0


def requests(bench: Bench) -> int:
    said = next(gate for gate in bench.controller.report("loan") if gate.gate == "error_rate")
    count: int = said.numbers["requests"]
    return count


async def test_rolled_back_by_a_gate_stays_so_through_edits_and_restarts(bench: Bench) -> None:
    await bench.controller.apply(loaded("d1", loan=GATED))
    tell(bench, "v1", 2000)
    tell(bench, "v2", 40, failed=20)
    await bench.pass_time(1)
    ungated = deployment(steps=[{"share": "20%", "hold": "1m"}])
    await bench.controller.apply(loaded("d2", loan=ungated))
    await bench.reborn().apply(loaded("d2", loan=ungated))
    await bench.pass_time(1000)
    assert (bench.state().phase, bench.fleet.share()) == (Phase.ROLLED_BACK, 0)
    await bench.controller.apply(loaded("d3", loan=deployment(candidate="v3")))
    assert (bench.state().phase, bench.fleet.share()) == (Phase.PROGRESSING, 1000)


async def test_a_rollback_by_hand_needs_no_gate_that_works(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trip(*_: object) -> None:
        raise ZeroDivisionError("no gate should")

    await bench.controller.apply(loaded("d1", loan=GATED))
    for method in ("judge", "report", "close", "take", "expose", "gone"):
        monkeypatch.setattr(Evidence, method, trip)
    monkeypatch.setattr(bench.ledger, "summary", trip)
    tell(bench, "v2", 30)
    await bench.pass_time(61)
    assert (bench.state().step, bench.state().phase) == (0, Phase.PROGRESSING)
    answer = await bench.controller.rollback("loan", "anna", "bad")
    assert (answer.phase, answer.persisted, bench.fleet.share()) == ("rolled_back", True, 0)
    assert (await bench.controller.history("loan"))[0].what == "rollback"


async def test_gates_that_are_asked_elsewhere_are_told_where_it_is_and_count_like_the_others(
    bench: Bench,
) -> None:
    asked = FakeAsked(Ruling("webhook", Verdict.INCONCLUSIVE, "wait"))
    bench.controller = Controller(
        bench.journal, bench.fleet, bench.ledger, 1, asked=asked, clock=lambda: bench.time, now=lambda: 0.0
    )
    hook = {"webhook": {"url": "http://127.0.0.1:9/check"}}
    await bench.controller.apply(loaded("d1", loan=deployment(gates=[hook])))
    (gate,) = asked.stands[-1]["loan"].gates
    assert gate.tag == "webhook"
    await bench.pass_time(60)
    assert bench.state().step == 0
    before = asked.stands[-1]["loan"].place
    asked.said = (Ruling("webhook", Verdict.PASS, "well"),)
    await bench.pass_time(1)
    assert bench.state().step == 1
    assert asked.stands[-1]["loan"].place != before, "asked anew at the next step, at once"
    asked.said = (Ruling("webhook", Verdict.FAIL, "broken"),)
    await bench.pass_time(1)
    assert (bench.state().phase, bench.state().why) == (Phase.ROLLED_BACK, "webhook: broken")


async def test_a_colour_a_gate_fails_is_refused_and_one_that_fails_later_is_switched_back(
    bench: Bench,
) -> None:
    asked = FakeAsked(Ruling("webhook", Verdict.FAIL, "broken"))
    bench.controller = Controller(
        bench.journal, bench.fleet, bench.ledger, 1, asked=asked, clock=lambda: bench.time, now=lambda: 0.0
    )
    hook = {"webhook": {"url": "http://127.0.0.1:9/check"}}
    colours = {"pattern": "blue_green", "blue": "v1", "green": "v2", "keep": "1h", "gates": [hook]}
    await bench.controller.apply(loaded("d1", loan=deployment() | {"rollout": colours}))
    with pytest.raises(Refused, match="webhook fails: broken") as refused:
        await bench.controller.order("loan", switch("green"), "anna")
    assert refused.value.status == 409
    asked.said = ()
    await bench.controller.order("loan", switch("green"), "anna")
    assert bench.state().live == "v2"
    asked.said = (Ruling("webhook", Verdict.FAIL, "broken"),)
    await bench.pass_time(1)
    assert (bench.state().phase, bench.state().live) == (Phase.ROLLED_BACK, "v1")


async def test_samples_are_there_for_whoever_looks_back(bench: Bench) -> None:
    await bench.controller.apply(loaded("d1", loan=GATED))
    tell(bench, "v2", 30)
    await bench.pass_time(1)
    await bench.pass_time(CHECKPOINT + 5)
    tell(bench, "v2", 45)
    await bench.pass_time(1)
    await bench.controller.rollback("loan", "anna")
    samples = await bench.controller.samples("loan")
    assert [sample.blocks[0].whole.candidate.done for sample in samples] == [30, 15]
