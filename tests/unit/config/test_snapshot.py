"""The YAML and the present states, compiled to what workers execute."""

from math import inf
from typing import Any

import pytest

from router.config.schema import Config
from router.config.snapshot import compile_deployment, course_of, exposure_of, trials_of
from router.patterns.plan import (
    DeploymentPlan,
    Exposure,
    Plan,
    Segment,
    Snapshot,
    decode_snapshot,
    encode_snapshot,
)
from router.rollout import ramp
from router.rollout.course import Course, Rung, endless
from router.rollout.phase import Phase
from router.rollout.state import RolloutState

CANARY = {
    "pattern": "canary",
    "stable": "v1",
    "candidate": "v2",
    "steps": [{"share": "10%", "mirror": "20%", "hold": "1m"}, {"pause": True}, {"share": "50%"}],
    "soak": "1h",
}
SHADOW = {"pattern": "shadow", "primary": "v1", "shadows": ["v2"], "sample": "25%"}
BLUE_GREEN = {
    "pattern": "blue_green",
    "blue": "v1",
    "green": "v2",
    "live": "green",
    "preview": {"header": "X-Preview", "value": "yes"},
    "keep": "1h",
}


def config_of(rollout: dict[str, Any] | None, **more: Any) -> Config:
    versions = {
        "v2": {"url": "http://127.0.0.1:9002", "limits": {"connections": 10, "in_flight": 5}},
        "v1": {"urls": ["http://127.0.0.1:9001", "http://127.0.0.1:9011"]},
    }
    deployment = {"match": {"path": "/loan"}, "versions": versions, "rollout": rollout, **more}
    return Config.model_validate({"deployments": {"loan": deployment}})


def begun(config: Config) -> dict[str, RolloutState]:
    return {name: ramp.reconcile(course_of(name, spec), None) for name, spec in config.deployments.items()}


def compiled(config: Config, states: dict[str, RolloutState], workers: int = 1) -> DeploymentPlan:
    ((name, spec),) = config.deployments.items()
    return compile_deployment(name, spec, states[name], workers)


def test_each_pattern_has_its_course() -> None:
    rungs = (Rung(1000, 2000, 60.0), Rung(1000, 2000, pause=True), Rung(5000, hold=inf))
    expected = {
        "canary": Course("loan", "canary", "v1", ("v2",), rungs, soak=3600.0),
        "shadow": Course("loan", "shadow", "v1", ("v2",), endless(2500)),
        "blue_green": Course(
            "loan", "blue_green", "v2", ("v1",), keep=3600.0, colours={"blue": "v1", "green": "v2"}
        ),
    }
    for rollout in (CANARY, SHADOW, BLUE_GREEN):
        spec = config_of(rollout).deployments["loan"]
        assert course_of("loan", spec) == expected[str(rollout["pattern"])]


def test_a_canary_is_compiled_at_the_place_its_state_says() -> None:
    config = config_of(CANARY)
    plan = compiled(config, begun(config)).plan
    assert (plan.default, plan.candidate, plan.share, plan.fallback) == ("v1", "v2", 1000, "v1")
    assert plan.copies is not None
    assert plan.copies.sample == 2000
    rolled_back = {"loan": ramp.rollback(begun(config)["loan"])}
    plan = compiled(config, rolled_back).plan
    assert (plan.default, plan.share, plan.copies) == ("v1", 0, None)


def test_a_shadow_copies_its_sample() -> None:
    config = config_of(SHADOW)
    copies = compiled(config, begun(config)).plan.copies
    assert copies is not None
    assert (copies.sample, copies.targets) == (2500, {"v1": ("v2",)})


def test_after_a_switch_the_other_colour_is_the_one_previewed() -> None:
    config = config_of(BLUE_GREEN)
    course = course_of("loan", config.deployments["loan"])
    state = begun(config)["loan"]
    plan = compiled(config, {"loan": state}).plan
    assert plan.default == "v2"
    assert plan.force is not None
    assert (plan.force.header, plan.force.versions) == ("x-preview", {"yes": "v1"})
    plan = compiled(config, {"loan": ramp.switch(course, state, "blue")}).plan
    assert (plan.default, plan.share) == ("v1", 0)
    assert plan.force is not None
    assert plan.force.versions == {"yes": "v2"}


