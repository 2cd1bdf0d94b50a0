"""What a worker has confirmed and what it may still be serving, without a process."""

import asyncio
import socket
from pathlib import Path

import pytest

from router.channel import Applied, Drain, EndpointsDown, Frame, FrameReader, Publish, Tally
from router.channel import encode as encoded
from router.control import handles
from router.control.handles import WorkerHandle, WorkerState


class FakeProcess:
    """Ends when it is killed, or told to; `kills` counts."""

    pid = 71

    def __init__(self) -> None:
        self.kills = 0
        self.ended = asyncio.Event()

    def kill(self) -> None:
        self.kills += 1
        self.ended.set()

    async def wait(self) -> str:
        await self.ended.wait()
        return "exit status 0"


class Rig:
    """A handle whose worker is this test: `told` reads the frames it was sent."""

    def __init__(self, generation: int = 0) -> None:
        self.process = FakeProcess()
        self.tallies: list[tuple[str, Tally]] = []
        self.applied = 0
        self.rescue = Path("/nonexistent/worker-0-x.sock")
        self.handle = WorkerHandle(
            "worker-0-x", self.process, self.rescue, generation=generation,
            on_tally=lambda name, tally: self.tallies.append((name, tally)), on_applied=self._on_applied,
        )  # fmt: skip
        self.reader = FrameReader()
        self.ours, self.theirs = socket.socketpair()
        self.running = asyncio.create_task(self.handle.run())

    def _on_applied(self) -> None:
        self.applied += 1

    async def attach(self) -> "Rig":
        loop = asyncio.get_running_loop()
        self.theirs.setblocking(False)
        await loop.create_unix_connection(lambda: self.handle.link, sock=self.ours)
        return self

    async def told(self) -> list[Frame]:
        data = await asyncio.get_running_loop().sock_recv(self.theirs, 1 << 16)
        return self.reader.feed(data)

    async def says(self, frame: Frame) -> None:
        await asyncio.get_running_loop().sock_sendall(self.theirs, encoded(frame))
        await asyncio.sleep(0.01)

    async def end(self) -> None:
        self.process.ended.set()
        await self.running
        self.theirs.close()


async def test_a_new_worker_learns_what_is_down_before_its_first_snapshot() -> None:
    rig = await Rig().attach()
    down = EndpointsDown(("http://a",))
    rig.handle.publish(Publish(4, b"x"), down)
    rig.handle.publish(Publish(5, b"y"), down)
    assert await rig.told() == [down, Publish(4, b"x"), Publish(5, b"y")]
    await rig.end()


async def test_states_and_who_has_to_be_waited_for() -> None:
    rig = await Rig().attach()
    handle = rig.handle
    assert handle.state.value == "starting"
    assert not handle.is_live(4), "told nothing yet: it serves nothing"
    handle.publish(Publish(4, b""), EndpointsDown(()))
    assert not handle.is_live(4), "it can't have anything older"
    assert handle.is_live(5), "it may be about to serve 4"
    await rig.says(Applied(4))
    assert handle.state.value == "serving"
    assert handle.is_live(4)
    assert rig.applied == 1
    await rig.end()
    assert not handle.is_live(5)


async def test_an_orphan_is_live_with_what_it_has() -> None:
    rig = await Rig(generation=7).attach()
    assert rig.handle.state is WorkerState.SERVING
    assert rig.handle.is_live(8)
    rig.handle.publish(Publish(8, b""), EndpointsDown(()))
    assert await rig.told() == [Publish(8, b"")]
    await rig.end()


async def test_a_newer_confirmation_counts_for_older_generations() -> None:
    rig = await Rig().attach()
    waiting = [asyncio.create_task(rig.handle.confirms(generation)) for generation in (1, 2, 3)]
    await asyncio.sleep(0)
    await rig.says(Applied(2))
    assert [task.done() for task in waiting] == [True, True, False]
    assert await rig.handle.confirms(2)
    await rig.end()
    assert [await task for task in waiting] == [True, True, False], "an end is an answer too"
    assert not await rig.handle.confirms(1)


async def test_one_waiter_that_gives_up_takes_nothing_from_the_others() -> None:
    rig = await Rig().attach()
    one, other = (asyncio.create_task(rig.handle.confirms(1)) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    await rig.says(Applied(1))
    assert await other
    await rig.end()


async def test_tallies_come_with_the_name_and_strange_frames_are_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = await Rig().attach()
    await rig.says(Tally((), ()))
    assert rig.tallies == [("worker-0-x", Tally((), ()))]
    await rig.says(Drain(1.0))
    assert "not its to send: Drain" in caplog.text
    await rig.end()


async def test_a_worker_that_closes_its_channel_and_goes_on_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handles, "_LAST_WORDS", 0.02)
    rig = await Rig().attach()
    rig.theirs.close()
    await asyncio.wait_for(rig.running, 5)
    assert rig.process.kills == 1


@pytest.mark.parametrize("confirms", [False, True])
async def test_a_worker_that_never_begins_to_serve_is_killed(
    monkeypatch: pytest.MonkeyPatch, confirms: bool
) -> None:
    monkeypatch.setattr(handles, "_BOOT", 0.05)
    rig = await Rig().attach()
    rig.handle.publish(Publish(1, b""), EndpointsDown(()))
    if confirms:
        await rig.says(Applied(1))
    await asyncio.wait((rig.running,), timeout=0.2)
    assert rig.process.kills == (0 if confirms else 1)
    await rig.end()


async def test_a_drained_worker_may_close_its_channel_but_not_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handles, "_LAST_WORDS", 0.01)
    monkeypatch.setattr(handles, "_LAG", 0.1)
    rig = await Rig().attach()
    draining = asyncio.create_task(rig.handle.drain(0.5, close_idle=True))
    assert await rig.told() == [Drain(0.5, True)]
    assert rig.handle.state is WorkerState.DRAINING
    rig.theirs.close()
    await asyncio.sleep(0.05)
    assert rig.process.kills == 0
    await asyncio.wait_for(draining, 5)
    assert rig.process.kills == 1
    await rig.end()


async def test_what_a_dead_worker_had_told_is_read_before_it_is_gone() -> None:
    rig = await Rig().attach()
    for _ in range(3):
        rig.theirs.send(encoded(Tally((), ())))
    rig.theirs.close()
    rig.process.kill()
    await asyncio.wait_for(rig.running, 5)
    assert len(rig.tallies) == 3
