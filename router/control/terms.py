"""The values the control plane passes around, and what the controller needs of others. Floor 4."""

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import msgspec

from router.channel import RecorderSettings
from router.config.schema import DeploymentSpec
from router.patterns.plan import DeploymentPlan
from router.rollout.course import Course
from router.rollout.state import RolloutState


class Confirmation(NamedTuple):
    """What became of a snapshot: of `live` workers so many have it in force; the others did not confirm in
    time, or died, and are gone."""

    live: int
    confirmed: int


class Fleet(Protocol):
    """The workers and the recorder, as far as the controller knows them."""

    def publish(self, generation: int, snapshot: bytes) -> Coroutine[Any, Any, Confirmation]:
        """Returns when no worker can serve an older snapshot; calls may overlap, the highest wins."""

    def recorder_settings(self, settings: RecorderSettings) -> None:
        """What to do with captures from now on."""


class Evidence(Protocol):
    """The ledger, as far as the controller knows it."""

    def summary(self, deployment: str) -> Mapping[str, Any]:
        """A dataclass of counts for each version."""


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
    """The configuration in force, and what was wrong with the last one tried (empty: nothing); Unix times."""

    digest: str = ""
    loaded_at: float = 0.0
    error: str = ""
    failed_at: float = 0.0


class Move(NamedTuple):
    """One event of one deployment, for the history: the states tell of phases, shares, who and why."""

    what: str
    before: RolloutState
    after: RolloutState


class Change(NamedTuple):
    """What a decision wants: the states it leads to, and what to write down about it."""

    states: Mapping[str, RolloutState]
    moves: tuple[Move, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """What a change led to, given once it is in force. `applied_ms` is from the call to the last ack."""

    deployment: str
    phase: str
    shares: dict[str, float]
    generation: int
    applied_ms: float
    workers: dict[str, int]
    persisted: bool = True
