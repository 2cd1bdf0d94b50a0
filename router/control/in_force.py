"""What is in force: every deployment at its place, and the newest snapshot on its way to the workers.

Floor 4. Everything here happens on the event loop's thread without an await between a new state and its
publication, so nobody ever sees one without the other.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, NamedTuple

from router.config.snapshot import compile_deployment
from router.control.terms import Confirmation, Deployment, Fleet
from router.errors import Refused
from router.patterns.limits import ClientLimits
from router.patterns.observing import Observing
from router.patterns.plan import Snapshot, encode_snapshot
from router.rollout import ramp
from router.rollout.state import RolloutState


class Publication(NamedTuple):
    """A snapshot on its way; the task ends when no worker can serve an older one."""

    generation: int
    task: "asyncio.Task[Confirmation]"


class InForce:
    """`deployments` is replaced whole by an edit, what all deployments have in common by `for_all`; a state by `put`.
    `workers` divides the limits."""

    def __init__(self, fleet: Fleet, workers: int, generation: int, clock: Callable[[], float]) -> None:
        self.deployments: dict[str, Deployment] = {}
        self._common = (ClientLimits(), Observing())
        self._untold = False
        self.generation = generation
        self.workers = workers
        self._fleet = fleet
        self._clock = clock
        self._confirmed = 0
        self._changed: dict[str, int] = {}
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

    def changed(self, name: str) -> int:
        """The generation in which the deployment, its spec or its place in the rollout, changed last."""
        return self._changed.get(name, 0)

    def unchanged_since(self, name: str, seen: int | None) -> None:
        """For one who acts on what they saw in generation `seen` (None: whatever it is now). Raises Refused (412)
        where the deployment has changed since, and for a generation that never was."""
        if seen is None or self.changed(name) <= seen <= self.generation:
            return
        if seen > self.generation:
            why = f"there was no generation {seen} yet, the newest is {self.generation}"
        else:
            why = f"{name} changed in generation {self.changed(name)}, after {seen}, which this call is about"
        phase = self.deployments[name].state.phase
        raise Refused(412, f"{why}: look at it again", phase=phase)

    def for_all(self, clients: ClientLimits, observing: Observing) -> None:
        """What is no deployment's own; the next snapshot has it, and `catch_up` makes one."""
        self._untold |= (clients, observing) != self._common
        self._common = (clients, observing)

    def catch_up(self) -> Publication | None:
        """A new generation, if `for_all` brought something no snapshot has told yet; there is nothing to record."""
        if not self._untold:
            return None
        self.generation += 1
        return self.publish()

    def put(self, states: Mapping[str, RolloutState], touched: Iterable[str] = ()) -> Publication:
        """The one place where routing changes: memory, then a new generation. Compiles what changed only.

        `touched` are deployments that changed for those who look at them, though their state did not.
        """
        self._changed.update(dict.fromkeys((*states, *touched), self.generation + 1))
        for name, state in states.items():
            deployment = self.deployments[name]
            deployment.state = state
            deployment.since = self._clock()
            deployment.plan = compile_deployment(name, deployment.spec, state, self.workers)
        self.generation += 1
        return self.publish()

    def publish(self) -> Publication:
        """Sends the newest snapshot on its way, before anything else gets its turn."""
        plans = tuple(deployment.plan for deployment in self.deployments.values())
        snapshot = encode_snapshot(Snapshot(self.generation, plans, *self._common))
        self._untold = False
        confirming = self._fleet.publish(self.generation, snapshot)
        task = asyncio.create_task(self._confirm(self.generation, confirming))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)
        return Publication(self.generation, task)

    async def _confirm(self, generation: int, confirming: Coroutine[Any, Any, Confirmation]) -> Confirmation:
        confirmation = await confirming
        self._confirmed = max(self._confirmed, generation)
        return confirmation
