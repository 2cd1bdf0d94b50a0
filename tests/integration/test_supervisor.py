"""The supervisor with real processes: fakes that keep the worker's side of the channel."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from router.channel import RecorderSettings
from router.config.schema import ListenSpec
from router.control import supervisor as supervising
from router.control.handles import Handle
from router.control.runtime import RuntimeDirectory
from router.control.supervisor import Commands, Supervisor
from router.control.terms import Confirmation
from router.errors import Refused, RouterError
from router.telemetry.ledger import Ledger

T = TypeVar("T")
FAKES = Path(__file__).parent.parent
LISTEN = (ListenSpec(address="127.0.0.1:0"),)


def commands(*behaviour: str) -> Commands:
    return Commands(
        worker=(sys.executable, str(FAKES / "fake_worker.py"), *(behaviour or ("normal",))),
        recorder=(sys.executable, str(FAKES / "fake_recorder.py")),
    )


@asynccontextmanager
async def running(
    path: Path, *behaviour: str, workers: int = 1, listen: tuple[ListenSpec, ...] = LISTEN
) -> AsyncIterator[tuple[Supervisor, Ledger]]:
    ledger = Ledger()
    async with asyncio.TaskGroup() as tasks:
        supervisor = Supervisor(RuntimeDirectory(path / "db"), ledger, tasks, commands(*behaviour))
        await supervisor.start(listen, workers)
        try:
            yield supervisor, ledger
        finally:
            await supervisor.stop(2.0)


async def eventually(condition: Callable[[], bool], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)


async def within(seconds: float, awaitable: Awaitable[T]) -> T:
    async with asyncio.timeout(seconds):
        return await awaitable


async def ask(address: str) -> tuple[int, int, str]:
    """Who answers: pid, generation, endpoints it knows to be down."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    answer = (await asyncio.wait_for(reader.read(), 10)).decode()
    writer.close()
    pid, generation, down = answer.split(" ")
    return int(pid), int(generation), down


async def ask_all(address: str, workers: int) -> dict[int, int]:
    """Generation by pid, of at least so many workers: the kernel spreads connections over them."""
    seen: dict[int, int] = {}
    for _ in range(400):
        pid, generation, _ = await ask(address)
        seen[pid] = generation
        if len(seen) == workers:
            return seen
    raise AssertionError(f"only {seen} answered")


async def test_workers_accept_after_the_first_snapshot_and_confirm_the_next(tmp_path: Path) -> None:
    async with running(tmp_path, workers=2) as (supervisor, _):
        first = await supervisor.publish(1, b"one")
        assert first == Confirmation(0, 0), "workers that never served are nobody to wait for"
        await within(10, supervisor.serving())
        assert await supervisor.publish(2, b"two") == Confirmation(live=2, confirmed=2)
        assert set((await ask_all(supervisor.addresses[0], 2)).values()) == {2}


async def test_a_connection_waits_in_the_backlog_until_a_worker_serves(tmp_path: Path) -> None:
    async with running(tmp_path) as (supervisor, _):
        waiting = asyncio.create_task(ask(supervisor.addresses[0]))
        await asyncio.sleep(0)
        await supervisor.publish(1, b"one")
        assert (await within(10, waiting))[1] == 1


async def test_a_worker_that_does_not_confirm_is_killed_and_replaced(tmp_path: Path) -> None:
    async with running(tmp_path, "hang", "2") as (supervisor, _):
        await supervisor.publish(1, b"one")
        await within(10, supervisor.serving())
        old, _, _ = await ask(supervisor.addresses[0])
        clock = asyncio.get_running_loop().time
        began = clock()
        assert await supervisor.publish(2, b"two") == Confirmation(live=1, confirmed=0)
        assert 0.9 < clock() - began < 2.0
        assert not _alive(old)
        await eventually(lambda: supervisor.facts().restarts == 1)


async def test_a_stopped_worker_counts_as_one_that_does_not_confirm(tmp_path: Path) -> None:
    async with running(tmp_path, workers=2) as (supervisor, _):
        await supervisor.publish(1, b"one")
        await within(10, supervisor.serving())
        stuck, _ = await ask_all(supervisor.addresses[0], 2)
        os.kill(stuck, signal.SIGSTOP)
        assert await supervisor.publish(2, b"two") == Confirmation(live=2, confirmed=1)
        seen = await ask_all(supervisor.addresses[0], 2)
        assert stuck not in seen
        assert set(seen.values()) == {2}, "the replacement has the newest snapshot"


