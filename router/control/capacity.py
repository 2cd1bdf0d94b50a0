"""Whether the trusted version can take all requests: what a rollback warns of, and never waits for. Floor 4.

Judged by three things, in this order: how many of its endpoints get requests at all (an active check that fails, or
a worker that passes an endpoint over after failures, takes one out); and, where the version has a limit on requests
in flight, whether what clients have in flight now with both sides would fit under it. A limit nobody set is no limit
that is known: then there is no word about it.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Any

from router.config.schema import VersionModel
from router.control.bulletin import Bulletin
from router.rollout.phase import Event

_log = logging.getLogger(__name__)


def shortfalls(
    version: str, spec: VersionModel, unhealthy: Collection[str], in_flight: int
) -> tuple[str, ...]:
    """What is wrong with sending everything to this version, in sentences; empty when nothing is.

    `unhealthy` are URLs that get no requests now, `in_flight` the requests of clients being answered now by the
    version itself and by the one it takes over from.
    """
    endpoints = spec.endpoints
    out = [url for url in endpoints if url in unhealthy]
    found = []
    if len(out) == len(endpoints):
        found.append(f"no endpoint of {version} is healthy: its requests fail until one is")
    elif out:
        found.append(
            f"{len(out)} of {len(endpoints)} endpoints of {version} are unhealthy and get no requests"
        )
    limit = spec.limits.in_flight
    if limit is not None and in_flight > limit:
        found.append(
            f"{in_flight} requests are in flight, and {version} takes {limit} at once (limits.in_flight): "
            "the others are answered 503"
        )
    return tuple(found)


class CapacityWatch:
    """Listens for rollbacks, whoever caused them, and says what `judge` finds wrong with where they lead: in the log,
    and to all who listen, as an event `warning`."""

    def __init__(self, bulletin: Bulletin, judge: Callable[[str], tuple[str, ...]]) -> None:
        self._bulletin = bulletin
        self._judge = judge
        bulletin.attach(self)

    def put(self, news: dict[str, Any]) -> None:
        if news["event"] == Event.ROLLBACK:
            # Later: what is under way is a rollback.
            asyncio.get_running_loop().call_soon(self._warn, news["deployment"])

    def _warn(self, name: str) -> None:
        for warning in self._judge(name):
            _log.warning("%s: rolled back, but %s", name, warning)
            self._bulletin.announce({"event": "warning", "deployment": name, "why": warning})
