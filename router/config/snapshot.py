"""Where spec and status meet: the YAML of a deployment and its present state become what workers execute.

Floor 3, pure and deterministic: the same input gives the same bytes.
"""

from router.config.schema import (
    BlueGreenRollout,
    CanaryRollout,
    DeploymentSpec,
    ShadowRollout,
    TimeoutsSpec,
    VersionModel,
)
from router.patterns.plan import (
    DeploymentPlan,
    Exposure,
    Plan,
    Timeouts,
    VersionSpec,
)
from router.rollout.course import Course, endless, rungs_of
from router.rollout.phase import Phase
from router.rollout.state import RolloutState
from router.spec import share_parts


def compile_deployment(name: str, spec: DeploymentSpec, state: RolloutState, workers: int) -> DeploymentPlan:
    """What each of so many workers needs to serve this deployment now; limits are divided among them."""
    return DeploymentPlan(
        name=name,
        match=spec.match.compile(),
        versions=tuple(_version(label, spec.versions[label], workers) for label in sorted(spec.versions)),
        plan=_plan(name, spec, state),
        timeouts=_timeouts(spec.timeouts),
        retries=spec.retries.attempts,
    )


def course_of(name: str, spec: DeploymentSpec) -> Course:
    """What the spec asks of the rollout."""
    rollout = spec.rollout
    match rollout:
        case ShadowRollout():
            rungs = endless(share_parts(rollout.sample))
            return Course(name, rollout.pattern, rollout.primary, rollout.shadows, rungs)
        case CanaryRollout():
            rungs = rungs_of(rollout.steps)
            return Course(name, rollout.pattern, rollout.stable, (rollout.candidate,), rungs, rollout.soak)
        case BlueGreenRollout():
            return Course(
                name,
                rollout.pattern,
                rollout.trusted,
                (rollout.other(rollout.trusted),),
                rungs_of(rollout.switch.steps) if rollout.switch else (),
                keep=rollout.keep,
                colours={"blue": rollout.blue, "green": rollout.green},
            )
        case None:
            return Course(name, "", next(iter(spec.versions)))


def exposure_of(state: RolloutState) -> Exposure:
    """What the state means for routing. A promoted colour is the live one: the other may be previewed."""
    if state.pattern == "blue_green" and state.phase is Phase.PROMOTED:
        return Exposure(state.live)
    return Exposure(state.trusted, state.share, state.mirror)


def _plan(name: str, spec: DeploymentSpec, state: RolloutState) -> Plan:
    # What is rolled back is reached by nobody, previews and forced requests included, whatever the pattern.
    if spec.rollout is None or state.phase is Phase.ROLLED_BACK:
        return Plan(default=state.trusted)
    return spec.rollout.plan(name, exposure_of(state))


def _version(name: str, version: VersionModel, workers: int) -> VersionSpec:
    return VersionSpec(
        name,
        version.endpoints,
        _part(version.limits.connections, workers),
        _part(version.limits.in_flight, workers),
    )


def _part(limit: int | None, workers: int) -> int:
    """One worker's part, rounded up: all together may exceed the limit by less than one a worker."""
    return 0 if limit is None else -(-limit // workers)


def _timeouts(timeouts: TimeoutsSpec) -> Timeouts:
    return Timeouts(timeouts.connect, timeouts.first_byte, timeouts.idle, timeouts.total)
