"""What all gates of a deployment say: those judged here on evidence, and those asked elsewhere. Floor 4."""

from collections.abc import Callable, Mapping

from router.control.inquiries import stand_of
from router.control.terms import Asked, Deployment
from router.control.trials import Trials
from router.rollout.verdict import Ruling


class Gates:
    """See the module. Both learn from `follow` where every rollout is; nothing they said elsewhere counts there."""

    def __init__(self, trials: Trials, asked: Asked) -> None:
        self._trials = trials
        self._asked = asked

    def follow(self, deployments: Mapping[str, Deployment]) -> None:
        """Whoever gathers evidence, or asks for it, learns where every rollout is."""
        self._trials.follow(deployments)
        self._asked.configure(
            {
                name: stand_of(each.course, each.state)
                for name, each in deployments.items()
                if each.course.candidates
            }
        )

    def rulings(self, deployment: Deployment) -> tuple[Ruling, ...]:
        """What they said last of the place where the rollout is."""
        state = deployment.state
        return (*self._trials.rulings(state), *self._asked.rulings(state.deployment))

    def report(self, deployment: Deployment) -> tuple[Ruling, ...]:
        """The same for people, with intervals: about a millisecond for each gate."""
        return (*self._trials.report(deployment), *self._asked.rulings(deployment.state.deployment))

    def explaining(self, deployment: Deployment) -> Callable[[], tuple[Ruling, ...]]:
        """What they said of the place where it is now, with intervals that are worked out once it is called."""
        said, elsewhere = (
            self._trials.explaining(deployment),
            self._asked.rulings(deployment.state.deployment),
        )
        return lambda: (*said(), *elsewhere)
