"""The two yardsticks in Python: what most would write (aiohttp), and the least that can be written (bench/bare.py)."""

import sys

from bench.peers import Peer, Place, free_port


def aiohttp_proxy(place: Place) -> Peer:
    """A server and a client of aiohttp, on uvloop; a tenth of the users to the second version."""
    return _peer("aiohttp", "bench.aiohttp_proxy", place)


def bare(place: Place) -> Peer:
    """Two asyncio protocols that pass messages on and decide nothing."""
    return _peer("bare", "bench.bare", place)


def _peer(name: str, module: str, place: Place) -> Peer:
    port = free_port()
    command = (sys.executable, "-m", module, str(port), str(place.upstream), str(place.candidate))
    return Peer(name, port, {}, command)
