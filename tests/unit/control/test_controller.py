"""The controller against a fake fleet, a real journal and a clock that the test moves."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from router.channel import Histogram, RecorderSettings, SeriesTally, Tally
from router.config.loader import Loaded
from router.config.schema import Config
from router.control.controller import CHECKPOINT, Controller
from router.control.inquiries import Stand
from router.control.scribe import Scribe
from router.control.terms import Confirmation
from router.errors import Refused
from router.patterns.plan import Snapshot, decode_snapshot
from router.rollout.evidence import Evidence
from router.rollout.journal import Journal, JournalError, Record
from router.rollout.phase import Phase
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict
from router.telemetry.ledger import Ledger

STEPS = [{"share": "10%", "mirror": "5%", "hold": "1m"}, {"share": "50%", "hold": "1m"}]
URL = "http://127.0.0.1:9001"


def deployment(**rollout: Any) -> dict[str, Any]:
    shape = {"pattern": "canary", "stable": "v1", "candidate": "v2", "steps": STEPS, "soak": "1h"}
    versions = {version: {"url": URL} for version in ("v1", "v2", "v3")}
    return {"versions": versions, "rollout": shape | rollout}


def loaded(digest: str = "d1", **deployments: dict[str, Any]) -> Loaded:
    named = deployments or {"loan": deployment()}
    spec = {name: {"match": {"path": f"/{name}"}} | body for name, body in named.items()}
    return Loaded(Config.model_validate({"deployments": spec}), digest, ())


class FakeFleet:
    """Confirms at once, unless `gate` is closed."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.settings: list[RecorderSettings] = []
        self.confirmation = Confirmation(2, 2)
        self.gate = asyncio.Event()
        self.gate.set()

    async def publish(self, generation: int, snapshot: bytes) -> Confirmation:
        self.snapshots.append(decode_snapshot(snapshot))
        assert self.snapshots[-1].generation == generation
        await self.gate.wait()
        return self.confirmation

    def recorder_settings(self, settings: RecorderSettings) -> None:
        self.settings.append(settings)

    def share(self, name: str = "loan") -> int:
        return next(each.plan.share for each in self.snapshots[-1].deployments if each.name == name)

    def generations(self) -> list[int]:
        return [snapshot.generation for snapshot in self.snapshots]


@dataclass
class Counts:
    requests: int


class FakeLedger(Ledger):
    """A real one, but for what people see."""

    def summary(self, deployment: str) -> Mapping[str, Any]:  # type: ignore[override]
        return {"v2": Counts(7)}


class SickJournal(Journal):
    """A real journal on a disk that can be full, or hang until `well` is set."""

    def __init__(self, path: Path) -> None:
        self.full = False
        self.well = threading.Event()
        self.well.set()
        self.begun = threading.Event()
        super().__init__(path)

    def write(self, *records: Record) -> None:
        self.begun.set()
        self.well.wait(20)
        if self.full:
            pages = self._connection.execute("PRAGMA page_count").fetchone()[0]
            self._connection.execute(f"PRAGMA max_page_count = {pages}")
            filler = [RolloutState(f"filler-{n}" * 20, "", "v1") for n in range(500)]
            super().write(Record(0, tuple(filler)))
        else:
            self._connection.execute("PRAGMA max_page_count = 1000000")
        super().write(*records)


