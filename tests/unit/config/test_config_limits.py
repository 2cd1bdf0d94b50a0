"""What the `limits` of the YAML allow, and what a worker's part is."""

import pytest
from pydantic import ValidationError

from router.config.limits import ClientLimitsSpec, DeploymentLimitsSpec, LimitsSpec, RetriesSpec, part_of
from router.http1.plain import MAX_PLAIN_FIELDS, MAX_PLAIN_LINE
from router.patterns.limits import ClientLimits
from router.patterns.plan import DeploymentPlan, Match, Plan


def test_the_defaults_of_the_yaml_are_those_of_the_plan() -> None:
    assert ClientLimitsSpec().compile(3) == ClientLimits()
    plan = DeploymentPlan("d", Match(), (), Plan("v1"))
    assert DeploymentLimitsSpec().body == plan.max_body
    assert DeploymentLimitsSpec().answer_head == plan.answer_head
    assert RetriesSpec().budget == plan.retry_budget / 10_000


def test_what_is_counted_is_divided_among_workers_and_nothing_else() -> None:
    spec = ClientLimitsSpec(connections=100, connections_per_client=10, head_timeout="3s", pipelined=7)
    limits = spec.compile(3)
    assert (limits.connections, limits.connections_per_client) == (34, 4)
    assert ClientLimitsSpec(memory="3GiB").compile(3).memory == 1 << 30
    assert (limits.head_timeout, limits.pipelined) == (3.0, 7)
    assert part_of(None, 4) == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"target": "100B"}, "greater than or equal to 1024"),
        ({"target": "100KiB"}, "part of the head"),
        ({"fields": 50}, "greater than or equal to 100"),
        ({"head_timeout": 0}, "greater than 0"),
        ({"body_grace": "10ms"}, "greater than or equal to 1"),
        ({"memory": "64MiB"}, "greater than or equal to 134217728"),
        ({"connections": 0}, "greater than or equal to 1"),
        ({"conections": 5}, "Extra inputs"),
    ],
)
def test_what_can_not_be_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ClientLimitsSpec.model_validate(given)


def test_no_limit_is_below_what_the_quick_way_through_a_head_takes() -> None:
    fields = ClientLimitsSpec.model_fields
    for name, least in (("target", MAX_PLAIN_LINE), ("fields", MAX_PLAIN_FIELDS)):
        with pytest.raises(ValidationError):
            ClientLimitsSpec.model_validate({name: least - 1})
        assert name in fields


def test_a_queue_needs_something_to_wait_for() -> None:
    assert LimitsSpec.model_validate({"in_flight": 5, "queue": 0}).queue == 0
    with pytest.raises(ValidationError, match="add in_flight or connections"):
        LimitsSpec.model_validate({"queue": 5})
