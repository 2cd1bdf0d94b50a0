"""The controller against a fake fleet, a real journal and a clock that the test moves."""

import asyncio
import time
from collections.abc import Mapping

import pytest

from router.channel import Histogram, SeriesTally, Tally
from router.control.controller import CHECKPOINT, Controller
from router.control.inquiries import Stand
from router.control.orders import PAUSE, PROMOTE, RESTART, RESUME, share, switch
from router.control.terms import Confirmation
from router.errors import Refused
from router.patterns.plan import decode_snapshot
from router.rollout.evidence import Evidence
from router.rollout.journal import JournalError
from router.rollout.phase import Phase
from router.rollout.verdict import Ruling, Verdict
from tests.support.controllers import (
    URL,
    Bench,
    FakeFleet,
    FakeLedger,
    SickJournal,
    deployment,
    loaded,
    until,
)

# Edits


async def test_the_first_configuration_is_written_down_then_published(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    assert bench.fleet.generations() == [1]
    assert bench.fleet.share() == 1000
    assert bench.on_disk() == bench.state()
    assert [e.what for e in await bench.controller.history("loan")] == ["start"]
    assert bench.controller.in_force
    assert set(bench.fleet.settings[0].deployments) == {"loan"}


async def test_the_same_configuration_again_changes_nothing(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    await bench.controller.apply(loaded("d2"))
    assert bench.fleet.generations() == [1]
    assert bench.controller.status.digest == "d2"


async def test_an_edit_goes_on_with_a_running_rollout(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    await bench.pass_time(60)
    await bench.controller.apply(loaded("d2", loan=deployment(soak="2h")))
    assert (bench.state().step, bench.state().share) == (1, 5000)
    newest = (await bench.controller.history("loan"))[0]
    assert (newest.what, newest.who, newest.config, newest.generation) == ("config", "config", "d2", 3)


async def test_another_candidate_begins_anew_also_after_a_rollback(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    await bench.controller.rollback("loan", "anna", "bad")
    await bench.controller.apply(loaded("d2", loan=deployment(soak="2h")))
    assert bench.state().phase is Phase.ROLLED_BACK
    await bench.controller.apply(loaded("d3", loan=deployment(candidate="v3")))
    assert (bench.state().phase, bench.state().candidates) == (Phase.PROGRESSING, ("v3",))


async def test_a_deployment_that_leaves_and_comes_back_is_still_rolled_back(bench: Bench) -> None:
    both = {"loan": deployment(), "fraud": deployment()}
    await bench.controller.apply(loaded("d1", **both))
    await bench.controller.rollback("loan", "anna", "bad")
    await bench.controller.apply(loaded("d2", fraud=deployment()))
    assert [each.name for each in bench.fleet.snapshots[-1].deployments] == ["fraud"]
    with pytest.raises(Refused) as refused:
        bench.controller.deployment("loan")
    assert (refused.value.status, refused.value.known) == (404, ("fraud",))
    await bench.controller.apply(loaded("d3", **both))
    assert bench.state().phase is Phase.ROLLED_BACK
    assert [e.what for e in await bench.controller.history("loan")] == [
        "restored",
        "removed",
        "rollback",
        "start",
    ]


async def test_a_refused_configuration_shows_until_a_good_one_comes(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.controller.reject(ValueError("router.yaml:3: wrong"))
    assert bench.controller.status.error == "router.yaml:3: wrong"
    assert not bench.controller.facts().config_ok
    assert bench.fleet.generations() == [1]
    await bench.controller.apply(loaded())
    assert bench.controller.facts().config_ok


# Time


async def test_a_hold_that_is_over_advances_with_one_publish_for_all(bench: Bench) -> None:
    await bench.controller.apply(loaded("d1", a=deployment(), b=deployment()))
    await bench.pass_time(59)
    assert bench.fleet.generations() == [1]
    await bench.pass_time(1)
    assert bench.fleet.generations() == [1, 2]
    assert [each.plan.share for each in bench.fleet.snapshots[-1].deployments] == [5000, 5000]
    assert (await bench.controller.history("a"))[0].who == "router"


async def test_time_before_a_command_does_not_count_for_the_step_it_leads_to(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.time += 50
    await bench.controller.order("loan", PROMOTE, "anna")
    assert bench.state().held == 0
    await bench.pass_time(30)
    await bench.pass_time(0)
    assert (bench.state().step, bench.state().held) == (1, 30)


async def test_time_is_counted_once_over_a_crash(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    await bench.pass_time(CHECKPOINT + 35)
    await bench.pass_time(CHECKPOINT - 1)
    held = CHECKPOINT + 35
    bench.time += 1000
    await bench.reborn().apply(loaded())
    assert (bench.state().step, bench.state().held) == (0, held)
    await bench.pass_time(59 - held)
    assert bench.state().step == 0
    await bench.pass_time(1)
    assert bench.state().step == 1


async def test_the_generation_goes_on_over_a_crash_and_above_adopted_workers(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    await bench.controller.order("loan", PROMOTE, "anna")
    await bench.reborn().apply(loaded())
    assert bench.fleet.generations() == [3]
    bench.journal.close()
    bench.journal = SickJournal(bench.path)
    bench.controller = Controller(bench.journal, bench.fleet, FakeLedger(), workers=1, adopted=41)
    await bench.controller.apply(loaded())
    assert bench.controller.generation == 42


async def test_what_no_worker_confirmed_is_published_again(bench: Bench) -> None:
    class Broken(FakeFleet):
        async def publish(self, generation: int, snapshot: bytes) -> Confirmation:
            self.snapshots.append(decode_snapshot(snapshot))
            if len(self.snapshots) == 1:
                raise ConnectionError("gone")
            return self.confirmation

    bench.fleet = Broken()
    bench.controller = bench.build()
    with pytest.raises(ConnectionError):
        await bench.controller.apply(loaded())
    assert not bench.controller.in_force
    await bench.pass_time(1)
    assert bench.controller.in_force
    assert bench.fleet.generations() == [1, 1]


# Commands


async def test_a_command_answers_with_what_it_led_to(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.fleet.confirmation = Confirmation(3, 2)
    answer = await bench.controller.order("loan", PROMOTE, "anna", "looks good")
    assert (answer.deployment, answer.phase, answer.shares) == ("loan", "progressing", {"v1": 0.5, "v2": 0.5})
    assert (answer.generation, answer.persisted) == (2, True)
    assert answer.workers == {"live": 3, "confirmed": 2}
    newest = (await bench.controller.history("loan"))[0]
    assert (newest.who, newest.what, newest.why, newest.share) == ("anna", "promote", "looks good", 0.5)
    assert newest.evidence == {"v2": {"requests": 7}}


async def test_each_command_moves_the_rollout(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    phases = [
        (await bench.controller.order("loan", PAUSE, "anna")).phase,
        (await bench.controller.order("loan", RESUME, "anna")).phase,
        (await bench.controller.order("loan", share(2500), "anna")).phase,
        (await bench.controller.rollback("loan", "anna")).phase,
        (await bench.controller.order("loan", RESTART, "anna")).phase,
    ]
    assert phases == ["paused", "progressing", "paused", "rolled_back", "progressing"]
    assert bench.fleet.generations() == [1, 2, 3, 4, 5, 6]
    assert [e.what for e in bench.controller.recent("loan")] == [
        "restart", "rollback", "share", "resume", "pause", "start",
    ]  # fmt: skip


async def test_a_switch_moves_everything(bench: Bench) -> None:
    colours = {"pattern": "blue_green", "blue": "v1", "green": "v2"}
    spec = deployment() | {"rollout": colours}
    await bench.controller.apply(loaded("d1", loan=spec))
    answer = await bench.controller.order("loan", switch("green"), "anna")
    assert (answer.phase, answer.shares) == ("promoted", {"v1": 0.0, "v2": 1.0})
    again = await bench.controller.order("loan", switch("green"), "anna")
    assert again.generation == answer.generation
    await bench.reborn().apply(loaded("d1", loan=spec))
    assert bench.state().live == "v2"


async def test_what_the_phase_forbids_changes_nothing(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    with pytest.raises(Refused, match="resume is not possible while progressing"):
        await bench.controller.order("loan", RESUME, "anna")
    assert bench.fleet.generations() == [1]


async def test_a_rollback_repeated_makes_sure_and_adds_no_event(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    first = await bench.controller.rollback("loan", "anna", "bad")
    second = await bench.controller.rollback("loan", "bob", "again")
    assert (first.phase, second.phase) == ("rolled_back", "rolled_back")
    assert second.generation > first.generation
    assert [e.who for e in await bench.controller.history("loan")] == ["anna", "config"]
    facts = bench.controller.facts()
    assert facts.rollbacks == {("loan", "operator"): 1}
    assert sum(facts.rollback_apply.counts.values()) == 2


async def test_rolling_back_what_does_not_exist_names_what_does(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    with pytest.raises(Refused, match="there is loan") as refused:
        await bench.controller.rollback("lone", "anna")
    assert refused.value.status == 404


async def test_with_200_deployments_a_rollback_costs_few_milliseconds(bench: Bench) -> None:
    await bench.controller.apply(loaded("d1", **{f"d{n:03}": deployment() for n in range(200)}))
    costs = []
    for n in range(0, 200, 20):
        began = time.thread_time()
        await bench.controller.rollback(f"d{n:03}", "anna")
        costs.append(time.thread_time() - began)
    # The fake fleet decodes every snapshot in the same thread: that is in the bound.
    assert min(costs) < 0.02


# Gates


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
    await bench.controller.apply(loaded("d1", loan=GATED))
    tell(bench, "v1", 2000)
    tell(bench, "v2", 40, failed=20)
    promoting = await bench.stuck(bench.controller.order("loan", PAUSE, "bob"))
    bench.time += 1
    ticking = asyncio.create_task(bench.controller.tick())
    await until(lambda: bench.fleet.share() == 0)
    bench.journal.well.set()
    with pytest.raises((JournalError, Refused)):
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


# Telling


async def test_every_change_is_announced_and_a_slow_listener_misses_the_oldest(bench: Bench) -> None:
    with bench.controller.bulletin.listen() as listening:
        await bench.controller.apply(loaded())
        await bench.controller.rollback("loan", "anna", "bad")
        news = [await listening.next() for _ in range(3)]
        assert [each["event"] for each in news] == ["start", "config", "rollback"]
        assert (news[2]["deployment"], news[2]["who"], news[2]["phase"]) == ("loan", "anna", "rolled_back")
        for number in range(1000):
            bench.controller.bulletin.announce({"event": "noise", "number": number})
        assert listening.missed > 0
        assert (await listening.next())["number"] == listening.missed
    bench.controller.bulletin.announce({"event": "nobody listens"})


async def test_facts_tell_shares_phases_and_endpoints(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    facts = bench.controller.facts()
    assert facts.shares == {("loan", "v1"): 0.9, ("loan", "v2"): 0.1}
    assert facts.phases == {"loan": "progressing"}
    assert ("loan", "v3", URL) in facts.endpoints
    assert facts.generation == 1
