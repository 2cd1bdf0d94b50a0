"""Ports for servers that cannot be asked which one they took."""

import os
import socket
from collections.abc import Iterator

FIRST, BLOCKS, BLOCK = 15_000, 42, 400
"""Below 32768, where Linux takes the ports of `bind(0)` and of clients from: nobody gets one of these by chance."""


def _of_this_process() -> Iterator[int]:
    """Each process that runs tests has a block to itself, whatever else runs tests on this machine: it holds a name
    among the abstract sockets of its network for as long as it lives."""
    begin = os.getpid() * 13
    with socket.socket(socket.AF_UNIX) as name:
        for at in range(BLOCKS):
            block = FIRST + (begin + at) % BLOCKS * BLOCK
            try:
                name.bind(f"\0ports of tests from {block}")
            except OSError:
                continue
            break
        while True:
            yield from range(block, block + BLOCK)


_PORTS = _of_this_process()


def free_ports(count: int) -> list[int]:
    """Different loopback ports that nobody listens on, and that nobody takes before the caller does."""
    found: list[int] = []
    while len(found) < count:
        port = next(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found


def refusing_url() -> str:
    """A loopback address nobody listens on."""
    return f"http://127.0.0.1:{free_ports(1)[0]}"
