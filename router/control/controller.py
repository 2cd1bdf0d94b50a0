"""Owns what is wanted (config), where we are (states) and what is in force (generation); changes all three.

Floor 4. There are two ways to make a change:

    record first    an edit, a command, a step of the ramp: decided, written to the journal, then in force. No
                    record, no publish. One at a time: each holds `_turn` until its snapshot is on its way.
    force first     a rollback. It takes no turn, so it never waits behind a journal write that is stuck or a
                    worker that does not answer: state, snapshot and publish happen in one go on the event
                    loop's thread, and the journal is written beside it.

So a rollback can overtake a change whose record is being written. That change notices, by the generation,
when its write returns; it is then decided anew on what the rollback left (a promote is refused, say), and its
first record is withdrawn. The journal writes in the order it is asked, so the disk ends where memory is.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from router.channel import Histogram
from router.config.loader import Loaded
from router.config.schema import Config
from router.control.bulletin import Bulletin
from router.control.edit import difference, prepare, recorder_settings
from router.control.in_force import InForce, Publication
from router.control.scribe import Scribe, Uncertain
from router.control.terms import Answer, Change, ConfigStatus, Deployment, Evidence, Fleet, Move
from router.rollout import ramp
from router.rollout.course import Course
from router.rollout.journal import Entry, Journal, JournalError, Record
from router.rollout.phase import Event
from router.rollout.state import RolloutState
from router.spec import SHARE_PARTS
from router.telemetry.counters import bucket_of
from router.telemetry.exposition import ControlFacts

_log = logging.getLogger(__name__)

CHECKPOINT = 5.0
"""Seconds between two notes of how long each step has been held: what a kill -9 can cost it."""

RECENT = 20
"""Entries of each deployment kept at hand; the journal has them all."""

ROUTER = "router"
"""Who made a change that time brought."""


class Controller:
    """`workers` divides the limits; `adopted` is the newest generation that a worker of an earlier controller
    has in force. `clock` is monotonic, `now` Unix time, both in seconds.

    Raises JournalError when the journal can't be read. The commands raise Refused (400, 404, 409), and
    JournalError when a change could not be written down; then nothing has changed.
    """

    def __init__(
        self,
        journal: Journal,
        fleet: Fleet,
        ledger: Evidence,
        workers: int,
        adopted: int = 0,
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
        self._last_id = journal.last_id()
        # Of what is in force the state noted last, of anything else the one it ended in.
        self._noted = journal.states()
        self._recent: dict[str, deque[Entry]] = {}
        self._config: Config | None = None
        self._status = ConfigStatus()
        self._checkpoint = clock()
        self._trouble = ""
        self._rollbacks: dict[tuple[str, str], int] = {}
        self._rollback_apply = Histogram({}, 0.0)

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

    def recent(self, name: str) -> list[Entry]:
        """The newest entries of a deployment that are at hand, newest first."""
        return list(reversed(self._recent.get(name, ())))

    async def history(self, name: str, limit: int = 100) -> list[Entry]:
        """The newest entries of a deployment, newest first, from the journal."""
        self._force.settled(name)
        return await asyncio.to_thread(self._journal.history, name, limit)

    def evidence(self, name: str) -> dict[str, dict[str, Any]]:
        """What was counted for each version of a deployment."""
        return {version: asdict(counts) for version, counts in self._ledger.summary(name).items()}

    def facts(self) -> ControlFacts:
        """What the metrics tell of the control plane."""
        deployments = self._force.deployments
        return ControlFacts(
            generation=self.generation,
            persisted=self._scribe.settled,
            config_ok=not self._status.error,
            config_loaded_at=self._status.loaded_at,
            shares={
                (name, version): share
                for name, deployment in deployments.items()
                for version, share in deployment.state.shares().items()
            },
            phases={name: deployment.state.phase.value for name, deployment in deployments.items()},
            rollbacks=dict(self._rollbacks),
            rollback_apply=self._rollback_apply,
            endpoints=tuple(
                (name, version.name, url)
                for name, deployment in deployments.items()
                for version in deployment.plan.versions
                for url in version.urls
            ),
        )

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
            self._config = config
            self._status = ConfigStatus(loaded.digest, self._now())
            self._fleet.recorder_settings(recorder_settings(config))

        async with self._turn:
            self._recall(config.deployments)
            publication = await self._recorded(decide, take_effect, loaded.digest)
        self.bulletin.announce({"event": "config", "digest": loaded.digest, "generation": self.generation})
        if publication is not None:
            await asyncio.shield(publication.task)

    def reject(self, error: Exception) -> None:
        """A configuration was refused: nothing changes, and it shows wherever somebody may look."""
        self._status = ConfigStatus(self._status.digest, self._status.loaded_at, str(error), self._now())
        self.bulletin.announce({"event": "config_error", "error": str(error)})

    async def tick(self) -> None:
        """Makes every move that time has brought, all in one snapshot; to be called once a second or more."""
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

    async def promote(self, name: str, who: str, why: str = "") -> Answer:
        """The next step now."""
        return await self._command(name, Event.PROMOTE, ramp.promote, who, why)

    async def pause(self, name: str, who: str, why: str = "") -> Answer:
        """Nothing moves by itself any more."""
        return await self._command(name, Event.PAUSE, ramp.pause, who, why)

    async def resume(self, name: str, who: str, why: str = "") -> Answer:
        """Goes on where it was."""
        return await self._command(name, Event.RESUME, ramp.resume, who, why)

    async def restart(self, name: str, who: str, why: str = "") -> Answer:
        """The first step again."""
        return await self._command(name, Event.RESTART, ramp.restart, who, why)

    async def share(self, name: str, parts: int, who: str, why: str = "") -> Answer:
        """The candidate's share by hand, of SHARE_PARTS."""
        return await self._command(
            name, Event.SHARE, lambda course, state: ramp.share(course, state, parts), who, why
        )

    async def switch(self, name: str, colour: str, who: str, why: str = "") -> Answer:
        """Begins to make a colour live."""
        return await self._command(
            name, Event.SWITCH, lambda course, state: ramp.switch(course, state, colour), who, why
        )

    async def _command(
        self,
        name: str,
        event: Event,
        move: Callable[[Course, RolloutState], RolloutState],
        who: str,
        why: str,
    ) -> Answer:
        called = self._clock()

        def decide() -> Change:
            deployment = self._force.settled(name)
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
        """Decides, writes, then puts in force; None where there was nothing to change.

        `take_effect` does what else belongs to the change. `digest` is of the configuration it makes valid.
        """
        superseded: list[Record] = []
        try:
            while True:
                change = decide()
                if not change.states and not change.moves:
                    take_effect()
                    return None
                generation = self.generation + 1
                entries = tuple(
                    self._entry(self._next_id(), move, generation, digest) for move in change.moves
                )
                record = Record(generation, tuple(change.states.values()), entries, _ids(superseded))
                try:
                    await self._scribe.ask(record)
                except (Uncertain, asyncio.CancelledError):
                    superseded.append(record)
                    raise
                if self.generation + 1 == generation:
                    superseded.clear()
                    take_effect()
                    self._tell(entries)
                    return self._force.put(change.states)
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
            for event, moved, why in ramp.decide(deployment.course, before):
                after = replace(moved, who=ROUTER, why=why, when=self._now())
                moves.append(Move(event.value, before, after))
                states[after.deployment] = before = after
        return Change(states, tuple(moves))

    async def _note_held_time(self) -> None:
        if self._clock() - self._checkpoint < CHECKPOINT:
            return
        self._checkpoint = self._clock()
        states = [deployment.state for deployment in self.deployments()]
        fresh = [state for state in states if state is not self._noted.get(state.deployment)]
        if fresh:
            await self._scribe.ask(Record(self.generation, tuple(fresh)))
            self._noted.update((state.deployment, state) for state in fresh)

    def _complain(self, trouble: str) -> None:
        """Says once that the journal is in trouble, and once that it is well again."""
        if trouble and not self._trouble:
            _log.error("no rollout moves by itself while the journal can't be written: %s", trouble)
        elif self._trouble and not trouble:
            _log.warning("the journal can be written again")
        self._trouble = trouble

    # Force first

    async def rollback(self, name: str, who: str, why: str = "", cause: str = "operator") -> Answer:
        """Everything to the trusted version, now. Answers when no worker can serve anything older.

        Legal in every phase; where there is nothing to undo it only makes sure. `cause` is for the metrics.
        """
        called = self._clock()
        before = self._force.settled(name).state
        after = ramp.rollback(before)
        changed = after is not before
        if changed:
            after = replace(after, who=who, why=why, when=self._now())
        publication = self._force.put({name: after})
        number = self._next_id()  # now, so that the history has it before what comes meanwhile
        writing = self._scribe.owe(Record(publication.generation, (after,)))
        # Let the snapshot leave before the evidence for the history is gathered.
        await asyncio.sleep(0)
        if changed:
            move = Move(Event.ROLLBACK.value, before, after)
            entry = self._entry(number, move, publication.generation)
            writing = self._scribe.owe(Record(publication.generation, entries=(entry,)))
            self._rollbacks[name, cause] = self._rollbacks.get((name, cause), 0) + 1
            self._tell((entry,))
        answer = await self._answer(after, called, publication)
        self._time_rollback(answer.applied_ms / 1000)
        return replace(answer, persisted=await self._scribe.on_disk(writing))

    def _time_rollback(self, seconds: float) -> None:
        counts, bucket = dict(self._rollback_apply.counts), bucket_of(seconds)
        counts[bucket] = counts.get(bucket, 0) + 1
        self._rollback_apply = Histogram(counts, self._rollback_apply.sum + seconds)

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

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _entry(self, number: int, move: Move, generation: int, digest: str | None = None) -> Entry:
        after = move.after
        return Entry(
            id=number,
            deployment=after.deployment,
            when=self._now(),
            who=after.who,
            what=move.what,
            why=after.why,
            phase_before=move.before.phase.value,
            phase=after.phase.value,
            share=after.share / SHARE_PARTS,
            generation=generation,
            config=self._status.digest if digest is None else digest,
            evidence=self.evidence(after.deployment),
        )

    def _recall(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._recent:
                self._recent[name] = deque(reversed(self._journal.history(name, RECENT)), RECENT)

    def _tell(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._recent.setdefault(entry.deployment, deque(maxlen=RECENT)).append(entry)
            self.bulletin.announce({"event": entry.what, **to_builtins(entry)})

    async def close(self) -> None:
        """Notes how long each step has been held, and closes the journal. Nothing may be called after."""
        states = tuple(deployment.state for deployment in self.deployments())
        await self._scribe.on_disk(self._scribe.owe(Record(self.generation, states)))
        await self._scribe.close()


def _ids(records: Iterable[Record]) -> tuple[int, ...]:
    return tuple(entry.id for record in records for entry in record.entries)
