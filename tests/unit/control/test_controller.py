"""The controller against a fake fleet, a real journal and a clock that the test moves."""

import time

import pytest

from router.control.controller import CHECKPOINT, Controller
from router.control.orders import PAUSE, PROMOTE, RESTART, RESUME, share, switch
from router.control.terms import Confirmation
from router.errors import Refused
from router.patterns.plan import decode_snapshot
from router.rollout.phase import Phase
from tests.support.controllers import (
    URL,
    Bench,
    FakeFleet,
    FakeLedger,
    SickJournal,
    deployment,
    loaded,
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
