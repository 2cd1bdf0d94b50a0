"""Stands in for the recorder: leaves its settings in a file beside its socket, counts them, drains."""

import argparse
import asyncio
import socket
from pathlib import Path

from router.channel import Drain, Frame, Link, PairTally, RecorderSettings, RecorderTally


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--listen", type=Path, required=True)
    arguments = parser.parse_args()
    left = asyncio.Event()

    def on_frame(link: Link, frame: Frame) -> None:
        if isinstance(frame, RecorderSettings):
            link.send(RecorderTally((PairTally(frame.path, "v1", "v2", {"match": 1}, {}),), ()))
        elif isinstance(frame, Drain):
            left.set()

    link = Link(on_frame, lambda _: left.set())
    channel = socket.socket(fileno=arguments.channel)
    await asyncio.get_running_loop().create_unix_connection(lambda: link, sock=channel)
    await left.wait()


if __name__ == "__main__":
    asyncio.run(main())
