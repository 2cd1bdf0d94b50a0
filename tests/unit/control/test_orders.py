"""Each order is one move of the ramp, under its own name in the history."""

import pytest

from router.control.orders import FINISH, PAUSE, PROMOTE, RESTART, RESUME, Order, share, switch
from router.errors import Refused
from router.rollout import ramp
from router.rollout.course import Course, Rung
from router.rollout.verdict import Ruling, Verdict

CANARY = Course("loan", "canary", "v1", ("v2",), (Rung(100, hold=60.0), Rung(1000, hold=60.0)), soak=60.0)
COLOURS = Course("loan", "blue_green", "v1", ("v2",), colours={"blue": "v1", "green": "v2"})
FAILED = Ruling("webhook", Verdict.FAIL, "the checks failed")


@pytest.mark.parametrize(
    ("orders", "event", "phase", "candidate"),
    [
        ([PROMOTE], "promote", "progressing", 0.1),
        ([share(2500)], "share", "paused", 0.25),
        ([PAUSE], "pause", "paused", 0.01),
        ([PAUSE, RESUME], "resume", "progressing", 0.01),
        ([PROMOTE, RESTART], "restart", "progressing", 0.01),
        ([FINISH], "promote", "soaking", 1.0),
    ],
)
def test_each_order_leads_where_it_says(
    orders: list[Order], event: str, phase: str, candidate: float
) -> None:
    state = ramp.reconcile(CANARY, None)
    for order in orders:
        state = order.lead(CANARY, state, (FAILED,))  # what a person orders no gate forbids
    assert orders[-1].event.value == event
    assert (state.phase.value, state.shares()["v2"]) == (phase, candidate)


def test_a_colour_that_a_gate_fails_is_not_switched_to() -> None:
    state = ramp.reconcile(COLOURS, None)
    with pytest.raises(Refused, match="webhook fails: the checks failed"):
        switch("green").lead(COLOURS, state, (FAILED,))
    assert switch("green").lead(COLOURS, state, ()).shares()["v2"] == 1.0


def test_what_is_so_already_leads_to_the_same_state() -> None:
    state = ramp.reconcile(COLOURS, None)
    assert switch("blue").lead(COLOURS, state, ()) is state
