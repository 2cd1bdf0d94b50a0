"""The sentence that says what a rollout waits for."""

from math import inf

import pytest

from router.rollout import ramp
from router.rollout.course import Course, Rung, endless
from router.rollout.waiting import duration, percent, waits_for

CANARY = Course(
    "loan", "canary", "v1", ("v2",), (Rung(100, hold=600.0), Rung(100, pause=True), Rung(5000)), 3600.0
)
BLUE_GREEN = Course("loan", "blue_green", "v1", ("v2",), keep=60.0, colours={"blue": "v1", "green": "v2"})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.25, "250ms"), (59.6, "1m"), (90, "1m30s"), (5400, "1h30m"), (90061, "1d1h")],
)
def test_durations_read_as_they_are_written(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("parts", "text"), [(1, "0.01%"), (500, "5%"), (10_000, "100%")])
def test_shares_read_as_they_are_written(parts: int, text: str) -> None:
    assert percent(parts) == text


def test_a_canary_says_what_comes_next_all_the_way() -> None:
    state = ramp.passed(CANARY, ramp.reconcile(CANARY, None), 60.0)
    said = [waits_for(CANARY, state)]
    said.append(waits_for(CANARY, ramp.pause(CANARY, state)))
    for _ in range(2):
        state = ramp.promote(CANARY, state)
        said.append(waits_for(CANARY, state))
    state = ramp.promote(CANARY, state)
    said.append(waits_for(CANARY, ramp.passed(CANARY, state, 600.0)))
    said.append(waits_for(CANARY, ramp.promote(CANARY, state)))
    said.append(waits_for(CANARY, ramp.rollback(state)))
    assert said == [
        "the hold: 9m left, then a pause",
        "resume, to go on with 1% (step 1 of 3), or promote",
        "promote, to go on to 50% (step 3 of 3)",
        "the hold: 0s left, then 100%",
        "the soak: 50m left, then it is promoted",
        "nothing: v2 has taken over",
        "restart, or another candidate in the YAML",
    ]


def test_the_other_patterns_say_what_a_person_can_do() -> None:
    shadow = Course("loan", "shadow", "v1", ("v2",), endless(5000))
    state = ramp.reconcile(shadow, None)
    assert waits_for(shadow, state) == "nothing: copies go on until somebody stops them"
    assert waits_for(shadow, ramp.pause(shadow, state)) == "resume, to send copies again"
    proxied = Course("loan", "", "v1")
    assert waits_for(proxied, ramp.reconcile(proxied, None)) == "nothing: no rollout"
    blue = ramp.reconcile(BLUE_GREEN, None)
    assert waits_for(BLUE_GREEN, blue) == "switch"
    green = ramp.switch(BLUE_GREEN, blue, "green")
    assert waits_for(BLUE_GREEN, ramp.passed(BLUE_GREEN, green, 20.0)) == (
        "nothing; v1 stays ready for another 40s"
    )


def test_a_step_without_a_hold_waits_for_a_person() -> None:
    course = Course("loan", "canary", "v1", ("v2",), (Rung(5000, hold=inf), Rung(8000, hold=60.0)))
    state = ramp.passed(course, ramp.reconcile(course, None), 1e9)
    assert ramp.decide(course, state) == ()
    assert waits_for(course, state) == "promote, to go on to 80% (step 2 of 2): this step has no hold"
    assert ramp.promote(course, state).share == 8000
