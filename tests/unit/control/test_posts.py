"""How long the next process of a post is waited for, and whose a slot is."""

import asyncio
from pathlib import Path

from router.control.handles import WorkerHandle
from router.control.posts import STEADY, Backoff, Post, Slot


class NoProcess:
    pid = 71

    def kill(self) -> None:
        pass

    async def wait(self) -> str:
        return "exit status 0"


def test_the_first_death_costs_no_time_and_those_that_follow_ever_more() -> None:
    backoff = Backoff()
    assert [backoff.after(0.1) for _ in range(9)] == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_long_life_makes_up_for_early_deaths() -> None:
    backoff = Backoff()
    assert [backoff.after(life) for life in (0.1, 0.1, STEADY, 0.1, 0.1)] == [0.0, 0.1, 0.0, 0.0, 0.1]


async def test_a_slot_is_its_workers_until_another_one_gets_it() -> None:
    def worker(name: str) -> WorkerHandle:
        none = Path("/none")
        return WorkerHandle(name, NoProcess(), none, on_tally=lambda *_: None, on_applied=lambda: None)

    slot, first, second = Slot(3, []), worker("a"), worker("b")
    assert slot.is_held_by(None), "nobody ever was there"
    slot.worker = first
    assert (slot.is_held_by(first), slot.is_held_by(second), slot.is_held_by(None)) == (True, False, False)

    async def never() -> WorkerHandle:
        await asyncio.Event().wait()
        return first

    assert Post("worker", slot.index, never, slot.is_held_by).key == ("worker", 3)
