"""Large bodies, to the model and from it: CPU seconds a GiB."""

import time
from contextlib import ExitStack
from functools import partial

from bench.counting import counting
from bench.peers import Place, envoy, haproxy, nginx, ours
from bench.processes import Running
from bench.results import Column, Outcome, Sample
from bench.scenarios import Scenario
from bench.session import Session

_PATH = "/v2/models/loan/bodies"

_GIB = 1 << 30


def _run(session: Session, *, direction: str, title: str) -> Outcome:
    """Every size in turn within a round; the largest is what proxies are compared by."""
    sizes = session.effort.sizes
    with session.directory() as directory, ExitStack() as stack:
        upstream = stack.enter_context(session.upstream("bench.bulk", "serve"))
        place = Place(directory, upstream)
        peers = [
            ours.router(place, "router"),
            nginx.nginx(place, nginx.STREAMING + nginx.PLAIN, note="not buffered"),
            haproxy.haproxy(place),
            envoy.envoy(place, envoy.PLAIN),
        ]
        proxies = session.start(peers, directory, stack)
        rows = session.in_turn(
            f"bodies {direction}", proxies, lambda proxy: _measured(session, proxy, direction)
        )
    columns = [
        *(Column(f"s_per_gib_{size}", f"CPU s/GiB, {named(size)}", 2) for size in sizes),
        *(Column(f"gib_per_s_{size}", f"GiB/s, {named(size)}", 2) for size in sizes),
        Column("rss_mib", "RSS MiB", 0),
        Column("errors", "errors", 0, "sum"),
    ]
    return Outcome(f"bodies-{direction}", title, f"s_per_gib_{max(sizes)}", "router", columns, rows)


def named(size: int) -> str:
    """1048576 is 1 MiB."""
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"


def _measured(session: Session, proxy: Running, direction: str) -> Sample:
    sample: Sample = {"errors": 0.0}
    for size in session.effort.sizes:
        one = _one_size(session, proxy, direction, size)
        sample["errors"] += one.pop("errors")
        sample.update(one)
    return sample | {"rss_mib": proxy.rss()}


def _one_size(session: Session, proxy: Running, direction: str, size: int) -> Sample:
    load = counting("bench.bulk", proxy.peer.port, _PATH, direction, size, 4, core=session.cores.load)
    with load as traffic:
        time.sleep(0.4)
        before, cpu, began = traffic.counts(), proxy.cpu(), time.monotonic()
        time.sleep(session.effort.seconds)
        after, spent, took = traffic.counts(), proxy.cpu() - cpu, time.monotonic() - began
    moved = max(after["bytes"] - before["bytes"], 1) / _GIB
    return {f"s_per_gib_{size}": spent / moved, f"gib_per_s_{size}": moved / took, "errors": after["errors"]}


def _scenario(direction: str, title: str) -> Scenario:
    return Scenario(f"bodies-{direction}", title, partial(_run, direction=direction, title=title))


SCENARIOS = (
    _scenario("up", "Large bodies to the model"),
    _scenario("down", "Large bodies from the model"),
)
