"""Which client connections are let in, and for what reason others are not.

Every descriptor counts against the process's limit, whatever it is for. The kernel gives the lowest number that is
free, so the number of a new connection says how many are taken: where it comes near the limit, clients are turned
away while model servers, files and the controller can still be reached.
"""

from __future__ import annotations

import asyncio
import resource

from router.patterns.limits import ClientLimits

RESERVE = 64
"""Descriptors below the limit that no client gets."""

PER_CLIENT = 2.5
"""Descriptors that a client connection may cost: itself, its upstream's, and half of a copy's."""


def raise_descriptor_limit() -> int:
    """Lets this process have as many descriptors as it may (the hard limit); returns how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, 1 << 20)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Door:
    """See the module. `descriptors`: how many this process may have."""

    def __init__(self, descriptors: int) -> None:
        self._highest = max(descriptors - RESERVE, 0)
        self._room = max(int((descriptors - RESERVE) / PER_CLIENT), 1)
        self._by_address: dict[bytes, int] = {}

    def refusal(
        self, transport: asyncio.BaseTransport, address: bytes, limits: ClientLimits, inside: int
    ) -> str:
        """Why one more connection is turned away, with so many `inside`; empty where it is not, and counts then."""
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= self._highest:
            return "descriptors"
        if inside >= (limits.connections or self._room):
            return "connections"
        if limits.connections_per_client:
            count = self._by_address.get(address, 0)
            if count >= limits.connections_per_client:
                return "connections_per_client"
            self._by_address[address] = count + 1
        return ""

    def left(self, address: bytes, limits: ClientLimits) -> None:
        """A connection that was let in, under these limits, is gone."""
        if limits.connections_per_client:
            count = self._by_address.pop(address) - 1
            if count:
                self._by_address[address] = count
