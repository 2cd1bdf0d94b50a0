"""What people may order of a deployment, rollback apart: each is one move of the ramp. Floor 4, pure."""

from collections.abc import Callable
from typing import NamedTuple

from router.rollout import ramp
from router.rollout.course import Course
from router.rollout.phase import Event
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling


class Order(NamedTuple):
    """`event` is its name in the history. `lead` tells where it leads, by what the gates say now: to the same state
    where there is nothing to do. It raises Refused (400, 409)."""

    event: Event
    lead: Callable[[Course, RolloutState, tuple[Ruling, ...]], RolloutState]


PROMOTE = Order(Event.PROMOTE, lambda course, state, _: ramp.promote(course, state))
"""The next step now."""

FINISH = Order(Event.PROMOTE, lambda course, state, _: ramp.finish(course, state))
"""100 % now, and the soak."""

PAUSE = Order(Event.PAUSE, lambda course, state, _: ramp.pause(course, state))
"""Nothing moves by itself any more."""

RESUME = Order(Event.RESUME, lambda course, state, _: ramp.resume(course, state))
"""Goes on where it was."""

RESTART = Order(Event.RESTART, lambda course, state, _: ramp.restart(course, state))
"""The first step again."""


def share(parts: int) -> Order:
    """The candidate's share by hand, of SHARE_PARTS."""
    return Order(Event.SHARE, lambda course, state, _: ramp.share(course, state, parts))


def switch(colour: str) -> Order:
    """Begins to make a colour live; not one that a gate fails already."""
    return Order(Event.SWITCH, lambda course, state, rulings: ramp.switch(course, state, colour, rulings))
