"""The sentence that says what a rollout waits for."""

from math import inf

import pytest
from msgspec.structs import replace

from router.rollout import ramp
from router.rollout.course import Course, Rung, endless
from router.rollout.gates.error_rate import ErrorRateGate
from router.rollout.verdict import Ruling, Verdict
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
    assert waits_for(BLUE_GREEN, blue) == "switch, to make green live"
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


GATED = Course(
    "loan",
    "canary",
    "v1",
    ("v2",),
    (Rung(1000, hold=600.0), Rung(2500, hold=60.0)),
    0.0,
    gates=(ErrorRateGate(),),
)
SHORT = Ruling(
    "error_rate",
    Verdict.INCONCLUSIVE,
    "error ratio 1.1 [0.6, 2.3], must be shown below 2",
    wait=237.0,
)
PASSES = Ruling("error_rate", Verdict.PASS, "error ratio 0.9")


@pytest.mark.parametrize(
    ("held", "rulings", "said"),
    [
        (60, (SHORT,), "the hold: 9m left, then 25% (step 2 of 2) if its gates pass"),
        (
            60,
            (replace(SHORT, hold=True, why="error ratio 3 leans against the candidate"),),
            "the hold: 9m left, then 25% (step 2 of 2) if its gates pass; "
            "now error_rate: error ratio 3 leans against the candidate",
        ),
        (
            600,
            (SHORT,),
            "evidence, holding at 10%: error ratio 1.1 [0.6, 2.3], must be shown below 2; about 4m at this traffic",
        ),
        (600, (), "evidence, holding at 10%: not asked yet"),
        (
            600,
            (replace(SHORT, verdict=Verdict.ERROR, why="connection refused", wait=None),),
            "a gate that answers, holding at 10%: connection refused",
        ),
        (
            600,
            (PASSES, Ruling("sample_ratio", Verdict.INCONCLUSIVE, "share 7%", hold=True)),
            "better evidence, holding at 10%: share 7%",
        ),
        (600, (PASSES,), "the hold: 0s left, then 25% (step 2 of 2) if its gates pass"),
    ],
)
def test_a_step_with_gates_says_what_they_want(held: float, rulings: tuple[Ruling, ...], said: str) -> None:
    state = ramp.passed(GATED, ramp.reconcile(GATED, None), held)
    assert waits_for(GATED, state, rulings) == said


def test_a_step_that_may_be_given_up_says_when() -> None:
    course = replace(GATED, on_inconclusive="pause", give_up=7200.0)
    state = ramp.passed(course, ramp.reconcile(course, None), 1200.0)
    why = replace(SHORT, why="3 requests", wait=None)
    assert waits_for(course, state, (why,)) == "evidence, holding at 10%: 3 requests; else it pauses in 1h50m"


@pytest.mark.parametrize(
    ("wait", "about"), [(7.4, "7s"), (237.0, "4m"), (4000.0, "1h7m"), (100_000.0, "1d4h"), (0.2, "1s")]
)
def test_a_gate_that_knows_how_long_it_may_take_is_asked(wait: float, about: str) -> None:
    state = ramp.passed(GATED, ramp.reconcile(GATED, None), 600.0)
    said = waits_for(GATED, state, (replace(SHORT, why="3 requests", wait=wait),))
    assert said == f"evidence, holding at 10%: 3 requests; about {about} at this traffic"


def test_a_pause_that_a_gate_brought_says_so() -> None:
    course = replace(GATED, on_fail="pause")
    failed = replace(SHORT, verdict=Verdict.FAIL, why="error ratio 9")
    (move,) = ramp.decide(course, ramp.reconcile(course, None), (failed,))
    assert waits_for(course, move.state, (failed,)) == (
        "resume, to go on with 10% (step 1 of 2), or promote; error_rate fails: error ratio 9"
    )


def test_who_stopped_it_and_why_stands_with_it() -> None:
    begun = ramp.reconcile(GATED, None)
    undone = replace(ramp.rollback(begun), who="router", why="error_rate: error ratio 9")
    assert waits_for(GATED, undone) == (
        "restart, or another candidate in the YAML; rolled back by router: error_rate: error ratio 9"
    )
    paused = replace(ramp.pause(GATED, begun), who="ops")
    assert waits_for(GATED, paused) == "resume, to go on with 10% (step 1 of 2), or promote; paused by ops"
    planned = replace(
        ramp.promote(CANARY, ramp.reconcile(CANARY, None)), who="router", why="its hold is over"
    )
    assert waits_for(CANARY, planned) == "promote, to go on to 50% (step 3 of 3)"
