"""Owns what is wanted (config), where we are (states) and what is in force (generation); changes all three.

Floor 4. What it decides comes about in one of two ways (`changes`): a rollback is forced first and recorded beside it,
everything else is recorded first. Evidence comes in by itself (`trials`); `tick` looks at it, and at what time has
brought. What a failing gate asks for is a rollback as any other, and comes before everything that takes a turn.
"""

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from router.config.loader import Loaded, mask
from router.config.schema import Config
from router.control.bulletin import Bulletin
from router.control.changes import Changes
from router.control.chronicle import Chronicle
from router.control.edit import difference, prepare, recorder_settings
from router.control.facts import Rollbacks, facts_of
from router.control.gates import Gates
from router.control.in_force import InForce, Publication
from router.control.orders import Order
from router.control.scribe import Scribe
from router.control.terms import (
    Answer,
    Asked,
    Change,
    ConfigStatus,
    Counts,
    Deployment,
    Fleet,
    Move,
    NobodyAsked,
)
from router.control.trials import Trials
from router.errors import Refused
from router.rollout import ramp
from router.rollout.journal import Entry, Journal, JournalError
from router.rollout.phase import Event
from router.rollout.samples import EvidenceSample
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling
from router.telemetry.exposition import ControlFacts

_log = logging.getLogger(__name__)

CHECKPOINT = 5.0
"""Seconds between two notes of how long each step has been held, and on what evidence: what a kill -9 can cost."""

ROUTER = "router"
"""Who made a change that time or a gate brought."""


