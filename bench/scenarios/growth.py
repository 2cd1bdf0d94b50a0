"""How our cost grows: with client connections, deployments, versions and workers. All rows are ours."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from bench import load
from bench.peers import Place, ours
from bench.processes import Running
from bench.results import Column, Outcome, Row, Sample
from bench.scenarios import Scenario
from bench.session import Session

MANY = 1000
"""Deployments."""

CONNECTIONS = (32, 1, 256, 1024)
"""Of the clients; the others are compared with the first."""

COLUMNS = [
    Column("cpu_us", "CPU µs/request"),
    Column("rps", "requests/s", 0),
    Column("p50_ms", "p50 ms", 2),
    Column("p99_ms", "p99 ms", 2),
    Column("rss_mib", "RSS MiB", 0),
    Column("errors", "errors", 0, "sum"),
]

_EACH = "/d-{}/**"

Call = Callable[[Running], load.Asked]
"""What is asked of a proxy."""


def _connections(session: Session) -> Outcome:
    """One proxy; every round goes through the numbers of connections."""
    with _canaries(session, (1, 2, 1)) as proxies:
        calls = [
            (f"{n:,} connection{'s' * (n > 1)}", proxies[0], _calling(connections=n)) for n in CONNECTIONS
        ]
        rows = _in_turn(session, "connections", calls)
    return _outcome("connections", "Canary, by the number of client connections", rows)


def _deployments(session: Session) -> Outcome:
    """A thousand of them are there, and one or all of them are called."""
    with _canaries(session, (1, 2, 1), (MANY, 2, 1), (1, 10, 1)) as (one, many, versions):
        calls = [
            ("1 deployment", one, _calling()),
            (f"{MANY:,}, one called", many, _calling()),
            (f"{MANY:,}, all called", many, _calling(deployments=MANY)),
            ("1 of 10 versions", versions, _calling()),
        ]
        rows = _in_turn(session, "deployments", calls)
    return _outcome("deployments", "Canary, by the number of deployments and versions", rows)


def _workers(session: Session) -> Outcome:
    """On two cores both workers share one: what is seen is whether a request costs more."""
    with _canaries(session, (1, 2, 1), (1, 2, 2)) as (one, two):
        rows = _in_turn(session, "workers", [("1 worker", one, _calling()), ("2 workers", two, _calling())])
    return _outcome("workers", "Canary, by the number of workers", rows)


@contextmanager
def _canaries(session: Session, *shapes: tuple[int, int, int]) -> Iterator[list[Running]]:
    """Routers with so many deployments, versions in each, and workers, all started and warm."""
    with session.directory() as directory, session.upstream() as upstream, ExitStack() as stack:
        place = Place(directory, upstream)
        peers = [
            ours.router(
                place,
                f"router-{number}",
                ours.CANARY,
                deployments=deployments,
                versions=versions,
                workers=workers,
                path=_EACH,
            )
            for number, (deployments, versions, workers) in enumerate(shapes)
        ]
        proxies = session.start(peers, directory, stack)
        if len(proxies) < len(peers):
            raise RuntimeError("a router of ours did not start: the line above says why")
        for proxy in proxies:
            load.run(_calling()(proxy), seconds=1, core=session.cores.load)
        yield proxies


def _calling(*, connections: int = 32, deployments: int = 1) -> Call:
    """A request to deployment 0, or to each of so many in turn."""

    def asked(proxy: Running) -> load.Asked:
        path = "/d-%d/infer" if deployments > 1 else "/d-0/infer"
        return load.Asked(proxy.peer.port, path, connections, deployments)

    return asked


def _in_turn(session: Session, what: str, calls: list[tuple[str, Running, Call]]) -> list[Row]:
    rows = [Row(name, []) for name, _, _ in calls]
    for _ in session.rounds(what):
        for row, (_, proxy, call) in zip(rows, calls, strict=True):
            row.samples.append(_measured(session, proxy, call(proxy)))
    return rows


def _measured(session: Session, proxy: Running, asked: load.Asked) -> Sample:
    before = proxy.cpu()
    seen = load.run(asked, seconds=session.effort.seconds, core=session.cores.load)
    return {
        "cpu_us": (proxy.cpu() - before) / seen.requests * 1e6,
        "rps": seen.requests / seen.seconds,
        "p50_ms": seen.p50,
        "p99_ms": seen.p99,
        "rss_mib": proxy.rss(),
        "errors": float(seen.errors),
    }


def _outcome(name: str, title: str, rows: list[Row]) -> Outcome:
    return Outcome(name, title, "cpu_us", rows[0].name, COLUMNS, rows, inverted=True)


SCENARIOS = (
    Scenario("connections", "Client connections: 1 to 1,024", _connections),
    Scenario("deployments", f"Deployments: 1 and {MANY:,}; versions: 2 and 10", _deployments),
    Scenario("workers", "Workers: 1 and 2", _workers),
)
