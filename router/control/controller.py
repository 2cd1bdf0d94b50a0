"""Owns what is wanted (config), where we are (states) and what is in force (generation); changes all three.

Floor 4. There are two ways to make a change:

    record first    an edit, a command, a step of the ramp: decided, written to the journal, then in force. No
                    record, no publish. One at a time: each holds `_turn` until its snapshot is on its way.
    force first     a rollback. It takes no turn, so it never waits behind a journal write that is stuck or a
                    worker that does not answer: state, snapshot and publish happen in one go on the event
                    loop's thread, and the journal is written beside it.

Evidence comes in by itself (`trials`); `tick` looks at it, and at what time has brought. What a failing gate asks
for is a rollback as any other, and comes before everything that takes a turn.

So a rollback can overtake a change whose record is being written. That change notices, by the generation,
when its write returns; it is then decided anew on what the rollback left (a promote is refused, say), and its
first record is withdrawn. The journal writes in the order it is asked, so the disk ends where memory is.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from msgspec.structs import replace

from router.config.loader import Loaded
from router.config.schema import Config
from router.control.bulletin import Bulletin
from router.control.chronicle import Chronicle
from router.control.commands import Commands
from router.control.edit import difference, prepare, recorder_settings
from router.control.facts import Rollbacks, facts_of
from router.control.in_force import InForce, Publication
from router.control.inquiries import stand_of
from router.control.scribe import Scribe, Uncertain
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
from router.rollout.course import Course
from router.rollout.journal import Entry, Journal, JournalError, Record
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


class Controller(Commands):
    """`workers` divides the limits; `adopted` is the newest generation that a worker of an earlier controller
    has in force. `asked` asks gates elsewhere. `clock` is monotonic, `now` Unix time, both in seconds.

    Raises JournalError when the journal can't be read. The commands raise Refused (400, 404, 409, 412), and
    JournalError when a change could not be written down; then nothing has changed. `seen` is the generation on whose
    sight a command is given: 412 if the deployment has changed since.
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
        self._scribe = Scribe(journal)
        self._fleet = fleet
        self._ledger = ledger
        self._clock = clock
        self._now = now
        self._turn = asyncio.Lock()
        self._force = InForce(fleet, workers, max(journal.generation(), adopted), clock)
        self._asked = asked or NobodyAsked()
        self._trials = Trials(ledger, journal.evidence(), clock, now)
        self._chronicle = Chronicle(journal, self.bulletin, self.evidence, self.rulings, now)
        # Of what is in force the state noted last, of anything else the one it ended in.
        self._noted = journal.states()
        self._config: Config | None = None
        self._status = ConfigStatus()
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

    @property
    def status(self) -> ConfigStatus:
        """How the configuration stands."""
        return self._status

    def deployments(self) -> list[Deployment]:
        """All deployments in force, sorted by name."""
        return [self._force.settled(name) for name in self._force.deployments]

    def deployment(self, name: str) -> Deployment:
        """One of them. Raises Refused (404), with the names that exist."""
        return self._force.settled(name)

    def changed(self, name: str) -> int:
        """The generation in which a deployment changed last: commands with an older one as `seen` are refused."""
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
        return {version: asdict(counts) for version, counts in self._ledger.summary(name).items()}

    def rulings(self, name: str) -> tuple[Ruling, ...]:
        """What the gates say of a deployment where it is now; nothing where it is not in force yet."""
        deployment = self._force.deployments.get(name)
        if deployment is None:
            return ()
        return (*self._trials.rulings(deployment.state), *self._asked.rulings(name))

    def report(self, name: str) -> tuple[Ruling, ...]:
        """The same for people, with intervals: about a millisecond for each gate. Raises Refused (404)."""
        return (*self._trials.report(self._force.settled(name)), *self._asked.rulings(name))

    async def samples(self, name: str) -> list[EvidenceSample]:
        """What was counted when in the rollouts of a deployment, oldest first, from the journal."""
        self._force.settled(name)
        return await asyncio.to_thread(self._journal.samples, name)

    def facts(self) -> ControlFacts:
        """What the metrics tell of the control plane."""
        deployments = self._force.deployments
        gates = {name: self.rulings(name) for name in deployments}
        persisted = self._scribe.settled
        return facts_of(self.generation, persisted, self._status, deployments, gates, self._rollbacks)

    # Record first

    async def apply(self, loaded: Loaded) -> None:
        """Puts a configuration in force whole: rollouts go on, begin anew or end as it says."""
        prepared: dict[str, Deployment] = {}
        config = loaded.config

        def decide() -> Change:
            nonlocal prepared
            known = self._noted | {
                deployment.state.deployment: deployment.state for deployment in self.deployments()
            }
            prepared = prepare(config, known, self._force.workers, self._clock(), self._now())
            return difference(prepared, self._force.deployments, known)

        def take_effect() -> None:
            self._noted.update((name, old.state) for name, old in self._force.deployments.items())
            self._force.deployments = prepared
            self._force.for_all(config.limits.compile(self._force.workers), config.observing)
            self._follow()
            self._config = config
            self._status = ConfigStatus(loaded.digest, self._now())
            self._fleet.recorder_settings(recorder_settings(config))

        async with self._turn:
            self._chronicle.recall(config.deployments)
            publication = await self._recorded(decide, take_effect, loaded.digest)
        self.bulletin.announce({"event": "config", "digest": loaded.digest, "generation": self.generation})
        if publication is not None:
            await asyncio.shield(publication.task)

    def reject(self, error: Exception) -> None:
        """A configuration was refused: nothing changes, and it shows wherever somebody may look."""
        self._status = ConfigStatus(self._status.digest, self._status.loaded_at, str(error), self._now())
        self.bulletin.announce({"event": "config_error", "error": str(error)})

    async def tick(self) -> None:
        """Looks at the evidence and makes every move that it or time has brought, all in one snapshot; to be called
        several times a second."""
        await self._undo_what_fails()
        async with self._turn:
            try:
                await self._scribe.retry()
                publication = await self._recorded(self._due)
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
        return ramp.decide(deployment.course, deployment.state, self.rulings(name))

    def _follow(self) -> None:
        """Whoever gathers evidence, or asks for it, learns where every rollout is."""
        deployments = self._force.deployments
        self._trials.follow(deployments)
        self._asked.configure(
            {
                name: stand_of(each.course, each.state)
                for name, each in deployments.items()
                if each.course.candidates
            }
        )

    async def _command(
        self,
        name: str,
        event: Event,
        move: Callable[[Course, RolloutState], RolloutState],
        who: str,
        why: str,
        seen: int | None,
    ) -> Answer:
        called = self._clock()

        def decide() -> Change:
            deployment = self._force.settled(name)
            self._force.unchanged_since(name, seen)
            before = deployment.state
            after = move(deployment.course, before)
            if after is before:
                return Change({})
            after = replace(after, who=who, why=why, when=self._now())
            return Change({name: after}, (Move(event.value, before, after),))

        async with self._turn:
            publication = await self._recorded(decide) or self._force.publish()
            state = self._force.settled(name).state
        return await self._answer(state, called, publication)

    async def _recorded(
        self,
        decide: Callable[[], Change],
        take_effect: Callable[[], None] = lambda: None,
        digest: str | None = None,
    ) -> Publication | None:
        """Decides, writes, then puts in force; None where there was nothing to change for a worker.

        `take_effect` does what else belongs to the change. `digest` is of the configuration it makes valid.
        """
        superseded: list[Record] = []
        try:
            while True:
                change = decide()
                if not change.states and not change.moves:
                    take_effect()
                    return self._force.catch_up()
                generation = self.generation + 1
                entries = tuple(self._entry(move, generation, digest) for move in change.moves)
                record = self._record(generation, change.states, entries, _ids(superseded))
                try:
                    await self._scribe.ask(record)
                except (Uncertain, asyncio.CancelledError):
                    superseded.append(record)
                    raise
                self._trials.saved(record)
                if self.generation + 1 == generation:
                    superseded.clear()
                    take_effect()
                    self._chronicle.tell(entries)
                    return self._put(change.states, [move.after.deployment for move in change.moves])
                superseded.append(record)
        finally:
            self._take_back(superseded)

    def _take_back(self, records: list[Record]) -> None:
        """These may have reached the disk and never took effect: what is in force is written over them."""
        if not records:
            return
        names = {state.deployment for record in records for state in record.states}
        known = self._force.deployments
        states = tuple(known[name].state for name in sorted(names & known.keys()))
        self._scribe.owe(Record(self.generation, states, withdrawn=_ids(records)))

    def _due(self) -> Change:
        states: dict[str, RolloutState] = {}
        moves: list[Move] = []
        for deployment in self.deployments():
            before = deployment.state
            for move in ramp.decide(deployment.course, before, self.rulings(before.deployment)):
                if move.event is Event.ROLLBACK:
                    break  # force first, by the next look
                after = replace(move.state, who=ROUTER, why=move.why, when=self._now())
                moves.append(Move(move.event.value, before, after))
                states[after.deployment] = before = after
        return Change(states, tuple(moves))

    async def _note_held_time(self) -> None:
        if self._clock() - self._checkpoint < CHECKPOINT:
            return
        self._checkpoint = self._clock()
        self._follow()  # what is on trial for some time only may be so no more
        known = {deployment.state.deployment: deployment.state for deployment in self.deployments()}
        held = {name for name, state in known.items() if state is not self._noted.get(name)}
        fresh = {name: known[name] for name in (held | self._trials.news()) & known.keys()}
        if fresh:
            record = self._record(self.generation, fresh)
            await self._scribe.ask(record)
            self._trials.saved(record)
            self._noted.update(fresh)

    def _record(
        self,
        generation: int,
        states: Mapping[str, RolloutState],
        entries: tuple[Entry, ...] = (),
        withdrawn: tuple[int, ...] = (),
    ) -> Record:
        """States, and the evidence they were reached on: never one without the other."""
        moved = {entry.deployment for entry in entries}
        self._trials.cut(moved)
        kept = self._trials.kept(states.keys() | moved)
        return Record(generation, tuple(states.values()), entries, withdrawn, *kept)

    def _complain(self, trouble: str) -> None:
        """Says once that the journal is in trouble, and once that it is well again."""
        if trouble and not self._trouble:
            _log.error("no rollout moves by itself while the journal can't be written: %s", trouble)
        elif self._trouble and not trouble:
            _log.warning("the journal can be written again")
        self._trouble = trouble

    # Force first

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
        said, elsewhere = self._trials.explaining(deployment), self._asked.rulings(name)
        after = ramp.rollback(before)
        changed = after is not before
        if changed:
            after = replace(after, who=who, why=why, when=self._now())
        publication = self._put({name: after})
        number = self._chronicle.number()  # now, so that the history has it before what comes meanwhile
        writing = self._scribe.owe(Record(publication.generation, (after,)))
        # Let the snapshot leave before the evidence for the history is gathered.
        await asyncio.sleep(0)
        if changed:
            move = Move(Event.ROLLBACK.value, before, after, (*said(), *elsewhere))
            entry = self._chronicle.entry(number, move, publication.generation, self._status.digest)
            record = self._record(publication.generation, {}, (entry,))
            writing = self._scribe.owe(record)
            self._trials.saved(record)
            self._rollbacks.count(name, cause)
            self._chronicle.tell((entry,))
        answer = await self._answer(after, called, publication)
        self._rollbacks.time(answer.applied_ms / 1000)
        return replace(answer, persisted=await self._scribe.on_disk(writing))

    # Both

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

    def _put(self, states: Mapping[str, RolloutState], touched: Iterable[str] = ()) -> Publication:
        publication = self._force.put(states, touched)
        self._follow()
        return publication

    def _entry(self, move: Move, generation: int, digest: str | None) -> Entry:
        digest = self._status.digest if digest is None else digest
        return self._chronicle.entry(self._chronicle.number(), move, generation, digest)

    async def close(self) -> None:
        """Notes how long each step has been held, and closes the journal. Nothing may be called after."""
        states = {deployment.state.deployment: deployment.state for deployment in self.deployments()}
        await self._scribe.on_disk(self._scribe.owe(self._record(self.generation, states)))
        await self._scribe.close()


def _ids(records: Iterable[Record]) -> tuple[int, ...]:
    return tuple(entry.id for record in records for entry in record.entries)
