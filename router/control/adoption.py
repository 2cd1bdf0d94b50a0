"""Finding the workers that a controller left behind when it was killed.

Floor 4. Each worker listens on a Unix socket in the runtime directory. A controller that starts connects to
all of them; a worker without a controller answers with who it is and with its listening sockets, and takes
the connection as its new channel.
"""

import asyncio
import logging
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from router.channel import FrameReader, Orphan
from router.control.listening import Adopted
from router.control.processes import Stranger

_log = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds an orphan has to answer; one that does not is no use to clients either, and is killed."""

_MOST_SOCKETS = 253
"""What the kernel lets one message carry (SCM_MAX_FD)."""


@dataclass(frozen=True, slots=True)
class Found:
    """An orphan: who it is, the process, its rescue socket, its channel now, and its listening sockets."""

    orphan: Orphan
    process: Stranger
    rescue: Path
    channel: socket.socket
    sockets: tuple[Adopted, ...]


async def find_orphans(rescues: Iterable[Path]) -> list[Found]:
    """All workers that answer at these rescue sockets. Sockets of dead workers are removed."""
    found = await asyncio.gather(*(asyncio.to_thread(_rescue, path) for path in rescues))
    return [orphan for orphan in found if orphan is not None]


def _rescue(path: Path) -> Found | None:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    channel.settimeout(PATIENCE)
    try:
        channel.connect(str(path))
    except ConnectionRefusedError:
        channel.close()
        path.unlink(missing_ok=True)
        return None
    except OSError as error:
        channel.close()
        _log.warning("the worker at %s can't be reached: %s", path, error)
        return None
    process = Stranger(channel)
    try:
        orphan, sockets = receive_orphan(channel)
    except (OSError, ValueError) as error:
        _log.error("worker %s (pid %d) does not answer: %s; killing it", path.name, process.pid, error)
        process.end(PATIENCE)
        channel.close()
        path.unlink(missing_ok=True)
        return None
    _log.info("adopted worker %d (pid %d, generation %d)", orphan.index, process.pid, orphan.generation)
    channel.setblocking(False)
    adopted = tuple(zip(orphan.listeners, sockets, strict=True))
    return Found(orphan, process, path, channel, adopted)


def receive_orphan(channel: socket.socket) -> tuple[Orphan, list[socket.socket]]:
    """Reads exactly the first frame and the descriptors that come with its first byte; blocks.

    Raises OSError when the other end is gone or too slow, ValueError when it sends something else.
    """
    head, fds, _, _ = socket.recv_fds(channel, 4, _MOST_SOCKETS)
    sockets = [socket.socket(fileno=fd) for fd in fds]
    try:
        head += _exactly(channel, 4 - len(head))
        frames = FrameReader().feed(head + _exactly(channel, int.from_bytes(head, "big")))
        if len(frames) != 1 or not isinstance(frames[0], Orphan):
            raise ValueError("its first frame is not Orphan")
        if len(frames[0].listeners) != len(sockets):
            raise ValueError(f"{len(frames[0].listeners)} sockets announced, {len(sockets)} received")
    except (OSError, ValueError):
        for sock in sockets:
            sock.close()
        raise
    return frames[0], sockets


def _exactly(channel: socket.socket, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = channel.recv(min(size, 1 << 16))
        if not part:
            raise ConnectionResetError("it closed the connection")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
