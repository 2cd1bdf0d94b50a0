"""A controller with a fake fleet, a real journal and a clock that the test moves."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from router.channel import RecorderSettings
from router.config.loader import Loaded
from router.config.schema import Config
from router.control.controller import Controller
from router.control.scribe import Scribe
from router.control.terms import Confirmation
from router.patterns.plan import Snapshot, decode_snapshot
from router.rollout.journal import Journal, Record
from router.rollout.state import RolloutState
from router.telemetry.ledger import Ledger

_T = TypeVar("_T")

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
        controller._changes._scribe = Scribe(self.journal, patience=0.25)
        return controller

    async def stuck(self, doing: Coroutine[Any, Any, _T]) -> "asyncio.Task[_T]":
        """Begins it; returns when it hangs on the disk, where it stays until `journal.well` is set."""
        self.journal.begun.clear()
        self.journal.well.clear()
        task = asyncio.create_task(doing)
        await until(self.journal.begun.is_set)
        return task

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


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)
