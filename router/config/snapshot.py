"""Where spec and status meet: the YAML of a deployment and its present state become what workers execute.

Floor 3, pure and deterministic: the same input gives the same bytes.
"""

from collections.abc import Mapping
from math import inf

from msgspec.structs import replace

from router.config.limits import part_of
from router.config.schema import (
    BlueGreenRollout,
    CanaryRollout,
    DeploymentSpec,
    Rollout,
    ShadowRollout,
    TimeoutsSpec,
    VersionModel,
)
from router.pairs.settings import SliceSource
from router.patterns.plan import (
    DeploymentPlan,
    Exposure,
    Plan,
    Segment,
    Timeouts,
    VersionSpec,
)
from router.rollout.course import Course, endless, rungs_of
from router.rollout.evidence_state import Trial
from router.rollout.gates import Gate
from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.gates.latency import LatencyGate
from router.rollout.gates.segments import SegmentsGate
from router.rollout.phase import Phase
from router.rollout.state import RolloutState
from router.rollout.steps import Guarded
from router.shares import share_parts


def compile_deployment(name: str, spec: DeploymentSpec, state: RolloutState, workers: int) -> DeploymentPlan:
    """What each of so many workers needs to serve this deployment now; limits are divided among them."""
    return DeploymentPlan(
        name=name,
        match=spec.match.compile(),
        versions=tuple(_version(label, spec.versions[label], workers) for label in sorted(spec.versions)),
        plan=_plan(name, spec, state),
        timeouts=_timeouts(spec.timeouts),
        retries=spec.retries.attempts,
        segment=_segment(course_of(name, spec), spec.pairs.slices),
        max_body=spec.limits.body,
        answer_head=spec.limits.answer_head,
        retry_budget=share_parts(spec.retries.budget),
    )


def course_of(name: str, spec: DeploymentSpec) -> Course:
    """What the spec asks of the rollout."""
    rollout = spec.rollout
    match rollout:
        case ShadowRollout():
            rungs = endless(share_parts(rollout.sample))
            return Course(name, rollout.pattern, rollout.primary, rollout.shadows, rungs, gates=rollout.gates)
        case CanaryRollout():
            course = Course(
                name,
                rollout.pattern,
                rollout.stable,
                (rollout.candidate,),
                rungs_of(rollout.steps, rollout.gates),
                soak=rollout.soak,
            )
            return _guarded(course, rollout)
        case BlueGreenRollout():
            steps = rollout.switch.steps if rollout.switch else ()
            course = Course(
                name,
                rollout.pattern,
                rollout.trusted,
                (rollout.other(rollout.trusted),),
                rungs_of(steps, rollout.gates),
                keep=rollout.keep,
                colours={"blue": rollout.blue, "green": rollout.green},
            )
            return _guarded(course, rollout)
        case None:
            return Course(name, "", next(iter(spec.versions)))


def _guarded(course: Course, rollout: Guarded) -> Course:
    return replace(
        course,
        gates=rollout.gates,
        on_fail=rollout.on_fail,
        on_inconclusive=rollout.on_inconclusive,
        give_up=inf if rollout.give_up is None else rollout.give_up,
    )


def every_gate(course: Course) -> tuple[Gate, ...]:
    """The gates of the whole rollout and of all its steps."""
    return (*course.gates, *(gate for rung in course.rungs for gate in rung.gates))


def trials_of(spec: DeploymentSpec, course: Course, state: RolloutState) -> tuple[Trial, ...]:
    """What evidence is gathered of, one for each candidate; nothing where no gate could ever read it."""
    rollout = spec.rollout
    gates = every_gate(course)
    if rollout is None or (isinstance(rollout, ShadowRollout) and not gates):
        return ()
    return tuple(
        Trial(
            stable=state.trusted,
            candidate=candidate,
            gates=gates,
            confidence=rollout.confidence,
            min_requests=rollout.min_requests,
            drawn=not isinstance(rollout, CanaryRollout) or rollout.sticky is None,
            once_per_client=_counts_causes(rollout),
            splits=rollout.splits,
            noise=not isinstance(rollout, BlueGreenRollout) and rollout.noise > 0,
        )
        for candidate in state.candidates
    )


def exposure_of(state: RolloutState) -> Exposure:
    """What the state means for routing. A promoted colour is the live one: the other may be previewed."""
    if state.pattern == "blue_green" and state.phase is Phase.PROMOTED:
        return Exposure(state.live)
    return Exposure(state.trusted, state.share, state.mirror)


def _plan(name: str, spec: DeploymentSpec, state: RolloutState) -> Plan:
    # What is rolled back is reached by nobody, previews and forced requests included, whatever the pattern.
    if spec.rollout is None or state.phase is Phase.ROLLED_BACK:
        return Plan(default=state.trusted)
    plan = spec.rollout.plan(name, exposure_of(state))
    cohort = state.cohort if state.share or state.mirror else 0
    return replace(plan, cohort=cohort, count_causes=_counts_causes(spec.rollout))


def _counts_causes(rollout: Rollout) -> bool:
    """One client's failures are all on one side of a sticky rollout: there they count once for each cause."""
    if not isinstance(rollout, CanaryRollout):
        return False
    if rollout.count_failures is None:
        return rollout.sticky is not None
    return rollout.count_failures == "once_per_client"


def _segment(course: Course, slices: Mapping[str, SliceSource]) -> Segment | None:
    """By what workers count requests apart: the slice of a gate on segments of requests, read from a header. Gates on
    segments of pairs need nothing of a worker."""
    for gate in every_gate(course):
        if isinstance(gate, SegmentsGate) and isinstance(gate.gate, (ErrorRateGate, LatencyGate)):
            source = slices.get(gate.by)
            if source is not None and source.header:
                return Segment(gate.by, source.header.lower(), gate.values)
    return None


def _version(name: str, version: VersionModel, workers: int) -> VersionSpec:
    limits = version.limits
    return VersionSpec(
        name,
        version.endpoints,
        connections=part_of(limits.connections, workers),
        in_flight=part_of(limits.in_flight, workers),
        queue=part_of(limits.queue, workers),
        queue_timeout=limits.queue_timeout,
        tls=version.tls.compile() if version.tls is not None else None,
    )


def _timeouts(timeouts: TimeoutsSpec) -> Timeouts:
    return Timeouts(timeouts.connect, timeouts.first_byte, timeouts.idle, timeouts.total)
