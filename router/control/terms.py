"""The values the control plane passes around, and what the controller needs of others. Floor 4."""

from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import msgspec

from router.channel import RecorderSettings, SeriesTally
from router.config.schema import DeploymentSpec
from router.control.inquiries import Stand
from router.patterns.plan import DeploymentPlan
from router.rollout.course import Course
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling
from router.telemetry.ledger import Listener


class Confirmation(NamedTuple):
    """What became of a snapshot: of `live` workers so many have it in force; the others did not confirm in
    time, or died, and are gone."""

    live: int
    confirmed: int


class Fleet(Protocol):
    """The workers and the recorder, as far as the controller knows them."""

    def publish(self, generation: int, snapshot: bytes) -> Coroutine[Any, Any, Confirmation]:
        """Sends it now; what is returned ends when no worker can serve an older snapshot. Calls may overlap, the
        highest wins."""

    def recorder_settings(self, settings: RecorderSettings) -> None:
        """What to do with captures from now on."""


class Counts(Protocol):
    """The ledger, as far as the controller knows it."""

    def summary(self, deployment: str) -> Mapping[str, Any]:
        """A dataclass of counts for each version."""

    def rows(self, deployment: str) -> Iterable[tuple[str, SeriesTally]]:
        """Every row a living worker told last, with the worker's name."""

    def listen(self, listener: Listener) -> None:
        """It is told all that comes from now on."""


class Asked(Protocol):
    """Those who ask gates elsewhere (`control.inquiries`), as far as the controller knows them."""

    def configure(self, stands: Mapping[str, Stand]) -> None:
        """Where every rollout stands now, and which gates are asked there."""

    def rulings(self, name: str) -> tuple[Ruling, ...]:
        """What is known now of the place last configured."""


class NobodyAsked:
    """Where no gate is asked elsewhere."""

    def configure(self, stands: Mapping[str, Stand]) -> None:
        """There is nobody to ask."""

    def rulings(self, name: str) -> tuple[Ruling, ...]:
        """Nothing was said."""
        return ()


@dataclass(slots=True)
class Deployment:
    """One deployment. `since` is the clock's time up to which `state.held` is counted."""

    spec: DeploymentSpec
    course: Course
    state: RolloutState
    plan: DeploymentPlan
    since: float


@dataclass(frozen=True, slots=True)
class ConfigStatus:
    """The configuration in force, and what was wrong with the last one tried (empty: nothing); Unix times. `warnings`
    are of what is in force: certificates that can't be renewed."""

    digest: str = ""
    loaded_at: float = 0.0
    error: str = ""
    failed_at: float = 0.0
    warnings: tuple[str, ...] = ()


class Move(NamedTuple):
    """One event of one deployment, for the history: the states tell of phases, shares, who and why. `gates` is what
    they said before it, where that brought it about."""

    what: str
    before: RolloutState
    after: RolloutState
    gates: tuple[Ruling, ...] = ()


class Change(NamedTuple):
    """What a decision wants: the states it leads to, and what to write down about it."""

    states: Mapping[str, RolloutState]
    moves: tuple[Move, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """What a change led to, given once it is in force. `applied_ms` is from the call to the last ack. `warnings` are
    sentences about what may go wrong now."""

    deployment: str
    phase: str
    shares: dict[str, float]
    generation: int
    applied_ms: float
    workers: dict[str, int]
    persisted: bool = True
    warnings: tuple[str, ...] = ()