async def test_overlapping_publishes_end_with_the_highest_generation(tmp_path: Path) -> None:
    async with running(tmp_path, workers=2) as (supervisor, _):
        await supervisor.publish(1, b"one")
        await within(10, supervisor.serving())
        answers = await asyncio.gather(*(supervisor.publish(generation, b"x") for generation in (5, 3, 4, 2)))
        assert answers == [Confirmation(2, 2)] * 4
        assert set((await ask_all(supervisor.addresses[0], 2)).values()) == {5}


async def test_a_publish_goes_on_when_its_caller_is_cancelled(tmp_path: Path) -> None:
    async with running(tmp_path, "hang", "2") as (supervisor, _):
        await supervisor.publish(1, b"one")
        await within(10, supervisor.serving())
        old, _, _ = await ask(supervisor.addresses[0])
        publish = asyncio.create_task(supervisor.publish(2, b"two"))
        await asyncio.sleep(0)
        publish.cancel()
        await eventually(lambda: not _alive(old), within=3.0)


async def test_a_dead_worker_is_replaced_within_a_second_and_its_counts_stay(tmp_path: Path) -> None:
    async with running(tmp_path) as (supervisor, ledger):
        await supervisor.publish(1, b"one")
        supervisor.endpoints_down(["http://a", "http://b"])
        old, _, _ = await ask(supervisor.addresses[0])
        await eventually(lambda: bool(ledger.series()))
        clock = asyncio.get_running_loop().time
        os.kill(old, signal.SIGKILL)
        died = clock()
        new, generation, down = await ask(supervisor.addresses[0])
        assert clock() - died < 3.0, "a second on a quiet machine"
        assert (new != old, generation, down) == (True, 1, "http://a,http://b")
        await eventually(lambda: ledger.series()["d", "v", "live"].requests == 2)
        assert supervisor.facts().restarts == 1


async def test_dying_again_and_again_is_slowed_down(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(tmp_path, "crash") as (supervisor, _):
        await eventually(lambda: supervisor.facts().restarts >= 3)
        said = [record.getMessage() for record in caplog.records if "exit status 4" in record.getMessage()]
        assert said[0].endswith("starting another now")
        assert said[2].endswith("starting another in 0.2 s")


async def test_what_dies_again_and_again_is_named_until_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "STEADY", 0.5)
    async with running(tmp_path, "crash") as (supervisor, _):
        assert supervisor.facts().crash_loops == {"worker": 0, "recorder": 0}
        await eventually(lambda: supervisor.troubles() != ())
        (trouble,) = supervisor.troubles()
        assert re.fullmatch(
            r"worker-0-\w+ \(pid \d+\) died: exit status 4; another starts in [\d.]+ s", trouble
        )
        assert supervisor.facts().crash_loops == {"worker": 1, "recorder": 0}
        supervisor._commands = commands()
        await supervisor.publish(1, b"one")
        await within(10, supervisor.serving())
        await eventually(lambda: supervisor.troubles() == ())


async def test_every_worker_is_replaced_and_no_connection_refused(tmp_path: Path) -> None:
    async with running(tmp_path, workers=2) as (supervisor, _):
        await supervisor.publish(1, b"one")
        await within(10, supervisor.serving())
        address, done, answers = supervisor.addresses[0], asyncio.Event(), 0
        old = await ask_all(address, 2)

        async def client() -> None:
            nonlocal answers
            while not done.is_set():
                await ask(address)
                answers += 1

        clients = [asyncio.create_task(client()) for _ in range(4)]
        assert await within(20, supervisor.replace_workers()) == 2
        await eventually(lambda: not any(_alive(pid) for pid in old))
        done.set()
        await asyncio.gather(*clients)
        assert not set(await ask_all(address, 2)) & set(old)
        assert answers > 10
        assert supervisor.facts().restarts == 0, "nothing died"
        assert await supervisor.publish(2, b"two") == Confirmation(live=2, confirmed=2)
        (new, *_) = await ask_all(address, 2)
        os.kill(new, signal.SIGKILL)
        await eventually(lambda: supervisor.facts().restarts == 1 and supervisor.all_serving())


async def test_a_worker_that_can_not_serve_takes_nobodys_place(tmp_path: Path) -> None:
    async with running(tmp_path) as (supervisor, _):
        await supervisor.publish(1, b"one")
        await within(10, supervisor.serving())
        old, _, _ = await ask(supervisor.addresses[0])
        supervisor._commands = commands("crash")
        with pytest.raises(Refused, match="does not serve"):
            await within(10, supervisor.replace_workers())
        supervisor._commands = Commands(worker=("/nonexistent",))
        with pytest.raises(Refused, match="can't be started"):
            await within(10, supervisor.replace_workers())
        assert (await ask(supervisor.addresses[0]))[0] == old
        assert supervisor.all_serving()
        assert supervisor.troubles() == ()