class Controller:
    """`workers` divides the limits; `adopted` is the newest generation that a worker of an earlier controller
    has in force. `asked` asks gates elsewhere. `clock` is monotonic, `now` Unix time, both in seconds.

    Raises JournalError when the journal can't be read. `order` and `rollback` say who acts, and why, in the history;
    `seen` is the generation on whose sight that is done. They raise Refused: 404, and 412 if the deployment has changed
    since `seen`.
    """

    def __init__(
        self,
        journal: Journal,
        fleet: Fleet,
        ledger: Counts,
        workers: int,
        adopted: int = 0,
        *,
        asked: Asked | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.bulletin = Bulletin()
        self._journal = journal
        self._fleet = fleet
        self._ledger = ledger
        self._clock = clock
        self._now = now
        self._force = InForce(fleet, workers, max(journal.generation(), adopted), clock)
        self._trials = Trials(ledger, journal.evidence(), clock, now)
        self._gates = Gates(self._trials, asked or NobodyAsked())
        self._chronicle = Chronicle(journal, self.bulletin, self.evidence, self.rulings, now)
        self._changes = Changes(Scribe(journal), self._force, self._chronicle, self._trials, self._gates)
        # Of what is in force the state noted last, of anything else the one it ended in.
        self._noted = journal.states()
        self._config: Config | None = None
        self._masked: dict[str, Any] | None = None
        self._status = ConfigStatus()
        self._warnings: tuple[str, ...] = ()
        self._checkpoint = clock()
        self._trouble = ""
        self._rollbacks = Rollbacks()

    # What is

    @property
    def generation(self) -> int:
        """The number of the newest snapshot."""
        return self._force.generation

    @property
    def in_force(self) -> bool:
        """Whether there is a snapshot, and no worker can serve anything older than the newest."""
        return self._force.everywhere

    @property
    def config(self) -> Config | None:
        """The configuration in force; None before the first."""
        return self._config

    def masked(self) -> dict[str, Any] | None:
        """The same as JSON-able data without its secrets: to be read only, for all who ask share it."""
        if self._masked is None and self._config is not None:
            self._masked = mask(self._config)
        return self._masked

    @property
    def status(self) -> ConfigStatus:
        """How the configuration stands."""
        return dataclasses.replace(self._status, warnings=self._warnings)

    def deployments(self) -> list[Deployment]:
        """All deployments in force, sorted by name."""
        return [self._force.settled(name) for name in self._force.deployments]

    def deployment(self, name: str) -> Deployment:
        """One of them. Raises Refused (404), with the names that exist."""
        return self._force.settled(name)

    def changed(self, name: str) -> int:
        """The generation in which a deployment changed last: orders with an older one as `seen` are refused."""
        return self._force.changed(name)

    def recent(self, name: str) -> list[Entry]:
        """The newest entries of a deployment that are at hand, newest first."""
        return self._chronicle.recent(name)

    async def history(self, name: str, limit: int = 100) -> list[Entry]:
        """The newest entries of a deployment, newest first, from the journal."""
        self._force.settled(name)
        return await asyncio.to_thread(self._journal.history, name, limit)

    def evidence(self, name: str) -> dict[str, dict[str, Any]]:
        """What was counted for each version of a deployment."""
        return {version: to_builtins(counts) for version, counts in self._ledger.summary(name).items()}

    def rulings(self, name: str) -> tuple[Ruling, ...]:
        """What the gates say of a deployment where it is now; nothing where it is not in force yet."""
        deployment = self._force.deployments.get(name)
        return self._gates.rulings(deployment) if deployment is not None else ()

    def report(self, name: str) -> tuple[Ruling, ...]:
        """The same for people, with intervals: about a millisecond for each gate. Raises Refused (404)."""
        return self._gates.report(self._force.settled(name))

    async def samples(self, name: str) -> list[EvidenceSample]:
        """What was counted when in the rollouts of a deployment, oldest first, from the journal."""
        self._force.settled(name)
        return await asyncio.to_thread(self._journal.samples, name)

    def facts(self) -> ControlFacts:
        """What the metrics tell of the control plane."""
        deployments = self._force.deployments
        gates = {name: self.rulings(name) for name in deployments}
        persisted = self._changes.settled
        return facts_of(self.generation, persisted, self._status, deployments, gates, self._rollbacks)

    # What the file wants

    async def apply(self, loaded: Loaded) -> None:
        """Puts a configuration in force whole: rollouts go on, begin anew or end as it says.

        Raises JournalError when that could not be written down; then nothing has changed.
        """
        prepared: dict[str, Deployment] = {}
        config = loaded.config

        def decide() -> Change:
            nonlocal prepared
            known = self._noted | self._states()
            prepared = prepare(config, known, self._force.workers, self._clock(), self._now())
            return difference(prepared, self._force.deployments, known)

        def take_effect() -> None:
            self._noted.update((name, old.state) for name, old in self._force.deployments.items())
            self._force.deployments = prepared
            self._force.for_all(config.limits.compile(self._force.workers), config.observing)
            self._gates.follow(prepared)
            self._config, self._masked = config, None
            self._status = ConfigStatus(loaded.digest, self._now())
            self._fleet.recorder_settings(recorder_settings(config))

        async with self._changes.turn:
            self._chronicle.recall(config.deployments)
            publication = await self._changes.record_first(decide, loaded.digest, take_effect)
        self.bulletin.announce({"event": "config", "digest": loaded.digest, "generation": self.generation})
        if publication is not None:
            await asyncio.shield(publication.task)

    def reject(self, error: Exception) -> None:
        """A configuration was refused: nothing changes, and it shows wherever somebody may look."""
        self._status = ConfigStatus(self._status.digest, self._status.loaded_at, str(error), self._now())
        self.bulletin.announce({"event": "config_error", "error": str(error)})

    def warn(self, warnings: tuple[str, ...]) -> None:
        """What is not as it should be with the configuration in force, until the next call; it shows in its status."""
        self._warnings = warnings

    # What time and gates bring

    async def tick(self) -> None:
        """Looks at the evidence and makes every move that it or time has brought, all in one snapshot; to be called
        several times a second."""
        await self._undo_what_fails()
        async with self._changes.turn:
            try:
                await self._changes.retry()
                publication = await self._changes.record_first(self._due, self._status.digest)
                await self._note_held_time()
            except JournalError as error:
                self._complain(str(error))
                return
        self._complain("")
        if publication is None and self._config and not self.in_force and not self._force.publishing:
            publication = self._force.publish()
        if publication is not None:
            await asyncio.shield(publication.task)

    async def _undo_what_fails(self) -> None:
        """A rollback that a gate asks for waits for nobody's turn."""
        undoing = [
            self._undo(name, move)
            for name in self._trials.look(self.deployments())
            for move in self._moves(name)
            if move.event is Event.ROLLBACK
        ]
        await asyncio.gather(*undoing)

    async def _undo(self, name: str, move: ramp.Move) -> None:
        try:
            await self.rollback(name, ROUTER, move.why, cause=move.gate)
        except Refused:
            _log.info("%s: nothing to undo any more, an edit has removed it", name)

    def _moves(self, name: str) -> tuple[ramp.Move, ...]:
        deployment = self._force.settled(name)
        return ramp.decide(deployment.course, deployment.state, self._gates.rulings(deployment))

    def _due(self) -> Change:
        states: dict[str, RolloutState] = {}
        moves: list[Move] = []
        for name in self._force.deployments:
            for move in self._moves(name):
                if move.event is Event.ROLLBACK:
                    break  # force first, by the next look
                before = states.get(name, self._force.deployments[name].state)
                states[name] = replace(move.state, who=ROUTER, why=move.why, when=self._now())
                moves.append(Move(move.event.value, before, states[name]))
        return Change(states, tuple(moves))

    async def _note_held_time(self) -> None:
        if self._clock() - self._checkpoint < CHECKPOINT:
            return
        self._checkpoint = self._clock()
        self._gates.follow(self._force.deployments)  # what is on trial for some time only may be so no more
        known = self._states()
        held = {name for name, state in known.items() if state is not self._noted.get(name)}
        fresh = {name: known[name] for name in (held | self._trials.news()) & known.keys()}
        if fresh:
            await self._changes.note(fresh)
            self._noted.update(fresh)

    def _complain(self, trouble: str) -> None:
        """Says once that the journal is in trouble, and once that it is well again."""
        if trouble and not self._trouble:
            _log.error("no rollout moves by itself while the journal can't be written: %s", trouble)
        elif self._trouble and not trouble:
            _log.warning("the journal can be written again")
        self._trouble = trouble

    # What people order

    async def order(
        self, name: str, order: Order, who: str, why: str = "", seen: int | None = None
    ) -> Answer:
        """Does what was ordered of a deployment, and answers when it is in force.

        Raises Refused (400, 409) where the order is not possible there, and JournalError when it could not be written
        down; then nothing has changed.
        """
        called = self._clock()

        def decide() -> Change:
            deployment = self._force.settled(name)
            self._force.unchanged_since(name, seen)
            before = deployment.state
            after = order.lead(deployment.course, before, self._gates.rulings(deployment))
            if after is before:
                return Change({})
            after = replace(after, who=who, why=why, when=self._now())
            return Change({name: after}, (Move(order.event.value, before, after),))

        async with self._changes.turn:
            recorded = await self._changes.record_first(decide, self._status.digest)
            publication = recorded or self._force.publish()
            state = self._force.settled(name).state
        return await self._answer(state, called, publication)

    async def rollback(
        self, name: str, who: str, why: str = "", seen: int | None = None, cause: str = "operator"
    ) -> Answer:
        """Everything to the trusted version, now. Answers when no worker can serve anything older.

        Legal in every phase; where there is nothing to undo it only makes sure. `cause` is for the metrics.
        """
        called = self._clock()
        deployment = self._force.settled(name)
        before = deployment.state
        self._force.unchanged_since(name, seen)
        said = self._gates.explaining(deployment)
        after = ramp.rollback(before)
        if after is not before:
            after = replace(after, who=who, why=why, when=self._now())
        publication, writing = self._changes.force_first(before, after, said, self._status.digest)
        if after is not before:
            self._rollbacks.count(name, cause)
        answer = await self._answer(after, called, publication)
        self._rollbacks.time(answer.applied_ms / 1000)
        return replace(answer, persisted=await self._changes.on_disk(writing))

    async def _answer(self, state: RolloutState, called: float, publication: Publication) -> Answer:
        result = await asyncio.shield(publication.task)
        return Answer(
            deployment=state.deployment,
            phase=state.phase.value,
            shares=state.shares(),
            generation=publication.generation,
            applied_ms=round((self._clock() - called) * 1000, 3),
            workers={"live": result.live, "confirmed": result.confirmed},
        )

    def _states(self) -> dict[str, RolloutState]:
        return {deployment.state.deployment: deployment.state for deployment in self.deployments()}

    async def close(self) -> None:
        """Notes how long each step has been held, and closes the journal. Nothing may be called after."""
        await self._changes.close(self._states())
