"""The wheel: who is visited, when, and what a visit may do to the wheel."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from router.dataplane import timers
from router.dataplane.timers import GRANULARITY, NEVER, PATROL, Wheel


class Clock:
    """The loop's timers and the monotonic clock, both moved by the test."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pending: Callable[[], object] | None = None

    def call_later(self, delay: float, callback: Callable[[], object]) -> object:
        assert self.pending is None
        self.pending = callback
        return self

    def cancel(self) -> None:
        self.pending = None

    def advance(self, seconds: float) -> None:
        """Goes on turn by turn."""
        for _ in range(round(seconds / GRANULARITY)):
            self.now += GRANULARITY
            self.turn()

    def turn(self) -> None:
        callback, self.pending = self.pending, None
        if callback is not None:
            callback()


class Item:
    def __init__(self, deadline: float, on_visit: Callable[["Item"], object] | None = None) -> None:
        self.deadline = deadline
        self.slot = -1
        self.visits: list[float] = []
        self._on_visit = on_visit

    def on_deadline(self, now: float) -> None:
        self.visits.append(now)
        self.deadline = NEVER
        if self._on_visit is not None:
            self._on_visit(self)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timers, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def wheel(clock: Clock) -> Wheel:
    return Wheel(cast(asyncio.AbstractEventLoop, clock))


def test_a_deadline_is_met_once_and_not_before(clock: Clock, wheel: Wheel) -> None:
    item = Item(clock.now + 0.5)
    wheel.watch(item)
    clock.advance(0.45)
    assert item.visits == []
    clock.advance(0.1 + GRANULARITY)
    assert len(item.visits) == 1
    clock.advance(5)
    assert len(item.visits) == 1


def test_a_deadline_moved_away_costs_nothing_and_one_moved_nearer_waits_for_the_patrol(
    clock: Clock, wheel: Wheel
) -> None:
    item = Item(clock.now + 0.5)
    wheel.watch(item)
    item.deadline = clock.now + 3.0
    clock.advance(2.9)
    assert item.visits == []
    item.deadline = clock.now
    clock.advance(PATROL + 2 * GRANULARITY)
    assert len(item.visits) == 1


def test_hasten_meets_a_nearer_deadline_exactly(clock: Clock, wheel: Wheel) -> None:
    item = Item(NEVER)
    wheel.watch(item)
    item.deadline = clock.now + 0.2
    wheel.hasten(item)
    clock.advance(0.2 + 2 * GRANULARITY)
    assert len(item.visits) == 1


@pytest.mark.parametrize("late", [0.0, 0.01, 1.0, 100.0])
def test_a_deadline_that_has_passed_already_is_met_at_the_next_turn(
    clock: Clock, wheel: Wheel, late: float
) -> None:
    wheel.watch(Item(NEVER))
    clock.advance(0.5)
    hastened, watched = Item(NEVER), Item(clock.now - late)
    wheel.watch(hastened)
    hastened.deadline = clock.now - late
    wheel.hasten(hastened)
    wheel.watch(watched)
    clock.advance(2 * GRANULARITY)
    assert (len(hastened.visits), len(watched.visits)) == (1, 1)


def test_what_is_forgotten_is_not_visited(clock: Clock, wheel: Wheel) -> None:
    item = Item(clock.now + 0.1)
    wheel.watch(item)
    wheel.forget(item)
    wheel.forget(item)
    clock.advance(2)
    assert (item.visits, item.slot) == ([], -1)
    wheel.hasten(item)
    assert item.slot == -1


def test_a_visit_may_forget_itself_and_its_neighbours(clock: Clock, wheel: Wheel) -> None:
    items: list[Item] = []

    def forget_all(_: Item) -> None:
        for item in items:
            wheel.forget(item)

    items += [Item(clock.now + 0.1, forget_all) for _ in range(3)]
    for item in items:
        wheel.watch(item)
    clock.advance(3)
    assert sum(len(item.visits) for item in items) == 1


def test_a_visit_may_set_a_new_deadline_and_watch_others(clock: Clock, wheel: Wheel) -> None:
    other = Item(clock.now + 0.3)

    def again(item: Item) -> None:
        if len(item.visits) == 1:
            item.deadline = clock.now + 0.1
            wheel.hasten(item)
            wheel.watch(other)

    item = Item(clock.now + 0.1, again)
    wheel.watch(item)
    clock.advance(2)
    assert (len(item.visits), len(other.visits)) == (2, 1)


def test_a_loop_that_slept_makes_up_for_it(clock: Clock, wheel: Wheel) -> None:
    items = [Item(clock.now + each / 10) for each in range(1, 40)]
    for item in items:
        wheel.watch(item)
    clock.now += 30
    clock.turn()
    assert all(len(item.visits) == 1 for item in items if item.deadline == NEVER)
    clock.advance(0.1)
    assert all(len(item.visits) == 1 for item in items)


def test_an_empty_wheel_stands_still_and_turns_again(clock: Clock, wheel: Wheel) -> None:
    item = Item(clock.now + 0.1)
    wheel.watch(item)
    wheel.forget(item)
    clock.advance(2)
    assert clock.pending is None
    clock.now += 1000
    item.deadline = clock.now + 0.1
    wheel.watch(item)
    clock.advance(0.3)
    assert len(item.visits) == 1


def test_a_visit_that_fails_stops_nobody_elses_clock(clock: Clock, wheel: Wheel) -> None:
    def fail(item: Item) -> None:
        raise RuntimeError("a bug")

    broken, others = Item(clock.now, fail), [Item(clock.now) for _ in range(5)]
    for item in (broken, *others):
        wheel.watch(item)
    with pytest.raises(RuntimeError):
        clock.advance(2 * GRANULARITY)
    clock.advance(2 * GRANULARITY)
    assert all(len(item.visits) == 1 for item in others)
