"""A worker without its controller, and a rollback while clients are at it."""

import asyncio
import json
import os
import resource
import signal
import socket
from typing import cast

import msgspec
import pytest

from router.channel import Applied, Drain, Frame, FrameReader, Link, Orphan, Publish, Tally, kept
from router.dataplane.engine import Engine
from router.patterns.plan import DeploymentPlan, Plan, Snapshot, Timeouts, encode_snapshot
from router.worker import UNREAD, Worker
from tests.support.upstreams import Upstream, model, scripted
from tests.support.workers import WorkerUnderTest, connect, deployment, get, post, read_answer, until

CANDIDATE = Plan("v1", "v2", 5000)
ROLLED_BACK = Plan("v1", "v2", 0)


class NewController:
    """Connects to a worker's rescue socket as a controller that has just started does."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.sockets: list[socket.socket] = []
        self.orphan: Orphan | None = None

    async def adopt(self, path: str) -> None:
        loop = asyncio.get_running_loop()
        channel = socket.socket(socket.AF_UNIX)
        channel.connect(path)
        data, fds, _, _ = await asyncio.to_thread(socket.recv_fds, channel, 65536, 16)
        self.sockets = [socket.socket(fileno=fd) for fd in fds]
        frames = FrameReader().feed(data)
        assert isinstance(frames[0], Orphan)
        self.orphan = frames[0]
        channel.setblocking(False)
        _, self.link = await loop.create_connection(
            lambda: Link(lambda _, frame: self.frames.append(frame), lambda _: None), sock=channel
        )

    def heard(self, kind: type[Frame]) -> list[Frame]:
        return [frame for frame in self.frames if isinstance(frame, kind)]


async def test_an_orphan_serves_on_is_adopted_published_to_and_drained() -> None:
    async with model("a") as one, model("b") as other, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": one.url}))
        reader, writer = await connect(worker.port)
        writer.write(get())
        assert (await read_answer(reader)).status == 200
        worker.link.close()
        writer.write(get())
        assert (await read_answer(reader)).status == 200

        controller = NewController()
        await controller.adopt(worker.rescue)
        orphan = controller.orphan
        assert orphan is not None
        assert (orphan.pid, orphan.index, orphan.generation) == (worker.process.pid, 0, 1)
        assert [listener.address for listener in orphan.listeners] == [f"127.0.0.1:{worker.port}"]
        (listening,) = controller.sockets
        assert listening.getsockname() == ("127.0.0.1", worker.port)
        await until(lambda: controller.heard(Tally), what="the counts told anew")
        (tally, *_) = controller.heard(Tally)
        assert isinstance(tally, Tally)
        assert [
            series.codes for series in tally.series if (series.version, series.role) == ("v1", "live")
        ] == [{200: 2}]

        snapshot = encode_snapshot(Snapshot(2, (deployment({"v1": other.url}),)))
        controller.link.send(Publish(2, snapshot))
        await until(lambda: controller.heard(Applied) == [Applied(2)], what="the snapshot in force")
        writer.write(get())
        assert json.loads((await read_answer(reader)).body)["model"] == "b"

        controller.link.send(Drain(5.0, close_idle=True))
        async with asyncio.timeout(5):
            assert await worker.process.wait() == 0
        assert await reader.read() == b""
        assert not os.path.exists(worker.rescue)
        # The socket lives on with whoever was handed it: the next worker finds its backlog.
        writer.close()
        reader, writer = await connect(worker.port)
        writer.close()
        listening.close()


async def test_an_orphan_without_a_descriptor_left_serves_on_and_is_adopted_once_it_has_one() -> None:
    async with model("a") as one, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": one.url}))
        reader, writer = await connect(worker.port)
        writer.write(get())
        assert (await read_answer(reader)).status == 200
        worker.link.close()
        limits = resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        controller = NewController()
        adoption = asyncio.create_task(controller.adopt(worker.rescue))
        await asyncio.sleep(0.2)
        writer.write(get())
        assert (await read_answer(reader)).status == 200
        resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE, limits)
        async with asyncio.timeout(5):
            await adoption
        assert controller.orphan is not None
        writer.close()
        controller.link.close()
        controller.sockets[0].close()


class SlowReader:
    """A controller's end of the channel that takes nothing for a while."""

    connected = True

    def __init__(self) -> None:
        self.backlog = 0
        self.frames: list[Frame] = []

    def send(self, frame: Frame) -> None:
        self.frames.append(frame)


class Counted:
    """Counts that change all the time."""

    def weigh(self) -> None:
        pass

    def tally(self) -> Tally:
        return Tally((), ())


async def test_a_controller_that_reads_nothing_is_told_no_more_until_it_does() -> None:
    worker, link = Worker(asyncio.get_running_loop()), SlowReader()
    worker._controller, worker._engine = cast(Link, link), cast(Engine, Counted())
    worker._report()
    assert len(link.frames) == 1
    link.backlog = UNREAD
    worker._report()
    assert len(link.frames) == 1, "its memory must not grow with what nobody reads"
    link.backlog = 0
    worker._report()
    assert len(link.frames) == 2


