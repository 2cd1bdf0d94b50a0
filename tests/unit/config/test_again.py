"""A rollout that was shown leads the same way as the one that was written."""

from math import inf
from pathlib import Path

import pytest
from msgspec.structs import replace

from router.config.again import spec_again
from router.config.loader import load, mask
from router.config.schema import Config
from router.config.snapshot import course_of, trials_of
from router.rollout import ramp
from router.rollout.course import Course

CONFIG = load(Path(__file__).parents[3] / "configs" / "reference.yaml", {}).config
GATES = [{"webhook": {"url": "http://a/?key=hush", "every": "1m"}}, {"latency": {"max": "300ms"}}]


def without_gates(course: Course) -> Course:
    """A step without a hold and with gates does not wait for a person; without gates it does."""
    rungs = tuple(replace(rung, gates=(), hold=rung.hold or inf) for rung in course.rungs)
    return replace(course, gates=(), rungs=rungs)


@pytest.mark.parametrize(
    "name", [name for name, spec in CONFIG.deployments.items() if spec.rollout is not None]
)
def test_the_way_is_the_same(name: str) -> None:
    written = CONFIG.deployments[name]
    again = spec_again(mask(CONFIG)["deployments"][name])
    assert without_gates(course_of(name, again)) == without_gates(course_of(name, written))


def test_times_switches_and_what_else_there_is() -> None:
    rollout = {
        "pattern": "canary", "stable": "v1", "candidate": "v2", "sticky": {"header": "x-user"}, "gates": GATES,
        "steps": [
            {"share": "0.25%", "hold": "90ms", "mirror": "5%", "gates": GATES}, {"pause": True}, {"share": "50%"}
        ],
        "soak": "7d", "confidence": "95%", "min_requests": 7, "on_inconclusive": "pause", "give_up": "1h30m",
        "count_failures": "each",
    }  # fmt: skip
    deployment = {
        "match": {"path": "/x"},
        "versions": {"v1": {"url": "http://a"}, "v2": {"url": "http://b", "limits": {"in_flight": 3}}},
        "rollout": rollout,
    }
    config = Config.model_validate({"deployments": {"loan": deployment}})
    again = spec_again(mask(config)["deployments"]["loan"])
    course, written = course_of("loan", again), course_of("loan", config.deployments["loan"])
    assert (course.soak, course.give_up, course.on_inconclusive) == (7 * 86400.0, 5400.0, "pause")
    assert [(rung.share, rung.mirror, rung.pause) for rung in course.rungs] == [
        (rung.share, rung.mirror, rung.pause) for rung in written.rungs
    ]
    assert course.rungs[0].hold == pytest.approx(0.09)
    (trial,) = trials_of(again, course, ramp.reconcile(course, None))
    (same,) = trials_of(config.deployments["loan"], written, ramp.reconcile(written, None))
    assert trial == replace(same, gates=())
