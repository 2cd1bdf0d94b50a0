"""Stands in for a worker: keeps its side of the channel, and answers each connection with its pid.

What it does is taken from its command line (`normal`, or one of the ways to misbehave below), so that a test
can have a worker that hangs or dies at a moment of its choosing:

    hang N    does not confirm generation N or any later one
    die N     exits with status 3 when it gets generation N
    crash     exits at once
    deaf      takes no connection on its rescue socket
"""

import argparse
import asyncio
import os
import signal
import socket
import sys

from router.channel import (
    Applied,
    Drain,
    EndpointsDown,
    Frame,
    Link,
    Orphan,
    Publish,
    SeriesTally,
    Start,
    Tally,
    encode,
)
from router.telemetry.counters import VersionCounter


class FakeWorker:
    def __init__(self, behaviour: str, at: int) -> None:
        self.behaviour = behaviour
        self.at = at
        self.start: Start | None = None
        self.generation = 0
        self.links: list[Link] = []
        self.counter = VersionCounter("d", "v", "live")
        self.left = asyncio.Event()
        self.down: tuple[str, ...] = ()
        self.draining = False

    def on_frame(self, link: Link, frame: Frame) -> None:
        match frame:
            case Start():
                self.start = frame
                self._open_rescue(frame)
            case EndpointsDown(urls):
                self.down = urls
            case Publish(generation):
                self._apply(link, generation)
            case Drain():
                self._stop_accepting()
                self.left.set()

    def _apply(self, link: Link, generation: int) -> None:
        if self.behaviour == "die" and generation >= self.at:
            os._exit(3)
        if self.behaviour == "hang" and generation >= self.at:
            return
        if not self.generation and not self.draining:
            self._accept()
        self.generation = generation
        link.send(Applied(generation))

    def _accept(self) -> None:
        assert self.start is not None
        for listener in self.start.listeners:
            sock = socket.socket(fileno=listener.fd)
            sock.setblocking(False)
            asyncio.get_running_loop().add_reader(sock, self._serve, sock)

    def _stop_accepting(self) -> None:
        self.draining = True
        assert self.start is not None
        for listener in self.start.listeners:
            asyncio.get_running_loop().remove_reader(listener.fd)

    def _serve(self, sock: socket.socket) -> None:
        try:
            client, _ = sock.accept()
        except BlockingIOError:
            return
        with client:
            client.send(f"{os.getpid()} {self.generation} {','.join(self.down)}".encode())
        self.counter.start()
        self.counter.finish(200, 0.01, 0.01)
        self._tell(self.counter.tally())

    def _tell(self, series: SeriesTally | None) -> None:
        for link in self.links:
            link.send(Tally((series,) if series else (), ()))

    def _open_rescue(self, start: Start) -> None:
        if self.behaviour == "deaf":
            return
        rescue = socket.socket(socket.AF_UNIX)
        rescue.bind(start.rescue)
        rescue.listen()
        rescue.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(rescue, lambda: loop.create_task(self._adopted_by(rescue.accept()[0])))

    async def _adopted_by(self, channel: socket.socket) -> None:
        assert self.start is not None
        orphan = Orphan(os.getpid(), self.start.index, self.generation, self.start.listeners)
        data = encode(orphan)
        socket.send_fds(channel, [data[:7]], [listener.fd for listener in self.start.listeners])
        channel.sendall(data[7:])
        channel.setblocking(False)
        await self.attach(channel)

    async def attach(self, channel: socket.socket) -> None:
        link = Link(self.on_frame, lambda _: None)
        self.links = [link]
        await asyncio.get_running_loop().create_unix_connection(lambda: link, sock=channel)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("behaviour")
    parser.add_argument("at", type=int, nargs="?", default=0)
    parser.add_argument("--channel", type=int, required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if arguments.behaviour == "crash":
        sys.exit(4)
    worker = FakeWorker(arguments.behaviour, arguments.at)
    await worker.attach(socket.socket(fileno=arguments.channel))
    await worker.left.wait()


if __name__ == "__main__":
    asyncio.run(main())
