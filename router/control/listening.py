"""The listening sockets of the data plane: one of each worker slot for each address.

Floor 4. They are bound here, with SO_REUSEPORT, and kept open for as long as the address is wanted:
connections in the backlog of a worker that died wait there for the next one.
"""

import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from router.channel import Listener
from router.config.schema import ListenSpec
from router.errors import RouterError

BACKLOG = 4096
"""Connections that may wait at one socket to be accepted."""

Place = tuple[int, tuple[Any, ...]]
"""Address family and socket address."""


@dataclass(frozen=True, slots=True)
class ListeningSocket:
    """A socket, and the `listen` entry of the configuration it was bound for."""

    spec: ListenSpec
    socket: socket.socket

    def listener(self) -> Listener:
        """As a worker is told about it; the descriptor has the same number there."""
        tls = self.spec.tls
        return Listener(
            self.socket.fileno(), self.spec.address, tls.cert if tls else "", tls.key if tls else ""
        )

    def served_by(self, specs: Iterable[ListenSpec]) -> "ListeningSocket":
        """The same socket with the certificate that one of these entries names for its address."""
        found = [each for each in specs if each.address == self.spec.address]
        return ListeningSocket(found[0], self.socket) if found else self


Slot = list[ListeningSocket]
"""The sockets of one worker."""

Adopted = tuple[Listener, socket.socket]
"""A socket an orphan handed over, with what the orphan knew about it."""


def open_slots(specs: Iterable[ListenSpec], slots: int, adopted: Sequence[Adopted] = ()) -> list[Slot]:
    """The sockets of each slot: those adopted from an earlier run where the address is still wanted, new
    ones where they do not suffice. Where there are more adopted ones than slots, a slot gets several: in
    each of them a connection may wait. Sockets nobody wants are closed.

    Raises RouterError naming the address that can't be bound.
    """
    result: list[Slot] = [[] for _ in range(slots)]
    unique = _unique(adopted)
    for spec in specs:
        for place, kept in _places(spec.address, unique.pop(spec.address, [])).items():
            for index, slot in enumerate(result):
                sockets = kept[index::slots] or [_listen(spec.address, place, share=True)]
                slot.extend(ListeningSocket(spec, sock) for sock in sockets)
    for unwanted in unique.values():
        for sock in unwanted:
            sock.close()
    return result


def open_exclusive(address: str) -> list[socket.socket]:
    """Listening sockets at all places the address stands for, which no other process can share.

    Raises RouterError naming the address when it can't be bound.
    """
    return [_listen(address, place, share=False) for place in _reserve(address)]


def address_of(sock: socket.socket) -> str:
    """Where a socket is bound, as host:port."""
    host, port, *_ = sock.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _unique(adopted: Sequence[Adopted]) -> dict[str, list[socket.socket]]:
    """By address. Two orphans may hand over the same socket, when one had inherited it from the other."""
    seen: set[int] = set()
    result: dict[str, list[socket.socket]] = {}
    for listener, sock in adopted:
        inode = os.fstat(sock.fileno()).st_ino
        if inode in seen:
            sock.close()
        else:
            seen.add(inode)
            result.setdefault(listener.address, []).append(sock)
    return result


def _places(address: str, adopted: list[socket.socket]) -> dict[Place, list[socket.socket]]:
    """What the address stands for, with the sockets that are bound there already."""
    result: dict[Place, list[socket.socket]] = {}
    for sock in adopted:
        result.setdefault((sock.family, sock.getsockname()), []).append(sock)
    return result or _reserve(address)


def _reserve(address: str) -> dict[Place, list[socket.socket]]:
    """The places an address stands for. Port 0 becomes one free port for all of them.

    SO_REUSEPORT would let two routers share a port in silence, each getting half of the requests; a bind
    without it tells whether someone else listens there.
    """
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise RouterError(f"listen {address}: {error.strerror}") from error
    places: dict[Place, list[socket.socket]] = {}
    free_port = int(port)
    for family, _, _, _, name in found:
        with _bind(address, (family, (name[0], free_port, *name[2:])), share=False) as probe:
            bound = probe.getsockname()
            free_port = bound[1]
        places[family, bound] = []
    return places


def _listen(address: str, place: Place, *, share: bool) -> socket.socket:
    sock = _bind(address, place, share=share)
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock


def _bind(address: str, place: Place, *, share: bool) -> socket.socket:
    """A bound socket. SO_REUSEADDR, which connections inherit, lets the next one bind beside their remains."""
    family, name = place
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(share))
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(name)
    except OSError as error:
        sock.close()
        raise RouterError(f"listen {address}: {error.strerror}") from error
    return sock
