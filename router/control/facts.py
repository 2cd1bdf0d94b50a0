"""What the metrics tell of the control plane, put together from its parts. Floor 4."""

from collections.abc import Iterator, Mapping

from router.channel import Histogram
from router.control.terms import ConfigStatus, Deployment
from router.rollout.verdict import Ruling, Verdict
from router.shares import SHARE_PARTS
from router.telemetry.counters import bucket_of
from router.telemetry.exposition import ControlFacts


class Rollbacks:
    """How many there were, by (deployment, cause), and how long each took to be in force."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}
        self.apply = Histogram({}, 0.0)

    def count(self, deployment: str, cause: str) -> None:
        """One that changed something. `cause` is who asked for it: `operator`, or the gate that failed."""
        self.counts[deployment, cause] = self.counts.get((deployment, cause), 0) + 1

    def time(self, seconds: float) -> None:
        """One was confirmed everywhere, so long after it was asked for."""
        counts, bucket = dict(self.apply.counts), bucket_of(seconds)
        counts[bucket] = counts.get(bucket, 0) + 1
        self.apply = Histogram(counts, self.apply.sum + seconds)


def facts_of(
    generation: int,
    persisted: bool,
    status: ConfigStatus,
    deployments: Mapping[str, Deployment],
    gates: Mapping[str, tuple[Ruling, ...]],
    rollbacks: Rollbacks,
) -> ControlFacts:
    """The facts of this moment; `gates` by deployment."""
    return ControlFacts(
        generation=generation,
        persisted=persisted,
        config_ok=not status.error,
        config_loaded_at=status.loaded_at,
        shares={
            (name, version): share
            for name, deployment in deployments.items()
            for version, share in deployment.state.shares().items()
        },
        phases={name: deployment.state.phase.value for name, deployment in deployments.items()},
        gates={key: verdict for name, said in gates.items() for key, verdict in _worst(name, said)},
        holding=frozenset((name, each.gate) for name, said in gates.items() for each in said if each.hold),
        steps={
            name: (deployment.state.step, len(deployment.course.rungs))
            for name, deployment in deployments.items()
        },
        mirrors={name: deployment.state.mirror / SHARE_PARTS for name, deployment in deployments.items()},
        rollbacks=dict(rollbacks.counts),
        rollback_apply=rollbacks.apply,
        endpoints=tuple(
            (name, version.name, url)
            for name, deployment in deployments.items()
            for version in deployment.plan.versions
            for url in version.urls
        ),
    )


_BY_WEIGHT = (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.ERROR, Verdict.FAIL)


def _worst(deployment: str, said: tuple[Ruling, ...]) -> Iterator[tuple[tuple[str, str], str]]:
    """One verdict for each kind of gate: of several the one that matters most."""
    for ruling in sorted(said, key=lambda each: _BY_WEIGHT.index(each.verdict)):
        yield (deployment, ruling.gate), ruling.verdict.value
