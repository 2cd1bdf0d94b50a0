"""What happened: the entries of the history, numbered, told to whoever listens, the newest of them at hand.

Floor 4. An entry gets its number when its move is decided, so that the history has it before what comes meanwhile;
it is told once the move is in force.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import to_builtins

from router.control.bulletin import Bulletin
from router.control.terms import Move
from router.rollout.journal import Entry, Journal
from router.rollout.verdict import Ruling
from router.shares import SHARE_PARTS

_log = logging.getLogger(__name__)

RECENT = 20
"""Entries of each deployment kept at hand; the journal has them all."""


class Chronicle:
    """`counts` and `gates` tell of a deployment what an entry keeps as evidence; `now` is Unix time, in seconds."""

    def __init__(
        self,
        journal: Journal,
        bulletin: Bulletin,
        counts: Callable[[str], dict[str, Any]],
        gates: Callable[[str], tuple[Ruling, ...]],
        now: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._bulletin = bulletin
        self._counts = counts
        self._gates = gates
        self._now = now
        self._last = journal.last_id()
        self._recent: dict[str, deque[Entry]] = {}

    def number(self) -> int:
        """The id of the next entry."""
        self._last += 1
        return self._last

    def entry(self, number: int, move: Move, generation: int, digest: str) -> Entry:
        """What a move leaves in the history, with the evidence as it is now."""
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
            config=digest,
            evidence=self._seen(after.deployment),
            gates=move.gates or self._gates(after.deployment),
        )

    def recall(self, names: Iterable[str]) -> None:
        """Has the newest entries of these deployments at hand. Raises JournalError."""
        for name in names:
            if name not in self._recent:
                self._recent[name] = deque(reversed(self._journal.history(name, RECENT)), RECENT)

    def recent(self, name: str) -> list[Entry]:
        """The newest entries of a deployment that are at hand, newest first."""
        return list(reversed(self._recent.get(name, ())))

    def tell(self, entries: Iterable[Entry]) -> None:
        """These took effect."""
        for entry in entries:
            self._recent.setdefault(entry.deployment, deque(maxlen=RECENT)).append(entry)
            self._bulletin.announce({"event": entry.what, **to_builtins(entry)})

    def _seen(self, name: str) -> dict[str, Any]:
        """No count is worth a rollback that fails on it."""
        try:
            return self._counts(name)
        except Exception:
            _log.exception("%s: what was counted can't be told", name)
            return {}
