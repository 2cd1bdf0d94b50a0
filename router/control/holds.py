"""Says when a gate begins to hold a rollout: nothing has failed, and nothing steps up. Floor 4.

Somebody should look then, before time runs out. It is said once for each gate at each place of a rollout, however
often its evidence comes and goes around the bound.
"""

from collections.abc import Iterable, Mapping

from router.control.bulletin import Bulletin
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict


class Holds:
    """Announces an event `hold` on the bulletin."""

    def __init__(self, bulletin: Bulletin) -> None:
        self._bulletin = bulletin
        self._said: dict[str, tuple[tuple[int, int], set[str]]] = {}

    def look(self, rulings: Mapping[str, tuple[RolloutState, Iterable[Ruling]]]) -> None:
        """What the gates of every deployment say now, with where it is."""
        self._said = {name: said for name, said in self._said.items() if name in rulings}
        for name, (state, said_now) in rulings.items():
            holding = [each for each in said_now if each.hold and each.verdict is not Verdict.FAIL]
            place = (state.cohort, state.step)
            if self._said.get(name, (None,))[0] != place:
                self._said[name] = (place, set())
            told = self._said[name][1]
            for ruling in holding:
                if ruling.gate not in told:
                    told.add(ruling.gate)
                    self._bulletin.announce(
                        {
                            "event": "hold",
                            "deployment": name,
                            "gate": ruling.gate,
                            "why": f"{ruling.gate}: {ruling.why}",
                        }
                    )
