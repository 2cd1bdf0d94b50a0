"""The order of things, with a sender that answers when told."""

import asyncio
import time
from collections.abc import Callable

import pytest

from router.channel import Capture, CapturedAnswer
from router.pairs.replay import Outgoing
from router.replay.pacing import Pacer
from router.replay.run import GIVE_UP, Gone, Replay
from tests.support.captures import answer, primary


class Server:
    """Answers after `delay` seconds; notes when requests came and how many were under way at once."""

    def __init__(self, delay: float = 0.0, failing: Callable[[int], bool] = lambda count: False) -> None:
        self.delay = delay
        self.failing = failing
        self.came: list[float] = []
        self.open = self.most = 0

    async def send(self, outgoing: Outgoing) -> CapturedAnswer:
        self.came.append(time.monotonic())
        self.open += 1
        self.most = max(self.most, self.open)
        await asyncio.sleep(self.delay)
        self.open -= 1
        return answer("v3", 1, "connect_failed" if self.failing(len(self.came)) else "")


async def replay(server: Server, count: int, concurrency: int, rate: float | None = None) -> list[str]:
    taken: list[str] = []

    def take(capture: Capture, answer: CapturedAnswer) -> None:
        taken.append(capture.exchange)

    captures = (primary(str(number)) for number in range(count))
    await Replay(captures, server, Pacer(rate), (), take, time.monotonic).run(concurrency)
    return taken


async def test_each_goes_out_once_in_order() -> None:
    assert await replay(Server(), 50, 1) == [str(number) for number in range(50)]
    assert sorted(await replay(Server(0.001), 50, 8), key=int) == [str(number) for number in range(50)]


async def test_no_more_than_so_many_at_once() -> None:
    server = Server(0.005)
    await replay(server, 60, 7)
    assert server.most == 7


async def test_the_rate_is_kept_and_never_passed() -> None:
    server = Server()
    await replay(server, 101, 4, rate=200)
    took = server.came[-1] - server.came[0]
    assert 0.48 <= took < 0.9  # what a busy machine adds is not asked back
    for first in range(80):
        assert server.came[first + 20] - server.came[first] > 20 / 200 - 0.03


async def test_a_version_that_is_gone_ends_it() -> None:
    server = Server(failing=lambda count: count > 10)
    with pytest.raises(Gone):
        await replay(server, 1000, 2)
    assert len(server.came) <= 10 + GIVE_UP + 2


async def test_single_refusals_do_not() -> None:
    assert len(await replay(Server(failing=lambda count: count % 10 != 0), 300, 3)) == 300


async def test_a_failure_in_what_takes_the_answers_ends_it() -> None:
    def fail(capture: Capture, answer: CapturedAnswer) -> None:
        raise ValueError("no room")

    server = Server()
    captures = (primary(str(number)) for number in range(100))
    with pytest.raises(ValueError, match="no room"):
        await Replay(captures, server, Pacer(None), (), fail, time.monotonic).run(3)
    assert len(server.came) < 10
