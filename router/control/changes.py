"""How a change comes about: on disk and in force, in one of two orders. Floor 4.

    record first    an edit, an order, a step of the ramp: decided, written to the journal, then in force. No
                    record, no publish. One at a time: each holds `turn` until its snapshot is on its way.
    force first     a rollback. It takes no turn, so it never waits behind a journal write that is stuck or a
                    worker that does not answer: state, snapshot and publish happen in one go on the event
                    loop's thread, and the journal is written beside it.

So a rollback can overtake a change whose record is being written. That change notices, by the generation,
when its write returns; it is then decided anew on what the rollback left (a promote is refused, say), and its
first record is withdrawn. The journal writes in the order it is asked, so the disk ends where memory is.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future

from router.control.chronicle import Chronicle
from router.control.gates import Gates
from router.control.in_force import InForce, Publication
from router.control.scribe import Scribe, Uncertain
from router.control.terms import Change, Move
from router.control.trials import Trials
from router.rollout.journal import Entry, Record
from router.rollout.phase import Event
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling


class Changes:
    """See the module. What `trials` gathered is written with the states it was gathered in, and `gates` follow what
    is put in force."""

    def __init__(
        self, scribe: Scribe, force: InForce, chronicle: Chronicle, trials: Trials, gates: Gates
    ) -> None:
        self.turn = asyncio.Lock()
        self._scribe = scribe
        self._force = force
        self._chronicle = chronicle
        self._trials = trials
        self._gates = gates

    @property
    def settled(self) -> bool:
        """Whether everything that is in force is on disk."""
        return self._scribe.settled

    async def retry(self) -> None:
        """Tries once more to write what is in force and not on disk."""
        await self._scribe.retry()

    async def record_first(
        self, decide: Callable[[], Change], digest: str, take_effect: Callable[[], None] = lambda: None
    ) -> Publication | None:
        """Decides, writes, then puts in force; None where there was nothing to change for a worker.

        `digest` is of the configuration that is valid then. `take_effect` does what else belongs to the change. To be
        called with the turn held. Raises JournalError, and what `decide` raises; nothing has changed then.
        """
        superseded: list[Record] = []
        try:
            while True:
                change = decide()
                if not change.states and not change.moves:
                    take_effect()
                    return self._force.catch_up()
                generation = self._force.generation + 1
                entries = tuple(
                    self._chronicle.entry(self._chronicle.number(), move, generation, digest)
                    for move in change.moves
                )
                record = self._record(generation, change.states, entries, _ids(superseded))
                try:
                    await self._scribe.ask(record)
                except (Uncertain, asyncio.CancelledError):
                    superseded.append(record)
                    raise
                self._trials.saved(record)
                if self._force.generation + 1 == generation:
                    superseded.clear()
                    take_effect()
                    self._chronicle.tell(entries)
                    return self._put(change.states, [move.after.deployment for move in change.moves])
                superseded.append(record)
        finally:
            self._take_back(superseded)

    def force_first(
        self,
        before: RolloutState,
        after: RolloutState,
        gates: Callable[[], tuple[Ruling, ...]],
        digest: str,
    ) -> "tuple[Publication, Future[bool]]":
        """Rolls back from one state to the other, now; what was published, and whether it is on disk.

        `gates` tells what they said before: it is called once the snapshot is on its way. Where both states are the
        same nothing is told, and the newest snapshot is sent once more under a new number.
        """
        publication = self._put({after.deployment: after})
        number = self._chronicle.number()  # now, so that the history has it before what comes meanwhile
        writing = self._scribe.owe(Record(publication.generation, (after,)))
        if after is not before:
            move = Move(Event.ROLLBACK.value, before, after, gates())
            entry = self._chronicle.entry(number, move, publication.generation, digest)
            record = self._record(publication.generation, {}, (entry,))
            writing = self._scribe.owe(record)
            self._trials.saved(record)
            self._chronicle.tell((entry,))
        return publication, writing

    async def on_disk(self, writing: "Future[bool]") -> bool:
        """Whether what `force_first` wrote is on disk, as far as a glance tells."""
        return await self._scribe.on_disk(writing)

    async def note(self, states: Mapping[str, RolloutState]) -> None:
        """Writes down states that time has brought no further than where they are. Raises JournalError."""
        record = self._record(self._force.generation, states)
        await self._scribe.ask(record)
        self._trials.saved(record)

    async def close(self, states: Mapping[str, RolloutState]) -> None:
        """A last note, and the journal is closed."""
        await self._scribe.on_disk(self._scribe.owe(self._record(self._force.generation, states)))
        await self._scribe.close()

    def _put(self, states: Mapping[str, RolloutState], touched: Iterable[str] = ()) -> Publication:
        publication = self._force.put(states, touched)
        self._gates.follow(self._force.deployments)
        return publication

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

    def _take_back(self, records: list[Record]) -> None:
        """These may have reached the disk and never took effect: what is in force is written over them."""
        if not records:
            return
        names = {state.deployment for record in records for state in record.states}
        known = self._force.deployments
        states = tuple(known[name].state for name in sorted(names & known.keys()))
        self._scribe.owe(Record(self._force.generation, states, withdrawn=_ids(records)))


def _ids(records: Iterable[Record]) -> tuple[int, ...]:
    return tuple(entry.id for record in records for entry in record.entries)