async def test_one_that_took_the_place_of_a_dead_one_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, over = asyncio.Event(), asyncio.Event()

    async def pause(self: Supervisor, seconds: float) -> None:
        waiting.set()
        await over.wait()

    monkeypatch.setattr(Supervisor, "_pause", pause)
    async with running(tmp_path, "crash") as (supervisor, _):
        await within(10, waiting.wait())  # the next worker of the slot is waited for
        supervisor._commands = commands()
        await supervisor.publish(1, b"one")
        assert await within(20, supervisor.replace_workers()) == 1
        pid, _, _ = await ask(supervisor.addresses[0])
        supervisor._commands = Commands(worker=("/nonexistent",))
        over.set()
        await asyncio.sleep(0.05)
        assert supervisor.troubles() == (), "nobody is started beside the one that serves"
        assert supervisor.all_serving()
        assert await supervisor.publish(2, b"two") == Confirmation(live=1, confirmed=1)
        assert await ask_all(supervisor.addresses[0], 1) == {pid: 2}


async def test_one_that_came_too_late_for_its_place_is_seen_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as (supervisor, _):
        await supervisor.publish(1, b"one")
        await within(10, supervisor.serving())
        (slot,) = supervisor._slots
        connect, held, over = supervising._connect, asyncio.Event(), asyncio.Event()

        async def slow(handle: Handle, channel: socket.socket) -> None:
            if not held.is_set():
                held.set()
                await over.wait()
            await connect(handle, channel)

        monkeypatch.setattr(supervising, "_connect", slow)
        late = asyncio.create_task(supervisor._start_worker(slot))
        await held.wait()
        assert await within(20, supervisor.replace_workers()) == 1
        taken = slot.worker
        over.set()
        handle = await late
        assert slot.worker is taken
        assert handle is not taken
        await within(10, handle.run())  # told to leave, it ends


async def test_a_snapshot_that_kills_a_worker_is_answered_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, "die", "2") as (supervisor, _):
        await supervisor.publish(1, b"one")
        await within(10, supervisor.serving())
        clock = asyncio.get_running_loop().time
        began = clock()
        assert await supervisor.publish(2, b"two") == Confirmation(live=1, confirmed=0)
        assert clock() - began < 0.9


async def test_the_recorder_gets_its_settings_again_after_it_died(tmp_path: Path) -> None:
    async with running(tmp_path) as (supervisor, ledger):
        supervisor.recorder_settings(RecorderSettings("somewhere", 1, 1.0, 1.0, {}))
        key = ("somewhere", "v1", "v2")
        await eventually(lambda: key in ledger.pairs())
        assert supervisor._recorder is not None
        os.kill(supervisor._recorder.process.pid, signal.SIGKILL)
        await eventually(lambda: ledger.pairs()[key].verdicts["match"] == 2)
        assert supervisor.facts().restarts == 0, "that metric counts workers"