class Bench:
    """A controller with everything around it in the hands of the test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.time = 100.0
        self.fleet = FakeFleet()
        self.ledger = FakeLedger()
        self.journal = SickJournal(path)
        self.controller = self.build()

    def build(self) -> Controller:
        controller = Controller(
            self.journal, self.fleet, self.ledger, workers=2, clock=lambda: self.time, now=lambda: 5000.0
        )
        controller._scribe = Scribe(self.journal, patience=0.25)
        return controller

    async def pass_time(self, seconds: float) -> None:
        self.time += seconds
        await self.controller.tick()

    def reborn(self) -> Controller:
        """A new controller on the same journal, as after kill -9: nothing of the old one was closed properly."""
        self.journal.close()
        self.journal = SickJournal(self.path)
        self.fleet, self.ledger = FakeFleet(), FakeLedger()
        self.controller = self.build()
        return self.controller

    def state(self, name: str = "loan") -> RolloutState:
        return self.controller.deployment(name).state

    def on_disk(self, name: str = "loan") -> RolloutState:
        return self.journal.states()[name]


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "router.db")
    yield bench
    bench.journal.full = False
    bench.journal.well.set()
    bench.fleet.gate.set()
    await bench.controller.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


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
    await bench.controller.promote("loan", "anna")
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
    await bench.controller.promote("loan", "anna")
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
    answer = await bench.controller.promote("loan", "anna", "looks good")
    assert (answer.deployment, answer.phase, answer.shares) == ("loan", "progressing", {"v1": 0.5, "v2": 0.5})
    assert (answer.generation, answer.persisted) == (2, True)
    assert answer.workers == {"live": 3, "confirmed": 2}
    newest = (await bench.controller.history("loan"))[0]
    assert (newest.who, newest.what, newest.why, newest.share) == ("anna", "promote", "looks good", 0.5)
    assert newest.evidence == {"v2": {"requests": 7}}


async def test_each_command_moves_the_rollout(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    phases = [
        (await bench.controller.pause("loan", "anna")).phase,
        (await bench.controller.resume("loan", "anna")).phase,
        (await bench.controller.share("loan", 2500, "anna")).phase,
        (await bench.controller.rollback("loan", "anna")).phase,
        (await bench.controller.restart("loan", "anna")).phase,
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
    answer = await bench.controller.switch("loan", "green", "anna")
    assert (answer.phase, answer.shares) == ("promoted", {"v1": 0.0, "v2": 1.0})
    again = await bench.controller.switch("loan", "green", "anna")
    assert again.generation == answer.generation
    await bench.reborn().apply(loaded("d1", loan=spec))
    assert bench.state().live == "v2"


async def test_what_the_phase_forbids_changes_nothing(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    with pytest.raises(Refused, match="resume is not possible while progressing"):
        await bench.controller.resume("loan", "anna")
    assert bench.fleet.generations() == [1]


async def test_concurrent_commands_take_turns(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    answers = await asyncio.gather(*(bench.controller.promote("loan", f"p{n}") for n in range(3)))
    assert [answer.phase for answer in answers] == ["progressing", "soaking", "promoted"]
    assert bench.fleet.generations() == [1, 2, 3, 4]
    # Nobody had to decide twice: no id was given to an entry that was then withdrawn.
    assert [entry.id for entry in await bench.controller.history("loan")] == [4, 3, 2, 1]


# A disk that is full


async def test_no_record_no_publish(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.journal.full = True
    with pytest.raises(JournalError, match="full"):
        await bench.controller.promote("loan", "anna")
    with pytest.raises(JournalError, match="full"):
        await bench.controller.apply(loaded("d2", loan=deployment(soak="2h")))
    await bench.pass_time(600)
    assert bench.fleet.generations() == [1]
    assert (bench.state().step, bench.controller.status.digest) == (0, "d1")
    bench.journal.full = False
    await bench.pass_time(0)
    assert bench.state().step == 1


async def test_a_rollback_needs_no_disk_and_is_written_when_there_is_one(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.journal.full = True
    answer = await bench.controller.rollback("loan", "anna", "bad")
    assert (answer.phase, answer.persisted, bench.fleet.share()) == ("rolled_back", False, 0)
    assert not bench.controller.facts().persisted
    await bench.pass_time(1)
    assert bench.on_disk().phase is Phase.PROGRESSING
    bench.journal.full = False
    await bench.pass_time(1)
    assert bench.on_disk().phase is Phase.ROLLED_BACK
    assert bench.controller.facts().persisted
    assert (await bench.controller.history("loan"))[0].what == "rollback"


# A disk that hangs


async def test_a_rollback_does_not_wait_for_a_promote_stuck_on_the_disk_and_wins(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.journal.begun.clear()
    bench.journal.well.clear()
    promoting = asyncio.create_task(bench.controller.promote("loan", "bob"))
    await until(bench.journal.begun.is_set)
    answer = await bench.controller.rollback("loan", "anna", "bad")
    assert (answer.phase, answer.persisted, bench.fleet.share()) == ("rolled_back", False, 0)
    with pytest.raises(JournalError, match="did not answer"):
        await promoting
    bench.journal.well.set()
    await until(lambda: bench.controller.facts().persisted)
    assert bench.on_disk().phase is Phase.ROLLED_BACK
    assert [e.what for e in await bench.controller.history("loan")] == ["rollback", "start"]


async def test_a_promote_that_was_overtaken_is_decided_again_and_refused(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.controller._scribe._patience = 5.0
    bench.journal.begun.clear()
    bench.journal.well.clear()
    promoting = asyncio.create_task(bench.controller.promote("loan", "bob"))
    await until(bench.journal.begun.is_set)
    rolling = asyncio.create_task(bench.controller.rollback("loan", "anna", "bad"))
    await until(lambda: bench.fleet.generations() == [1, 2])
    bench.journal.well.set()
    assert (await rolling).persisted
    with pytest.raises(Refused, match="rolled_back"):
        await promoting
    await until(lambda: bench.controller.facts().persisted)
    assert bench.on_disk().phase is Phase.ROLLED_BACK
    assert [e.what for e in await bench.controller.history("loan")] == ["rollback", "start"]


async def test_an_edit_that_was_overtaken_keeps_the_rollback(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.controller._scribe._patience = 5.0
    bench.journal.begun.clear()
    bench.journal.well.clear()
    applying = asyncio.create_task(bench.controller.apply(loaded("d2", loan=deployment(soak="2h"))))
    await until(bench.journal.begun.is_set)
    rolling = asyncio.create_task(bench.controller.rollback("loan", "anna", "bad"))
    await until(lambda: bench.fleet.generations() == [1, 2])
    bench.journal.well.set()
    await asyncio.gather(applying, rolling)
    assert (bench.state().phase, bench.fleet.share()) == (Phase.ROLLED_BACK, 0)
    assert bench.controller.status.digest == "d2"
    assert [e.what for e in await bench.controller.history("loan")] == ["config", "rollback", "start"]
    await bench.reborn().apply(loaded("d2", loan=deployment(soak="2h")))
    assert bench.state().phase is Phase.ROLLED_BACK


async def test_a_promote_given_up_on_is_taken_back_from_the_disk(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.journal.well.clear()
    with pytest.raises(JournalError):
        await bench.controller.promote("loan", "bob")
    bench.journal.well.set()
    await until(lambda: bench.controller.facts().persisted)
    assert bench.on_disk().step == 0
    assert [e.what for e in await bench.controller.history("loan")] == ["start"]


# A rollback


async def test_a_rollback_does_not_wait_for_a_publish_that_nobody_confirms(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.fleet.gate.clear()
    promoting = asyncio.create_task(bench.controller.promote("loan", "bob"))
    await until(lambda: bench.fleet.generations() == [1, 2])
    rolling = asyncio.create_task(bench.controller.rollback("loan", "anna", "bad"))
    await until(lambda: bench.fleet.generations() == [1, 2, 3])
    assert bench.fleet.share() == 0
    assert not bench.controller.in_force
    bench.fleet.gate.set()
    assert (await rolling).generation == 3
    assert (await promoting).generation == 2
    assert bench.controller.in_force


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


async def test_a_rollback_is_written_before_a_restart_that_follows_at_once(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    await asyncio.gather(
        bench.controller.rollback("loan", "anna", "bad"), bench.controller.restart("loan", "bob")
    )
    assert bench.state().phase is Phase.PROGRESSING
    await until(lambda: bench.controller.facts().persisted)
    assert bench.on_disk() == bench.state()
    assert [e.what for e in await bench.controller.history("loan")] == ["restart", "rollback", "start"]


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
    bench.journal.begun.clear()
    bench.journal.well.clear()
    promoting = asyncio.create_task(bench.controller.pause("loan", "bob"))
    await until(bench.journal.begun.is_set)
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
    await bench.controller.restart("loan", "anna")
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
        await bench.controller.switch("loan", "green", "anna")
    assert refused.value.status == 409
    asked.said = ()
    await bench.controller.switch("loan", "green", "anna")
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


async def test_closing_notes_the_time_held(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.time += 12
    await bench.controller.close()
    bench.journal = SickJournal(bench.path)
    assert bench.on_disk().held == 12
    bench.controller = bench.build()
