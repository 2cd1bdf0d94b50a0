"""What is in force: every deployment at its place, and the newest snapshot on its way to the workers.

Floor 4. Everything here happens on the event loop's thread without an await between a new state and its
publication, so nobody ever sees one without the other.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from router.config.snapshot import compile_deployment
from router.control.terms import Confirmation, Deployment, Fleet
from router.errors import Refused
from router.patterns.plan import Snapshot, encode_snapshot
from router.rollout import ramp
from router.rollout.state import RolloutState


class Publication(NamedTuple):
    """A snapshot on its way; the task ends when no worker can serve an older one."""

    generation: int
    task: "asyncio.Task[Confirmation]"


class InForce:
    """`deployments` is replaced whole by an edit; a state in it by `put`. `workers` divides the limits."""

    def __init__(self, fleet: Fleet, workers: int, generation: int, clock: Callable[[], float]) -> None:
        self.deployments: dict[str, Deployment] = {}
        self.generation = generation
        self.workers = workers
        self._fleet = fleet
        self._clock = clock
        self._confirmed = 0
        self._publishing: set[asyncio.Task[Confirmation]] = set()

    @property
    def everywhere(self) -> bool:
        """Whether there is a snapshot, and no worker can serve anything older than the newest."""
        return 0 < self.generation == self._confirmed

    @property
    def publishing(self) -> bool:
        """Whether some snapshot is on its way."""
        return bool(self._publishing)

    def settled(self, name: str) -> Deployment:
        """The deployment, the time up to now counted into its state, once. Raises Refused (404)."""
        deployment = self.deployments.get(name)
        if deployment is None:
            known = tuple(self.deployments)
            raise Refused(404, f"no deployment is called {name!r}: there is {', '.join(known)}", known=known)
        now = self._clock()
        deployment.state = ramp.passed(deployment.course, deployment.state, now - deployment.since)
        deployment.since = now
        return deployment

    def put(self, states: Mapping[str, RolloutState]) -> Publication:
        """The one place where routing changes: memory, then a new generation. Compiles what changed only."""
        for name, state in states.items():
            deployment = self.deployments[name]
            deployment.state = state
            deployment.since = self._clock()
            deployment.plan = compile_deployment(name, deployment.spec, state, self.workers)
        self.generation += 1
        return self.publish()

    def publish(self) -> Publication:
        """Sends the newest snapshot on its way. Always as a task: tasks start in the order they were made."""
        plans = tuple(deployment.plan for deployment in self.deployments.values())
        snapshot = encode_snapshot(Snapshot(self.generation, plans))
        task = asyncio.create_task(self._confirm(self.generation, snapshot))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)
        return Publication(self.generation, task)

    async def _confirm(self, generation: int, snapshot: bytes) -> Confirmation:
        confirmation = await self._fleet.publish(generation, snapshot)
        self._confirmed = max(self._confirmed, generation)
        return confirmation