async def test_stop_leaves_no_process_and_no_socket(tmp_path: Path) -> None:
    async with running(tmp_path, workers=2) as (supervisor, _):
        await supervisor.publish(1, b"one")
        await within(10, supervisor.serving())
        address = supervisor.addresses[0]
        pids = set(await ask_all(address, 2))
    assert not any(_alive(pid) for pid in pids)
    assert list((tmp_path / "db.run").iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        await ask(address)


async def test_an_impatient_operator_does_not_wait_for_a_recorder_that_hangs(tmp_path: Path) -> None:
    async with running(tmp_path) as (supervisor, _):
        await supervisor.publish(1, b"one")
        await within(10, supervisor.serving())
        await eventually(lambda: supervisor._recorder is not None)
        assert supervisor._recorder is not None
        os.kill(supervisor._recorder.process.pid, signal.SIGSTOP)
        stopping = asyncio.create_task(supervisor.stop(2.0))
        await asyncio.sleep(0)
        supervisor.kill()
        await within(5, stopping)


async def test_an_address_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        async with asyncio.TaskGroup() as tasks:
            supervisor = Supervisor(RuntimeDirectory(tmp_path / "db"), Ledger(), tasks, commands())
            with pytest.raises(RouterError, match=f"listen {address}: Address already in use"):
                await supervisor.start((ListenSpec(address=address),), 1)


CONTROLLER = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from router.config.schema import ListenSpec
    from router.control.runtime import RuntimeDirectory
    from router.control.supervisor import Commands, Supervisor
    from router.telemetry.ledger import Ledger

    async def main(path, fakes, workers, behaviour):
        commands = Commands(
            worker=(sys.executable, fakes + "/fake_worker.py", *behaviour),
            recorder=(sys.executable, fakes + "/fake_recorder.py"),
        )
        async with asyncio.TaskGroup() as tasks:
            supervisor = Supervisor(RuntimeDirectory(Path(path) / "db"), Ledger(), tasks, commands)
            await supervisor.start((ListenSpec(address="127.0.0.1:0"),), int(workers))
            await supervisor.publish(7, b"seven")
            await supervisor.serving()
            print(supervisor.addresses[0], flush=True)
            await asyncio.Event().wait()

    asyncio.run(main(*sys.argv[1:4], sys.argv[4:] or ["normal"]))
    """
)


async def killed_controller(path: Path, workers: int, *behaviour: str) -> str:
    """Leaves orphans behind, and answers where they listen."""
    command = [sys.executable, "-c", CONTROLLER, str(path), str(FAKES), str(workers), *behaviour]
    controller = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with controller:
        assert controller.stdout is not None
        address = (await within(20, asyncio.to_thread(controller.stdout.readline))).strip()
        controller.kill()
    return address


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
async def test_orphans_hand_over_their_sockets_and_leave(tmp_path: Path, before: int, after: int) -> None:
    address = await killed_controller(tmp_path, before)
    old = await ask_all(address, before)
    assert set(old.values()) == {7}, "workers serve on without a controller"
    async with running(tmp_path, workers=after) as (supervisor, ledger):
        assert supervisor.addresses[0] == address, "the sockets were adopted"
        assert supervisor.adopted_generation == 7
        answer = await supervisor.publish(8, b"eight")
        assert answer == Confirmation(live=before, confirmed=before), "orphans are told too"
        await within(10, supervisor.serving())
        await eventually(lambda: not any(_alive(pid) for pid in old))
        new = await ask_all(address, after)
        assert not set(new) & set(old)
        assert set(new.values()) == {8}
        await eventually(lambda: ("d", "v", "live") in ledger.series())


async def test_no_connection_is_lost_from_a_controllers_death_to_the_handover(tmp_path: Path) -> None:
    address = await killed_controller(tmp_path, 2)
    answers: list[int] = []
    done = asyncio.Event()

    async def client() -> None:
        while not done.is_set():
            answers.append((await ask(address))[1])

    clients = [asyncio.create_task(client()) for _ in range(4)]
    async with running(tmp_path, workers=2) as (supervisor, _):
        await supervisor.publish(8, b"eight")
        await within(10, supervisor.serving())
        await eventually(lambda: not supervisor._leaving)
        await eventually(lambda: answers[-1] == 8)
        done.set()
        await asyncio.gather(*clients)
    assert set(answers) == {7, 8}


async def test_an_orphan_that_does_not_confirm_is_killed(tmp_path: Path) -> None:
    address = await killed_controller(tmp_path, 1)
    old, _, _ = await ask(address)
    async with running(tmp_path) as (supervisor, _):
        os.kill(old, signal.SIGSTOP)
        assert await supervisor.publish(8, b"eight") == Confirmation(live=1, confirmed=0)
        assert not _alive(old)
        assert (await ask(address))[1] == 8


async def test_an_orphan_that_leaves_when_told_to_is_none_that_did_not_confirm(tmp_path: Path) -> None:
    address = await killed_controller(tmp_path, 1, "hang", "8")
    old, _, _ = await ask(address)
    async with running(tmp_path) as (supervisor, _):
        assert await supervisor.publish(8, b"eight") == Confirmation(live=0, confirmed=0)
        assert not _alive(old)
        assert (await ask(address))[1] == 8


async def test_an_orphan_that_does_not_answer_is_killed(tmp_path: Path) -> None:
    address = await killed_controller(tmp_path, 1)
    old, _, _ = await ask(address)
    os.kill(old, signal.SIGSTOP)
    listen = (ListenSpec(address=address),)
    async with running(tmp_path, listen=listen) as (supervisor, _):
        await eventually(lambda: not _alive(old))
        await supervisor.publish(8, b"eight")
        assert (await ask(address))[1] == 8


async def test_the_socket_of_a_dead_worker_is_removed(tmp_path: Path) -> None:
    stale = RuntimeDirectory(tmp_path / "db").path / "worker-0-dead.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(stale))
    async with running(tmp_path):
        assert not stale.exists()


def _alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
