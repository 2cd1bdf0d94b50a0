from typing import Any

import pytest
from pydantic import ValidationError

from router.config.schema import BlueGreenRollout, CanaryRollout, ShadowRollout
from router.rollout.steps import Guarded, Ramp, ShadowWatch, Switch
from router.spec import Spec

STEPS = [{"share": "5%", "hold": "10m"}, {"share": "50%"}]
AGREE = {"agreement": {"min": "98%"}}
BY_REGION = {"segments": {"by": "region", "gate": {"score": {"min": 0.9}}}}


def complaint(model: type[Spec], values: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    error, *_ = caught.value.errors()
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"


def test_defaults() -> None:
    ramp = Ramp.model_validate({"steps": STEPS})
    assert (ramp.gates, ramp.confidence, ramp.min_requests) == ((), 0.99, 100)
    assert (ramp.on_fail, ramp.on_inconclusive, ramp.give_up) == ("rollback", "hold", None)
    assert ramp.count_failures is None
    assert ramp.steps[0].gates == ()


def test_steps_of_a_switch_have_gates_too() -> None:
    switch = Switch.model_validate({"switch": {"steps": [{"share": "10%", "gates": [{"error_rate": {}}]}]}})
    assert switch.switch is not None
    assert switch.switch.steps[0].gates[0].tag == "error_rate"


@pytest.mark.parametrize(
    ("model", "values", "words"),
    [
        (Ramp, {"steps": STEPS, "confidence": "100%"}, ["confidence", "between 50% and 99.99%"]),
        (Ramp, {"steps": STEPS, "confidence": "10%"}, ["confidence", "between 50% and 99.99%"]),
        (Ramp, {"steps": STEPS, "min_requests": -1}, ["min_requests"]),
        (Ramp, {"steps": STEPS, "give_up": "0s"}, ["give_up"]),
        (Guarded, {"on_inconclusive": "pause"}, ["on_inconclusive: pause needs give_up", "such as 2h"]),
        (Guarded, {"on_fail": "hold"}, ["on_fail"]),
        (Ramp, {"steps": STEPS, "count_failures": "once"}, ["count_failures"]),
        (Ramp, {"steps": STEPS, "gates": [AGREE]}, ["agreement judges pairs", "mirror: 10%"]),
        (Ramp, {"steps": [{"share": "5%", "gates": [BY_REGION]}]}, ["segments judges pairs", "mirror: 10%"]),
        (Ramp, {"steps": [{"pause": True, "gates": [AGREE]}]}, ["steps.0", "a pause stands alone"]),
        (Switch, {"gates": [AGREE]}, ["blue_green makes none", "use error_rate and latency"]),
        (ShadowWatch, {"gates": [{"sample_ratio": {}}]}, ["gates", "a shadow answers none", "remove it"]),
        (Ramp, {"steps": STEPS, "gates": [{}]}, ["gates.0", "exactly one kind"]),
    ],
)
def test_mistakes_name_the_field_and_the_fix(
    model: type[Spec], values: dict[str, Any], words: list[str]
) -> None:
    said = complaint(model, values)
    for word in words:
        assert word in said


def test_agreement_needs_mirror_at_some_step_only() -> None:
    steps = [{"share": "0%", "mirror": "100%", "hold": "1h"}, *STEPS]
    assert Ramp.model_validate({"steps": steps, "gates": [AGREE]}).gates[0].tag == "agreement"


def test_every_pattern_is_watched() -> None:
    watch = {"gates": [{"error_rate": {"max": "1%"}}], "confidence": "95%", "min_requests": 50}
    shadow = ShadowRollout.model_validate({"pattern": "shadow", "primary": "a", "shadows": ["b"], **watch})
    canary = {"pattern": "canary", "stable": "a", "candidate": "b", "steps": STEPS, **watch}
    switch = {"pattern": "blue_green", "blue": "a", "green": "b", **watch}
    for rollout in (shadow, CanaryRollout.model_validate(canary), BlueGreenRollout.model_validate(switch)):
        assert (len(rollout.gates), rollout.confidence, rollout.min_requests) == (1, 0.95, 50)
    assert (ShadowRollout.splits, CanaryRollout.splits) == (False, True)
