"""Each order is one move of the ramp, under its own name in the history."""

from collections.abc import Callable
from typing import Any

import pytest

from router.control.commands import Commands
from router.control.terms import Answer
from router.errors import Refused
from router.rollout import ramp
from router.rollout.course import Course, Rung
from router.rollout.phase import Event
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling, Verdict

CANARY = Course("loan", "canary", "v1", ("v2",), (Rung(100, hold=60.0), Rung(1000, hold=60.0)), soak=60.0)
COLOURS = Course("loan", "blue_green", "v1", ("v2",), colours={"blue": "v1", "green": "v2"})


class Ordered(Commands):
    """Makes the move at once, and notes what was ordered."""

    def __init__(self, course: Course, *said: Ruling) -> None:
        self.course = course
        self.state = ramp.reconcile(course, None)
        self.said = said
        self.orders: list[tuple[Any, ...]] = []

    def rulings(self, name: str) -> tuple[Ruling, ...]:
        return self.said

    async def _command(
        self,
        name: str,
        event: Event,
        move: Callable[[Course, RolloutState], RolloutState],
        who: str,
        why: str,
        seen: int | None,
    ) -> Answer:
        self.orders.append((name, event.value, who, why, seen))
        self.state = move(self.course, self.state)
        return Answer("loan", self.state.phase.value, self.state.shares(), 1, 0.0, {})


async def test_each_order_makes_its_move() -> None:
    ordered = Ordered(CANARY)
    phases = [
        (await ordered.promote("loan", "anna", "go", 7)).shares["v2"],
        (await ordered.share("loan", 2500, "anna")).shares["v2"],
        (await ordered.resume("loan", "anna")).phase,
        (await ordered.pause("loan", "anna")).phase,
        (await ordered.restart("loan", "anna")).shares["v2"],
        (await ordered.finish("loan", "anna")).phase,
    ]
    assert phases == [0.1, 0.25, "soaking", "paused", 0.01, "soaking"]
    assert ordered.orders[0] == ("loan", "promote", "anna", "go", 7)
    assert [order[1] for order in ordered.orders[1:]] == ["share", "resume", "pause", "restart", "promote"]


async def test_a_colour_that_a_gate_fails_is_not_switched_to() -> None:
    failed = Ordered(COLOURS, Ruling("webhook", Verdict.FAIL, "the checks failed"))
    with pytest.raises(Refused, match="webhook fails: the checks failed"):
        await failed.switch("loan", "green", "anna")
    assert (await Ordered(COLOURS).switch("loan", "green", "anna")).shares["v2"] == 1.0
