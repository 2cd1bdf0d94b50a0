"""What the kernel knows of the other end of a connection, and what it can be told: Linux, by descriptor."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import struct
import sys
from array import array
from collections.abc import Iterator
from contextlib import suppress
from fcntl import ioctl
from termios import FIONREAD, TIOCOUTQ

_LAST_DATA_RECEIVED = 52
"""Where `struct tcp_info` has it, in milliseconds."""

SALVAGED = 1 << 20
"""Bytes that are taken from a connection after it is lost."""


def hung_up(transport: asyncio.Transport) -> bool:
    """Whether the other end has closed at least its sending side, which a connection nobody reads from does not
    tell: what came before may lie unread in front of it."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return False
    poller = select.poll()
    poller.register(sock.fileno(), select.POLLRDHUP)
    return bool(poller.poll(0))


def has_sent(transport: asyncio.Transport) -> bool:
    """Whether the other end has sent something that was not read yet."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return False
    waiting = array("i", [0])
    ioctl(sock.fileno(), FIONREAD, waiting)
    return waiting[0] > 0


def silence(transport: asyncio.Transport) -> float:
    """Seconds since the other end has sent something, whoever reads it; for ever where nobody knows."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return float("inf")
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECEIVED + 4)
    return int.from_bytes(info[_LAST_DATA_RECEIVED:], sys.byteorder) / 1000


def unread(transport: asyncio.Transport) -> Iterator[bytes]:
    """What the other end sent and nobody has read, of a connection that is lost but not closed yet. Nothing where it
    is TLS, and no more than SALVAGED bytes."""
    sock = transport.get_extra_info("socket")
    if sock is None or transport.get_extra_info("ssl_object") is not None:
        return
    left = SALVAGED
    with suppress(OSError):  # the reset itself, behind what came before it; or nothing is there
        while left > 0 and (data := os.read(sock.fileno(), left)):
            left -= len(data)
            yield data


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
