"""What the metrics tell of the control plane."""

from router.config.schema import DeploymentSpec
from router.config.snapshot import compile_deployment, course_of
from router.control.facts import Rollbacks, facts_of
from router.control.terms import ConfigStatus, Deployment
from router.rollout import ramp
from router.rollout.verdict import Ruling, Verdict

URL = "http://127.0.0.1:9001"


def deployment() -> Deployment:
    rollout = {"pattern": "canary", "stable": "v1", "candidate": "v2", "steps": [{"share": "10%"}]}
    spec = DeploymentSpec.model_validate(
        {"match": {"path": "/m"}, "versions": {"v1": {"url": URL}, "v2": {"url": URL}}, "rollout": rollout}
    )
    course = course_of("loan", spec)
    state = ramp.reconcile(course, None)
    return Deployment(spec, course, state, compile_deployment("loan", spec, state, 1), 0.0)


def test_of_several_gates_of_one_kind_the_one_that_matters_most_is_told() -> None:
    verdicts = [Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ERROR]
    holding = Ruling("latency", Verdict.PASS, "", hold=True)
    said = (*(Ruling("error_rate", verdict, "") for verdict in verdicts), holding)
    facts = facts_of(3, True, ConfigStatus("d1", 9.0), {"loan": deployment()}, {"loan": said}, Rollbacks())
    assert facts.gates == {("loan", "error_rate"): "fail", ("loan", "latency"): "pass"}
    assert facts.holding == {("loan", "latency")}
    assert (facts.generation, facts.persisted, facts.config_ok, facts.config_loaded_at) == (
        3,
        True,
        True,
        9.0,
    )
    assert facts.shares == {("loan", "v1"): 0.9, ("loan", "v2"): 0.1}
    assert facts.phases == {"loan": "progressing"}
    assert (facts.steps, facts.mirrors) == ({"loan": (0, 1)}, {"loan": 0.0})
    assert facts.endpoints == (("loan", "v1", URL), ("loan", "v2", URL))


def test_a_refused_configuration_is_not_ok() -> None:
    assert not facts_of(3, False, ConfigStatus("d1", 9.0, "wrong"), {}, {}, Rollbacks()).config_ok


def test_rollbacks_are_counted_by_cause_and_timed() -> None:
    rollbacks = Rollbacks()
    for cause in ("operator", "error_rate", "error_rate"):
        rollbacks.count("loan", cause)
    for seconds in (0.01, 0.01, 0.5):
        rollbacks.time(seconds)
    facts = facts_of(1, True, ConfigStatus(), {}, {}, rollbacks)
    rollbacks.count("loan", "operator")
    assert facts.rollbacks == {("loan", "operator"): 1, ("loan", "error_rate"): 2}
    assert (sorted(facts.rollback_apply.counts.values()), facts.rollback_apply.sum) == ([1, 2], 0.52)