@pytest.mark.parametrize("rollout", [CANARY | {"force": {"header": "x-v"}}, SHADOW, BLUE_GREEN])
def test_what_is_rolled_back_is_reached_by_no_preview_and_no_forced_request(rollout: dict[str, Any]) -> None:
    config = config_of(rollout)
    course, state = course_of("loan", config.deployments["loan"]), begun(config)["loan"]
    if course.colours:
        state = ramp.switch(course, state, "blue")
    assert compiled(config, {"loan": state}).plan != Plan(state.trusted)
    assert compiled(config, {"loan": ramp.rollback(state)}).plan == Plan(state.trusted)


@pytest.mark.parametrize("pattern", ["canary", "blue_green"])
def test_a_promoted_candidate_has_everything(pattern: str) -> None:
    state = RolloutState("loan", pattern, "v1", ("v2",), Phase.PROMOTED, share=10_000)
    expected = Exposure("v1", 10_000) if pattern == "canary" else Exposure("v2")
    assert exposure_of(state) == expected


def test_requests_are_counted_apart_by_the_slice_of_a_gate() -> None:
    gates = [{"segments": {"by": "region", "values": 7, "gate": {"error_rate": {}}}}]
    steps = [{"share": "5%", "gates": gates}]
    rollout = {"pattern": "canary", "stable": "v1", "candidate": "v2", "steps": steps}
    config = config_of(
        rollout, pairs={"slices": {"region": {"header": "X-Region"}, "kind": {"json": "/kind"}}}
    )
    assert compiled(config, begun(config)).segment == Segment("region", "x-region", 7)


def test_without_a_rollout_the_one_version_answers() -> None:
    config = Config.model_validate(
        {"deployments": {"a": {"match": {"path": "/a"}, "versions": {"v1": {"url": "http://127.0.0.1:1"}}}}}
    )
    assert compiled(config, begun(config)).plan.default == "v1"


@pytest.mark.parametrize(("workers", "connections", "in_flight"), [(1, 10, 5), (4, 3, 2), (16, 1, 1)])
def test_limits_are_divided_and_rounded_up(workers: int, connections: int, in_flight: int) -> None:
    config = config_of(CANARY)
    v1, v2 = compiled(config, begun(config), workers).versions
    assert (v2.name, v2.connections, v2.in_flight) == ("v2", connections, in_flight)
    assert (v1.name, v1.connections, v1.in_flight) == ("v1", 0, 0)
    assert v1.urls == ("http://127.0.0.1:9001", "http://127.0.0.1:9011")


def test_names_are_lower_case_and_everything_else_is_passed_on() -> None:
    match = {
        "path": "/A/*",
        "host": "Models.Example",
        "methods": ["PUT", "GET"],
        "headers": {"X-B": "B", "X-A": "A"},
    }
    config = config_of(
        CANARY, match=match, timeouts={"connect": "2s", "total": "1h"}, retries={"attempts": 3}
    )
    plan = compiled(config, begun(config))
    assert (plan.match.host, plan.match.path, plan.match.methods) == (
        "models.example",
        "/A/*",
        ("GET", "PUT"),
    )
    assert plan.match.headers == (("x-a", "A"), ("x-b", "B"))
    assert (plan.timeouts.connect, plan.timeouts.first_byte, plan.timeouts.total) == (2.0, 30.0, 3600.0)
    assert plan.retries == 3


def test_the_same_input_gives_the_same_bytes_in_any_order() -> None:
    match = {"methods": ["POST", "GET"], "headers": {"X-A": "1", "X-B": "2"}}
    turned = {"methods": ["GET", "POST"], "headers": {"X-B": "2", "X-A": "1"}}
    versions = {name: {"url": f"http://127.0.0.1:900{name[1]}"} for name in ("v1", "v2")}
    first = config_of(CANARY, match=match, versions=versions)
    second = config_of(CANARY, match=turned, versions=dict(reversed(versions.items())))
    encoded = [encode_snapshot(Snapshot(3, (compiled(each, begun(each)),))) for each in (first, second)]
    assert encoded[0] == encoded[1]
    (deployment,) = decode_snapshot(encoded[0]).deployments
    assert [version.name for version in deployment.versions] == ["v1", "v2"]


def test_the_cohort_of_the_state_is_what_requests_are_counted_under() -> None:
    config = config_of(CANARY)
    state = begun(config)["loan"]
    assert compiled(config, {"loan": state}).plan.cohort == state.cohort > 0
    moved = ramp.finish(course_of("loan", config.deployments["loan"]), state)
    assert compiled(config, {"loan": moved}).plan.cohort == moved.cohort > state.cohort
    shadow = config_of(SHADOW)
    assert compiled(shadow, begun(shadow)).plan.cohort > 0