async def test_an_orphan_that_is_terminated_drains() -> None:
    async with model("a", delay=0.2) as upstream, WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        worker.link.close()
        reader, writer = await connect(worker.port)
        writer.write(get())
        await until(lambda: upstream.requests, what="the request at the model")
        worker.process.send_signal(signal.SIGINT)
        worker.process.send_signal(signal.SIGTERM)
        assert (await read_answer(reader)).status == 200
        async with asyncio.timeout(5):
            assert await worker.process.wait() == 0
        writer.close()
        last = kept(worker.last_counts)
        assert isinstance(last, Tally)
        assert [row.codes for row in last.series if row.codes] == [{200: 1}], "for the next controller"


async def test_a_worker_whose_controller_dies_before_its_first_word_leaves() -> None:
    ours, theirs = socket.socketpair()
    process = await WorkerUnderTest.spawn(theirs)
    theirs.close()
    ours.close()
    async with asyncio.timeout(10):
        assert await process.wait() == 0


class Client:
    """Asks again and again on one connection; keeps (when it was sent, version, status)."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.answers: list[tuple[float, bytes, int]] = []
        self.stop = False

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        reader, writer = await connect(self._port)
        while not self.stop:
            sent = clock()
            writer.write(post(b"12345"))
            answer = await read_answer(reader)
            self.answers.append((sent, answer.fields.get(b"x-router-version", b""), answer.status))
        writer.close()


async def rolled_back_under_load(
    worker: WorkerUnderTest, plan: DeploymentPlan, seconds: float = 0.4
) -> tuple[list[Client], float]:
    """Eight clients before and after; returns them and when the snapshot without the candidate was in force."""
    clients = [Client(worker.port) for _ in range(8)]
    running = [asyncio.create_task(client.run()) for client in clients]
    await asyncio.sleep(seconds)
    await worker.publish(msgspec.structs.replace(plan, plan=replace_plan(plan.plan)))
    applied = asyncio.get_running_loop().time()
    await asyncio.sleep(seconds)
    for client in clients:
        client.stop = True
    async with asyncio.timeout(10):
        await asyncio.gather(*running)
    return clients, applied


def replace_plan(plan: Plan) -> Plan:
    return msgspec.structs.replace(plan, share=0)


async def test_no_request_sent_after_a_rollback_reaches_the_candidate_and_no_client_sees_an_error() -> None:
    async with model("a") as stable, model("b", delay=0.002) as candidate, WorkerUnderTest() as worker:
        plan = deployment({"v1": stable.url, "v2": candidate.url}, CANDIDATE)
        await worker.publish(plan)
        clients, applied = await rolled_back_under_load(worker, plan)
        answers = [answer for client in clients for answer in client.answers]
        assert {status for _, _, status in answers} == {200}
        assert {version for _, version, _ in answers} == {b"v1", b"v2"}
        assert {version for sent, version, _ in answers if sent > applied} == {b"v1"}
        seen = len(candidate.requests)
        assert seen == sum(1 for _, version, _ in answers if version == b"v2")


async def test_requests_that_wait_for_a_candidate_that_accepts_nothing_end_at_stable() -> None:
    """The backlog of the candidate is full: connecting to it takes for ever."""
    with socket.socket() as full, socket.socket() as filler, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        for each in (filler, second):
            each.setblocking(False)
            each.connect_ex(address)
        async with model("a") as stable, WorkerUnderTest() as worker:
            versions: dict[str, str | tuple[str, ...]] = {
                "v1": stable.url,
                "v2": f"http://127.0.0.1:{address[1]}",
            }
            plan = msgspec.structs.replace(
                deployment(versions, Plan("v1", "v2", 10_000)), timeouts=Timeouts(connect=0.5)
            )
            await worker.publish(plan)
            clients, applied = await rolled_back_under_load(worker, plan, 0.2)
            answers = [answer for client in clients for answer in client.answers]
            assert any(sent < applied for sent, _, _ in answers)
            assert {(version, status) for _, version, status in answers} == {(b"v1", 200)}
            await until(lambda: worker.series[("d", "v2", "live")].in_flight == 0, what="nothing in flight")


async def test_retries_after_a_rollback_end_at_stable() -> None:
    """A reused connection to the candidate dies under a request while the rollback comes into force."""
    ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    held = asyncio.Event()

    async def dying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ok)
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await held.wait()

    arrived = asyncio.Event()
    async with scripted(ok) as stable, Upstream(dying) as candidate, WorkerUnderTest() as worker:
        versions: dict[str, str | tuple[str, ...]] = {"v1": stable.url, "v2": candidate.url}
        await worker.publish(deployment(versions, Plan("v1", "v2", 10_000)))
        reader, writer = await connect(worker.port)
        writer.write(get())
        assert (await read_answer(reader)).fields[b"x-router-version"] == b"v2"
        writer.write(get())
        await arrived.wait()
        await worker.publish(deployment(versions, ROLLED_BACK))
        held.set()
        answer = await read_answer(reader)
        assert (answer.status, answer.fields[b"x-router-version"]) == (200, b"v1")
        assert candidate.connections == 1
        writer.close()


@pytest.mark.parametrize("generation", [1, 2])
async def test_an_older_snapshot_changes_nothing(generation: int) -> None:
    async with model("a") as upstream, WorkerUnderTest() as worker:
        worker.generation = 1
        await worker.publish(deployment({"v1": upstream.url}))
        worker.link.send(Publish(generation - 1, encode_snapshot(Snapshot(generation - 1, ()))))
        await until(lambda: generation - 1 in worker.applied, what="the answer")
        reader, writer = await connect(worker.port)
        writer.write(get())
        assert (await read_answer(reader)).status == 200
        writer.close()
