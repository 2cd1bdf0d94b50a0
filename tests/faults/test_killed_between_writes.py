"""A controller that is killed at any write of its journal: the next one goes on at the same step, on the same
evidence, with time and counts taken once.

The clock and the traffic are simulated, so that a run with a kill can be compared with one without. Workers live
through it all, as real ones do: they go on under the last snapshot, and tell a new controller all they counted.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.channel import RecorderSettings, Tally
from router.config.loader import Loaded
from router.config.schema import Config
from router.control.controller import CHECKPOINT, Controller
from router.control.terms import Confirmation
from router.patterns.plan import Plan, decode_snapshot
from router.rollout.journal import Journal, Record
from router.rollout.state import RolloutState
from router.shares import SHARE_PARTS
from router.telemetry.counters import VersionCounter
from router.telemetry.ledger import Ledger
from tests.support.properties import examples

TICK = 0.5
RATE = 200
"""Requests each worker gets in a tick."""

LONGEST = 300.0


class Killed(BaseException):
    """The process ends here."""


class DyingJournal(Journal):
    """Dies at its n-th write: with the record on disk (`kept`) or without. 0: never."""

    def __init__(self, path: Path, dies_at: int, kept: bool) -> None:
        self.writes = -1  # opening it is none
        self.dies_at = dies_at
        self.kept = kept
        super().__init__(path)

    def write(self, *records: Record) -> None:
        self.writes += 1
        dies = self.dies_at and self.writes == self.dies_at
        if dies and not self.kept:
            raise Killed
        super().write(*records)
        if dies:
            raise Killed


@dataclass
class Worker:
    """Counts by the plan it has in force, as a real one does: cumulative, by cohort."""

    name: str
    failing: float
    plan: Plan = field(default_factory=lambda: Plan("v1"))
    counters: dict[tuple[str, int], VersionCounter] = field(default_factory=dict)

    def work(self) -> None:
        mine = RATE * self.plan.share // SHARE_PARTS
        self._answer("v2", mine, round(mine * self.failing))
        self._answer("v1", RATE - mine, (RATE - mine) // 100)

    def _answer(self, version: str, requests: int, failed: int) -> None:
        cohort = self.plan.cohort
        counter = self.counters.setdefault((version, cohort), VersionCounter("loan", version, "live", cohort))
        for number in range(requests):
            counter.start()
            counter.finish(500 if number < failed else 200, 0.01, 0.01)

    def told(self) -> Tally:
        rows = [counter.tally() for counter in self.counters.values()]
        return Tally(tuple(row for row in rows if row is not None), ())

    def retell(self) -> None:
        for counter in self.counters.values():
            counter.touch()


class World:
    """Workers that live on, and one controller after the other."""

    def __init__(self, path: Path, failing: float, dies_at: int = 0, kept: bool = False) -> None:
        self.path = path
        self.time = 0.0
        self.workers = [Worker("a", failing), Worker("b", failing)]
        self.places: list[tuple[str, int, int]] = []
        self.entered: dict[int, float] = {}
        self.writes = 0
        self.config = _config()
        self.begin(DyingJournal(path, dies_at, kept))

    def begin(self, journal: DyingJournal) -> None:
        self.journal = journal
        self.ledger = Ledger()
        clock = lambda: self.time  # noqa: E731
        self.controller = Controller(journal, self, self.ledger, len(self.workers), clock=clock, now=clock)
        for worker in self.workers:
            worker.retell()

    async def publish(self, generation: int, snapshot: bytes) -> Confirmation:
        plan = decode_snapshot(snapshot).deployments[0].plan
        for worker in self.workers:
            worker.plan = plan
        return Confirmation(len(self.workers), len(self.workers))

    def recorder_settings(self, settings: RecorderSettings) -> None:
        """There is none here."""

    @property
    def state(self) -> RolloutState:
        return self.controller.deployment("loan").state

    async def run(self) -> None:
        """Until the rollout has ended."""
        await self.surviving(self.controller.apply(self.config))
        while self.time < LONGEST:
            await self.half_a_second()
            self.note()
            if self.state.phase in ("promoted", "rolled_back"):
                break
        for _ in range(3):  # what was owed is written
            self.time += TICK
            await self.surviving(self.controller.tick())
            await asyncio.sleep(0.01)
        self.note()
        self.writes = self.journal.writes
        await self.controller.close()

    async def half_a_second(self) -> None:
        """Workers work and tell, the controller looks."""
        self.time += TICK
        for worker in self.workers:
            worker.work()
            self.ledger.tally(worker.name, worker.told())
        await self.surviving(self.controller.tick())

    def note(self) -> None:
        place = (self.state.phase.value, self.state.step, self.state.share)
        if not self.places or self.places[-1] != place:
            self.places.append(place)

    async def surviving(self, doing: Any) -> None:
        """Does it; when the controller dies in it, the next one takes over and reads the same file."""
        died = False
        try:
            await doing
        except Killed:
            died = True
        died = died or (self.journal.dies_at > 0 and self.journal.writes >= self.journal.dies_at)
        if died:
            writes = self.journal.writes
            self.controller._changes._scribe._thread.shutdown(wait=True)
            Journal.close(self.journal)
            self.time += 40.0  # nobody watches: a hold must not go on meanwhile
            self.begin(DyingJournal(self.path, 0, kept=False))
            self.journal.writes = writes
            await self.controller.apply(self.config)

    def counted(self) -> tuple[int, int]:
        """What the candidate answered under the present exposure: by the gates, and in truth."""
        gates = self.controller.rulings("loan")
        told = next(gate.numbers["requests"] for gate in gates if gate.gate == "error_rate")
        cohort = self.state.cohort
        return told, sum(
            sum(worker.counters["v2", cohort].codes.values())
            for worker in self.workers
            if ("v2", cohort) in worker.counters
        )


def _config() -> Loaded:
    rollout = {
        "pattern": "canary",
        "stable": "v1",
        "candidate": "v2",
        "steps": [{"share": "10%", "hold": "8s"}, {"share": "50%", "hold": "12s"}],
        "soak": "10s",
        "gates": [{"error_rate": {}}],
    }
    versions = {name: {"url": "http://127.0.0.1:9001"} for name in ("v1", "v2")}
    spec = {"match": {"path": "/m"}, "versions": versions, "rollout": rollout}
    return Loaded(Config.model_validate({"deployments": {"loan": spec}}), "d1", ())


GOOD, BAD = 0.01, 0.05


async def lived(path: Path, failing: float, dies_at: int = 0, kept: bool = False) -> World:
    world = World(path, failing, dies_at, kept)
    await world.run()
    return world


async def compare(path: Path, failing: float, dies_at: int, kept: bool) -> None:
    whole = await lived(path / "whole.db", failing)
    dies_at = 1 + dies_at % whole.writes
    broken = await lived(path / "broken.db", failing, dies_at, kept)
    assert broken.places == whole.places, f"killed at write {dies_at} of {whole.writes}"
    # 40 seconds nobody watched, and what a checkpoint may cost: never less time than without a kill.
    assert whole.time + 40 - TICK <= broken.time <= whole.time + 40 + CHECKPOINT + 2 * TICK
    again = Journal(path / "broken.db")
    try:
        entries = again.history("loan")
        ids = [entry.id for entry in entries]
        assert ids == sorted(set(ids), reverse=True)
        moves = [entry.what for entry in reversed(entries) if entry.what not in ("restored", "config")]
        if failing is GOOD:
            assert moves == ["start", "advance", "complete", "soaked"]
        assert again.states()["loan"].phase == broken.state.phase
    finally:
        again.close()


@pytest.mark.parametrize("failing", [GOOD, BAD])
async def test_a_run_without_a_kill(tmp_path: Path, failing: float) -> None:
    world = await lived(tmp_path / "db", failing)
    ends = {GOOD: [("soaking", 2, SHARE_PARTS), ("promoted", 2, SHARE_PARTS)], BAD: [("rolled_back", 0, 0)]}
    assert world.places[-len(ends[failing]) :] == ends[failing]
    assert world.writes >= 3


async def test_counts_are_taken_once_whatever_write_it_dies_at(tmp_path: Path) -> None:
    for dies_at in range(1, 5):
        world = World(tmp_path / f"{dies_at}.db", GOOD, dies_at, kept=bool(dies_at % 2))
        await world.surviving(world.controller.apply(world.config))
        left = 60
        while left:
            left -= 1
            await world.half_a_second()
            if world.state.step == 1 and world.journal.dies_at == 0:
                left = min(left, 6)
        for _ in range(4):  # nothing comes in any more, and all of it is looked at
            world.time += TICK
            await world.controller.tick()
        told, truly = world.counted()
        assert told == truly > 0
        await world.controller.close()


@settings(max_examples=examples(8))
@given(dies_at=st.integers(0, 99), kept=st.booleans(), failing=st.sampled_from([GOOD, BAD]))
def test_wherever_it_is_killed_the_rollout_goes_the_same_way(
    tmp_path_factory: pytest.TempPathFactory, dies_at: int, kept: bool, failing: float
) -> None:
    asyncio.run(compare(tmp_path_factory.mktemp("killed"), failing, dies_at, kept))


@pytest.mark.slow
@pytest.mark.parametrize("kept", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("failing", [GOOD, BAD], ids=["good", "bad"])
async def test_killed_at_every_single_write(tmp_path: Path, failing: float, kept: bool) -> None:
    writes = (await lived(tmp_path / "count.db", failing)).writes
    for dies_at in range(writes):
        directory = tmp_path / str(dies_at)
        directory.mkdir()
        await compare(directory, failing, dies_at, kept)