def test_where_nothing_is_on_trial_nothing_is_counted_as_evidence() -> None:
    for config in (config_of(BLUE_GREEN), config_of(None, versions={"v1": {"url": "http://127.0.0.1:9001"}})):
        assert compiled(config, begun(config)).plan.cohort == 0
    config = config_of(CANARY)
    assert compiled(config, {"loan": ramp.rollback(begun(config)["loan"])}).plan.cohort == 0


@pytest.mark.parametrize(
    ("more", "once"),
    [
        ({}, False),
        ({"sticky": "client_ip"}, True),
        ({"sticky": "client_ip", "count_failures": "each"}, False),
        ({"count_failures": "once_per_client"}, True),
    ],
)
def test_repeated_failures_of_one_client_count_once_where_clients_stay_together(
    more: dict[str, Any], once: bool
) -> None:
    config = config_of(CANARY | more)
    spec = config.deployments["loan"]
    state = begun(config)["loan"]
    assert compiled(config, {"loan": state}).plan.count_causes is once
    (trial,) = trials_of(spec, course_of("loan", spec), state)
    assert (trial.once_per_client, trial.drawn) == (once, "sticky" not in more)


def test_gates_and_what_follows_from_them_are_part_of_the_course() -> None:
    gates: list[dict[str, Any]] = [{"error_rate": {}}]
    guarded = {"gates": gates, "on_fail": "pause", "on_inconclusive": "rollback", "give_up": "2h"}
    steps = [{"share": "10%", "gates": [{"latency": {"max": "1s"}}]}]
    for rollout in (CANARY | guarded | {"steps": steps}, BLUE_GREEN | guarded | {"switch": {"steps": steps}}):
        course = course_of("loan", config_of(rollout).deployments["loan"])
        assert [gate.tag for gate in course.gates] == ["error_rate"]
        assert [gate.tag for gate in course.rungs[0].gates] == ["latency"]
        assert (course.on_fail, course.on_inconclusive, course.give_up) == ("pause", "rollback", 7200.0)
        assert course.rungs[0].hold == 0.0
    without = course_of("loan", config_of(CANARY | {"gates": gates}).deployments["loan"])
    assert (without.on_fail, without.on_inconclusive, without.give_up) == ("rollback", "hold", inf)


def test_evidence_is_gathered_for_each_candidate_and_for_the_gates_of_all_steps() -> None:
    steps = [{"share": "10%", "gates": [{"latency": {"max": "1s"}}]}]
    canary = CANARY | {"gates": [{"error_rate": {}}], "steps": steps, "confidence": "95%", "min_requests": 7}
    config = config_of(canary)
    spec = config.deployments["loan"]
    (trial,) = trials_of(spec, course_of("loan", spec), begun(config)["loan"])
    assert ([gate.tag for gate in trial.gates], trial.stable, trial.candidate) == (
        ["error_rate", "latency"],
        "v1",
        "v2",
    )
    assert (trial.confidence, trial.min_requests, trial.splits) == (0.95, 7, True)
    for rollout, count in ((SHADOW, 0), (SHADOW | {"gates": [{"agreement": {"min": "98%"}}]}, 1), (None, 0)):
        versions = {} if rollout else {"versions": {"v1": {"url": "http://127.0.0.1:9001"}}}
        config = config_of(rollout, **versions)
        spec = config.deployments["loan"]
        found = trials_of(spec, course_of("loan", spec), begun(config)["loan"])
        assert len(found) == count
        assert not any(each.splits for each in found)


def test_workers_count_apart_by_the_header_that_a_gate_on_requests_asks_for() -> None:
    def by(gate: dict[str, Any]) -> Segment | None:
        slices = {"tenant": {"header": "X-Tenant"}, "kind": {"json": "/kind"}}
        rollout = CANARY | {"gates": [{"segments": {"by": "tenant", "values": 5, "gate": gate}}]}
        config = config_of(rollout, pairs={"slices": slices})
        return compiled(config, begun(config)).segment

    assert by({"error_rate": {}}) == Segment("tenant", "x-tenant", 5)
    assert by({"agreement": {"min": "98%"}}) is None
