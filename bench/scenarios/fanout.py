"""Server-sent events: many streams that get ten events a second each, and streams on which nothing happens."""

import time
from contextlib import ExitStack
from functools import partial

from bench.counting import Counting, counting
from bench.peers import Place, envoy, haproxy, nginx, ours, python
from bench.processes import Running
from bench.results import Column, Outcome, Sample
from bench.scenarios import Scenario
from bench.session import Session
from bench.streams import QUIET

EVERY = 100
"""Ms between two events of a stream."""

_PATH = "/v2/models/loan/stream"

COLUMNS = [
    Column("cpu_us", "CPU µs/event"),
    Column("events", "events/s", 0),
    Column("cores", "of a core", 2),
    Column("idle_kib", "KiB/idle stream", 1),
    Column("rss_mib", "RSS MiB", 0),
    Column("errors", "errors", 0, "sum"),
]


def scenario(streams: int) -> Scenario:
    """With so many streams."""
    about = f"Fan-out: {streams:,} streams, {1000 // EVERY} events/s each"
    return Scenario(f"sse-{streams}", about, partial(_run, streams=streams, title=about))


def _run(session: Session, *, streams: int, title: str) -> Outcome:
    name = f"sse-{streams}"
    with session.directory() as directory, ExitStack() as stack:
        upstream = stack.enter_context(session.upstream("bench.streams", "serve"))
        place = Place(directory, upstream)
        peers = [
            ours.router(place, "router"),
            nginx.nginx(place, nginx.STREAMING + nginx.PLAIN),
            haproxy.haproxy(place),
            envoy.envoy(place, envoy.PLAIN),
            python.aiohttp_proxy(place),
        ]
        proxies = session.start(peers, directory, stack)
        # Memory first, of a proxy that has not worked yet; then the rounds.
        idle = {proxy: _idle(session, proxy, streams) for proxy in proxies}
        rows = session.in_turn(
            name, proxies, lambda proxy: {**_measured(session, proxy, streams), "idle_kib": idle[proxy]}
        )
    return Outcome(name, title, "cpu_us", "router", COLUMNS, rows)


def _idle(session: Session, proxy: Running, streams: int) -> float:
    """KiB that a stream takes on which nothing happens after its first event."""
    before = proxy.rss()
    load = counting("bench.streams", proxy.peer.port, f"{_PATH}/0", streams, core=session.cores.load)
    with load as readers:
        opened = _opened(readers, streams)["open"]
        grown = proxy.rss() - before
    time.sleep(0.3)
    return grown * 1024 / max(opened, 1)


def _measured(session: Session, proxy: Running, streams: int) -> Sample:
    load = counting("bench.streams", proxy.peer.port, f"{_PATH}/{EVERY}", streams, core=session.cores.load)
    with load as readers:
        opened = _opened(readers, streams)["open"]
        time.sleep(QUIET + 0.5)
        before, cpu, began = readers.counts(), proxy.cpu(), time.monotonic()
        time.sleep(session.effort.seconds)
        after, spent, took = readers.counts(), proxy.cpu() - cpu, time.monotonic() - began
        memory = proxy.rss()
    events = max(after["events"] - before["events"], 1)
    return {
        "cpu_us": spent / events * 1e6,
        "events": events / took,
        "cores": spent / took,
        "rss_mib": memory,
        "errors": streams - opened + after["broken"],
    }


def _opened(readers: Counting, streams: int) -> dict[str, float]:
    """The counts once all streams are open, or after 20 s."""
    end = time.monotonic() + 20
    counts = readers.counts()
    while counts["open"] < streams and time.monotonic() < end:
        time.sleep(0.05)
        counts = readers.counts()
    return counts
