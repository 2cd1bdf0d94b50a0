"""Steps as people write them, as the rungs that are climbed."""

from math import inf

from router.rollout.course import Course, Rung, conditions, endless, rungs_of
from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.gates.sample_ratio import SampleRatioGate
from router.rollout.steps import CanaryStep, Step


def test_shares_become_parts_and_a_pause_carries_what_was_before() -> None:
    steps = [
        CanaryStep.model_validate({"share": "0%", "mirror": "100%", "hold": "30m"}),
        CanaryStep.model_validate({"share": "2.5%", "mirror": "10%"}),
        CanaryStep.model_validate({"pause": True}),
        CanaryStep.model_validate({"share": "50%", "hold": "1h"}),
        CanaryStep.model_validate({"share": "60%", "hold": "0s"}),
        CanaryStep.model_validate({"share": "100%"}),
    ]
    assert rungs_of(steps) == (
        Rung(0, 10_000, 1800.0),
        Rung(250, 1000, inf),
        Rung(250, 1000, pause=True),
        Rung(5000, 0, 3600.0),
        Rung(6000, 0, 0.0),
        Rung(10_000, 0, 0.0),
    )


def test_a_pause_at_the_beginning_holds_everything_back() -> None:
    assert rungs_of([Step.model_validate({"pause": True})]) == (Rung(0, pause=True),)


def test_a_step_that_does_not_say_how_long_waits_for_its_gates_and_without_any_for_a_person() -> None:
    errors, split = ErrorRateGate(), SampleRatioGate()
    plain = CanaryStep.model_validate({"share": "10%"})
    gated = CanaryStep.model_validate({"share": "10%", "gates": [{"error_rate": {}}]})
    watched = CanaryStep.model_validate({"share": "10%", "gates": [{"sample_ratio": {}}]})
    assert [rung.hold for rung in rungs_of([plain, gated, watched])] == [inf, 0.0, inf]
    assert [rung.hold for rung in rungs_of([plain, gated], (errors,))] == [0.0, 0.0]
    assert rungs_of([plain], (split,))[0].hold == inf
    assert rungs_of([gated])[0].gates == (errors,)
    assert conditions((split, errors)) == (errors,)


def test_a_shadow_never_ends_and_never_answers() -> None:
    course = Course("loan", "shadow", "v1", ("v2", "v3"), endless(5000))
    assert course.rungs == (Rung(0, 5000, inf),)
    assert course.starts
    assert not course.answers


def test_blue_green_waits_to_be_told() -> None:
    course = Course("loan", "blue_green", "v1", ("v2",), (Rung(1000),), colours={"blue": "v1", "green": "v2"})
    assert not course.starts
    assert course.answers
