"""Erasures asked for: numbered, sent to the recorder, and what it has said of each. Floor 4.

A recorder that dies takes its erasures with it: they end with an error, and whoever asked asks again.
"""

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from router.channel import Erase, Erasing
from router.config.schema import Config
from router.errors import Refused
from router.pairs.segments import deployments

_KEPT = 100
"""Erasures whose outcome is kept."""

DIED = "the recorder ended before it was done: ask again"
DOWN = "there is no recorder now: ask again in a moment"


def check(config: Config, name: str) -> None:
    """Whether a subject can be erased from the log of this deployment, which may be no longer in the file: what it
    has recorded is there until it expires. Raises Refused."""
    spec = config.deployments.get(name)
    if spec is None:
        logged = {directory.name for directory in deployments(Path(config.pairs.path))}
        if name not in logged:
            known = tuple(sorted(logged | config.deployments.keys()))
            raise Refused(404, f"no deployment {name!r} is in the file, and none has a pair log", known=known)
    elif spec.subject is None:
        raise Refused(
            409,
            f"nothing says whose records those of {name} are: set pairs.subject, or sticky to a header or cookie "
            "(the address of a client is not recorded)",
        )


class Erasures:
    """`send` hands an order to the recorder, and says whether there is one."""

    def __init__(self, send: Callable[[Erase], bool]) -> None:
        self._send = send
        self._known: dict[int, tuple[str, Erasing]] = {}
        self._last = 0

    def start(self, deployment: str, key: str, hash_key: str = "") -> Erasing:
        """Has a subject's records erased, those of every deployment where the name is empty; neither key is kept
        here."""
        self._last += 1
        state = Erasing(self._last)
        if not self._send(Erase(self._last, deployment, key, hash_key)):
            state = replace(state, finished=True, error=DOWN)
        self._known[self._last] = (deployment, state)
        while len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]
        return state

    def find(self, deployment: str, number: int) -> Erasing | None:
        """How far an erasure of this deployment has come; None for one that is not known."""
        found = self._known.get(number)
        return found[1] if found is not None and found[0] == deployment else None

    def take(self, state: Erasing) -> None:
        """What the recorder says of one."""
        if (known := self._known.get(state.number)) is not None:
            self._known[state.number] = (known[0], state)

    def recorder_gone(self) -> None:
        """The recorder has ended, and with it what it had not finished."""
        for number, (deployment, state) in self._known.items():
            if not state.finished:
                self._known[number] = (deployment, replace(state, finished=True, error=DIED))
