"""What must be the same after a fault as before it: counts, descriptors, memory, pairs. Read from outside, of real
processes."""

import asyncio
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.routers import Load, Router, Sent

PAGE = os.sysconf("SC_PAGE_SIZE")
SETTLE = 0.3
"""Seconds within which a worker tells what it counted."""


@dataclass(frozen=True)
class Footprint:
    """What one process holds: resident bytes, and open descriptors but those of the pair log, which come and go."""

    descriptors: int
    resident: int


def footprint(pid: int) -> Footprint:
    descriptors = sum(not name.endswith((".jsonl", ".spool")) for name in open_files(pid))
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    return Footprint(descriptors, resident)


def open_files(pid: int) -> list[str]:
    """What the descriptors are, to name a leak."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.append(str(entry.readlink()))
    return sorted(found)


def footprints(router: Router) -> dict[str, list[Footprint]]:
    """By role; roles with several processes in the order of their pids."""
    pids = {
        "controller": [router.process.pid],
        "worker": router.children("router.worker"),
        "recorder": router.children("router.recorder"),
    }
    return {role: [footprint(pid) for pid in found] for role, found in pids.items()}


async def at_rest(router: Router) -> dict[str, list[Footprint]]:
    """`footprints`, once all processes have opened what they need: nothing changes any more."""
    seen = footprints(router)
    while True:
        await asyncio.sleep(0.7)
        before, seen = seen, footprints(router)
        if _descriptors(before) == _descriptors(seen):
            return seen


def _descriptors(prints: dict[str, list[Footprint]]) -> list[int]:
    return [each.descriptors for found in prints.values() for each in found]


@dataclass(frozen=True)
class Growth:
    """What processes of a role hold more than the largest of them did before: at most this is no leak."""

    descriptors: int = 0
    resident: int = 32 << 20


def grown(before: dict[str, list[Footprint]], router: Router, allowed: Growth) -> list[str]:
    """Sentences about every process that holds more than it may."""
    complaints = []
    for role, now in footprints(router).items():
        descriptors = max(each.descriptors for each in before[role]) + allowed.descriptors
        resident = max(each.resident for each in before[role]) + allowed.resident
        for each in now:
            if each.descriptors > descriptors:
                complaints.append(f"a {role} has {each.descriptors} descriptors, {descriptors} are explained")
            if each.resident > resident:
                complaints.append(f"a {role} has {each.resident >> 20} MiB, {resident >> 20} are explained")
    return complaints


def live_counts(samples: dict[str, float], name: str) -> Counter[int]:
    """What the router counted of a deployment's requests, by code."""
    counts: Counter[int] = Counter()
    for sample, value in samples.items():
        if (
            sample.startswith("router_requests_total{")
            and f'deployment="{name}"' in sample
            and 'role="live"' in sample
        ):
            counts[int(sample.split('code="')[1].split('"')[0])] += int(value)
    return counts


def in_flight(samples: dict[str, float]) -> float:
    return sum(value for name, value in samples.items() if name.startswith("router_requests_in_flight"))


def miscounted(counted: Counter[int], sent: list[Sent], untold: int = 0) -> list[str]:
    """Sentences about counts that differ from what clients saw.

    A request that broke at the client may stand in any code, once. `untold` answers may be missing: those of a
    worker that was killed before it could tell.
    """
    seen = Counter(each.status for each in sent if each.status)
    broken = sum(1 for each in sent if each.broken)
    more, less = counted - seen, seen - counted
    complaints = []
    if more.total() > broken:
        complaints.append(f"counted and seen by nobody: {dict(more)}, where {broken} requests broke")
    if less.total() > untold:
        complaints.append(f"seen and not counted: {dict(less)}, of which {untold} are explained")
    return complaints


def dropped(samples: dict[str, float]) -> int:
    """Copies and captures that were counted as lost."""
    kinds = ("router_captures_dropped_total", "router_copies_dropped_total")
    return int(sum(value for name, value in samples.items() if name.startswith(kinds)))


async def unaccounted(router: Router, name: str, load: Load, within: float = 15.0) -> int:
    """Answered requests of a copied deployment that are neither in the pair log nor counted as dropped, once that is
    the last word or there are none."""
    end = asyncio.get_running_loop().time() + within
    answered = {each.id for each in load.sent if 0 < each.status < 500}
    while True:
        missing = answered - {pair["id"] for pair in router.pairs(name)}
        lost = max(0, len(missing) - dropped(await router.metrics()))
        if not lost or asyncio.get_running_loop().time() > end:
            return lost
        await asyncio.sleep(0.3)
