"""What the kernel knows of the other end of a connection, and what it can be told: Linux, by descriptor."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
from array import array
from fcntl import ioctl
from termios import TIOCOUTQ


def hung_up(transport: asyncio.Transport) -> bool:
    """Whether the other end has closed at least its sending side, which a connection nobody reads from does not
    tell: what came before may lie unread in front of it."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return False
    poller = select.poll()
    poller.register(sock.fileno(), select.POLLRDHUP)
    return bool(poller.poll(0))


def unsent(transport: asyncio.Transport) -> int:
    """Bytes that were written and that the other end has not taken yet: ours, and those in the kernel's hands."""
    size = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    if sock is None:
        return size
    queued = array("i", [0])
    try:
        ioctl(sock.fileno(), TIOCOUTQ, queued)
    except OSError:  # closed meanwhile
        return size
    return size + queued[0]


def reset_on_close(transport: asyncio.Transport) -> None:
    """Lets the kernel say "aborted" (RST) instead of "that was all" (FIN)."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
