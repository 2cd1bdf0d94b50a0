from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config.loader import load
from router.config.schema import CanaryRollout
from router.demo import run
from router.demo.script import PATTERNS, STEPS, Act, hold_of, script
from router.spec import parse_duration


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_has_its_configuration(pattern: str) -> None:
    config = load(Path(run.__file__).with_name(f"{pattern}.yaml"), {}).config
    rollout = config.deployments["loan"].rollout
    assert rollout is not None
    assert rollout.pattern == pattern.replace("-", "_")
    if isinstance(rollout, CanaryRollout):
        assert len(rollout.steps) == STEPS


@given(st.floats(1.0, 3600.0))
def test_a_canary_shows_every_step_before_it_is_rolled_back(duration: float) -> None:
    (rollback,) = script("canary", duration)
    assert rollback.action == "rollback"
    assert STEPS * parse_duration(hold_of(duration)) < rollback.at < duration


def test_without_an_end_a_canary_shows_everything_within_twenty_seconds_and_begins_again() -> None:
    rollback, again = script("canary", None)
    assert (rollback.action, again.action) == ("rollback", "restart")
    assert STEPS * parse_duration(hold_of(None)) < rollback.at < 20.0
    assert rollback.at < again.at


@pytest.mark.parametrize("duration", [None, 30.0])
def test_blue_green_switches_there_and_back(duration: float | None) -> None:
    there, back = script("blue-green", duration)
    assert (there.body, back.body) == ({"to": "green"}, {"to": "blue"})
    assert there.at < back.at < (duration or 1e9)


def test_a_shadow_is_only_watched() -> None:
    assert script("shadow", 20.0) == ()


def test_an_act_reads_as_a_person_would_say_it() -> None:
    assert str(Act(1.0, "switch", {"to": "green"})) == "switch to green"
    assert str(Act(1.0, "rollback", {"reason": "x"})) == "rollback"
