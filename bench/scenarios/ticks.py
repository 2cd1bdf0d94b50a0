"""What it costs the controller to think: CPU a tick, with rollouts that are judged by two gates each."""

import time
from contextlib import ExitStack

from bench import load
from bench.peers import Place, ours
from bench.processes import Running, cpu, rss
from bench.results import Column, Outcome, Sample
from bench.scenarios import Scenario
from bench.session import Session

MANY = 200
"""Deployments."""

PER_SECOND = 4
"""Ticks of the controller (`router.control.plane.TICK`)."""

_GATES = "[{error_rate: {max_ratio: 1.0, pass_ratio: 2.0}}, {latency: {quantile: 95%, max_ratio: 1.2}}]"
_ROLLOUT = (
    "{pattern: canary, stable: v1, candidate: v2, sticky: {header: x-user-id}, min_requests: 1000000, "
    f"steps: [{{share: 10%, hold: 1h}}], gates: {_GATES}}}"
)
TITLE = "The controller's tick, every rollout with two gates, under traffic"

COLUMNS = [
    Column("tick_ms", "CPU ms/tick", 2),
    Column("idle_ms", "without traffic", 2),
    Column("core", "% of a core", 1),
    Column("rss_mib", "controller RSS MiB", 0),
    Column("rps", "requests/s", 0),
    Column("errors", "errors", 0, "sum"),
]


def _run(session: Session) -> Outcome:
    with session.directory() as directory, session.upstream() as upstream, ExitStack() as stack:
        place = Place(directory, upstream)
        peers = [
            ours.router(
                place, f"{count} deployment{'s' * (count > 1)}", _ROLLOUT, deployments=count, path="/d-{}/**"
            )
            for count in (1, MANY)
        ]
        proxies = session.start(peers, directory, stack)
        rows = session.in_turn("ticks", proxies, lambda proxy: _measured(session, proxy))
    return Outcome("ticks", TITLE, "tick_ms", rows[0].name, COLUMNS, rows, inverted=True)


def _measured(session: Session, proxy: Running) -> Sample:
    deployments = int(proxy.peer.name.split()[0])
    path = "/d-%d/infer" if deployments > 1 else "/d-0/infer"
    # Paced: the traffic is there to be counted and judged, the controller shares its core with the load.
    asked = load.Asked(proxy.peer.port, path, 32, deployments, pause=10)
    before, began = cpu(proxy.pid), time.monotonic()
    time.sleep(session.effort.single)
    idle, quiet = cpu(proxy.pid) - before, time.monotonic() - began
    before, began = cpu(proxy.pid), time.monotonic()
    seen = load.run(asked, seconds=session.effort.seconds, core=session.cores.load)
    spent, took = cpu(proxy.pid) - before, time.monotonic() - began
    return {
        "tick_ms": spent / took / PER_SECOND * 1e3,
        "idle_ms": idle / quiet / PER_SECOND * 1e3,
        "core": spent / took * 100,
        "rss_mib": rss(proxy.pid),
        "rps": seen.requests / seen.seconds,
        "errors": float(seen.errors),
    }


SCENARIO = Scenario("ticks", f"The controller's tick with 1 and {MANY} rollouts", _run)
