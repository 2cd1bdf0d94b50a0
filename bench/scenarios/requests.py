"""Small requests, beside other proxies: passed on as they come, split between two versions, and copied to a second."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from http.client import HTTPConnection

from bench import load
from bench.peers import Peer, Place, envoy, haproxy, model_routers, nginx, ours, python, traefik
from bench.processes import Running
from bench.results import Column, Outcome, Sample
from bench.scenarios import Scenario
from bench.session import Session

CONNECTIONS = 32

PACE = 10
"""Of the paced scenario: ms between an answer and the next request on its connection, so about 3,000 requests/s."""

COLUMNS = [
    Column("cpu_us", "CPU µs/request"),
    Column("rps", "requests/s", 0),
    Column("p50_ms", "p50 ms", 2),
    Column("p99_ms", "p99 ms", 2),
    Column("single_p50_ms", "p50 ms at 1", 3),
    Column("rss_mib", "RSS MiB", 0),
    Column("errors", "errors", 0, "sum"),
]
SHADOW_COLUMNS = [
    *(column for column in COLUMNS if column.figure != "single_p50_ms"),
    Column("beside_us", "recorder, CPU µs", 1),
    Column("dropped", "dropped %", 1),
]
"""With what ours spends beside the path of the request (recorder and controller), and captures it did not keep."""

_THROWN_AWAY = "2nd answer thrown away"


def plain(place: Place) -> list[Peer]:
    """One version, nothing decided."""
    return [
        ours.router(place, "router"),
        python.bare(place),
        nginx.nginx(place, nginx.PLAIN),
        haproxy.haproxy(place),
        envoy.envoy(place, envoy.PLAIN),
        traefik.traefik(place),
        model_routers.vllm_router(place),
        model_routers.sglang_router(place),
        python.aiohttp_proxy(place),
    ]


def canary(place: Place) -> list[Peer]:
    """90/10 between two versions, by a hash of a header where the proxy can do that."""
    return [
        ours.router(place, "router", ours.CANARY),
        nginx.nginx(place, nginx.CANARY),
        haproxy.haproxy(place, haproxy.CANARY),
        envoy.envoy(place, envoy.CANARY, note="by weight, not sticky"),
        traefik.traefik(place, traefik.CANARY, note="by weight, not sticky"),
        python.aiohttp_proxy(place),
    ]


def shadow(place: Place) -> list[Peer]:
    """A copy of every request to a second version; ours keeps both answers and writes them as a pair."""
    return [
        ours.router(place, "router", ours.SHADOW),
        nginx.nginx(place, nginx.SHADOW, note=_THROWN_AWAY),
        envoy.envoy(place, envoy.SHADOW, note=_THROWN_AWAY),
        traefik.traefik(place, traefik.SHADOW, note=_THROWN_AWAY),
    ]


def loaded(session: Session, proxy: Running, pause: int = 0) -> Sample:
    """One round of one proxy under load."""
    asked = load.Asked(proxy.peer.port, proxy.peer.path, CONNECTIONS, pause=pause)
    before, beside, dropped = proxy.cpu(), proxy.cpu_beside(), _dropped(proxy)
    seen = load.run(asked, seconds=session.effort.seconds, core=session.cores.load)
    spent, beside = proxy.cpu() - before, proxy.cpu_beside() - beside
    sample = {
        "cpu_us": spent / seen.requests * 1e6,
        "rps": seen.requests / seen.seconds,
        "p50_ms": seen.p50,
        "p99_ms": seen.p99,
        "rss_mib": proxy.rss(),
        "errors": float(seen.errors),
    }
    if proxy.beside:
        sample["beside_us"] = beside / seen.requests * 1e6
        sample["dropped"] = (_dropped(proxy) - dropped) / seen.requests * 100
    return sample


def loaded_and_single(session: Session, proxy: Running) -> Sample:
    """The same, and then the latency with one connection."""
    sample = loaded(session, proxy)
    asked = load.Asked(proxy.peer.port, proxy.peer.path, 1)
    seen = load.run(asked, seconds=session.effort.single, core=session.cores.load)
    return sample | {"single_p50_ms": seen.p50, "errors": sample["errors"] + seen.errors}


def _dropped(proxy: Running) -> float:
    """Captures that ours has dropped so far."""
    if not proxy.peer.admin:
        return 0.0
    connection = HTTPConnection("127.0.0.1", proxy.peer.admin, timeout=10)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    connection.close()
    lines = [line for line in page.splitlines() if line.startswith("router_captures_dropped_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


Measure = Callable[[Session, Running], Sample]


def _run(
    session: Session,
    *,
    name: str,
    title: str,
    peers: Callable[[Place], list[Peer]],
    measure: Measure,
    columns: list[Column],
) -> Outcome:
    with session.directory() as directory, session.upstream() as upstream, ExitStack() as stack:
        proxies = session.start(peers(Place(directory, upstream)), directory, stack)
        for proxy in proxies:
            asked = load.Asked(proxy.peer.port, proxy.peer.path, CONNECTIONS)
            load.run(asked, seconds=1, core=session.cores.load)
        rows = session.in_turn(name, proxies, partial(measure, session))
    return Outcome(name, title, "cpu_us", "router", columns, rows)


def _beside_others(name: str, title: str, peers: Callable[[Place], list[Peer]]) -> Scenario:
    run = partial(_run, name=name, title=title, peers=peers, measure=loaded_and_single, columns=COLUMNS)
    return Scenario(name, title, run)


def _copied(name: str, title: str, pause: int) -> Scenario:
    measure = partial(loaded, pause=pause)
    run = partial(_run, name=name, title=title, peers=shadow, measure=measure, columns=SHADOW_COLUMNS)
    return Scenario(name, title, run)


SCENARIOS = (
    _beside_others("plain", "One version, passed on", plain),
    _beside_others("canary", "Canary 90/10, by a sticky header", canary),
    _copied("shadow", "Every request copied, as fast as it goes", 0),
    _copied("shadow-paced", "Every request copied, at a pace where every pair is kept", PACE),
)
