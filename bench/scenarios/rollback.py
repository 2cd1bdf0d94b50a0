"""Rollbacks under full load: how long each took to be in force, and what the candidate got after the answer."""

import json
import time
from contextlib import ExitStack
from dataclasses import replace
from http.client import HTTPConnection

from bench import load
from bench.peers import Place, ours
from bench.processes import Running
from bench.results import Column, Outcome, Row, Sample
from bench.scenarios import Scenario
from bench.session import Session

_HALF = "{pattern: canary, stable: v1, candidate: v2, steps: [{share: 50%, hold: 1h}]}"
_AFTER = 0.03
"""Seconds after a rollback's answer in which a late request to the candidate would be seen."""

TITLE = "Rollback under load, 2 workers"

COLUMNS = [
    Column("applied_ms", "applied_ms p50", 2),
    Column("applied_ms", "p99", 2, "p99"),
    Column("applied_ms", "max", 2, "max"),
    Column("answer_ms", "API call p99", 2, "p99"),
    Column("last_ms", "last candidate request, ms after the answer", 2),
    Column("last_ms", "max", 2, "max"),
    Column("rps", "requests/s", 0),
    Column("errors", "errors", 0, "sum"),
]


def _run(session: Session) -> Outcome:
    count = session.effort.rollbacks
    with session.directory() as directory, ExitStack() as stack:
        stable = stack.enter_context(session.upstream())
        candidate = stack.enter_context(session.upstream("bench.watched"))
        place = Place(directory, stable, candidate)
        # Not pinned: how soon a process gets its turn is part of the answer, and the kernel decides it in service too.
        peer = replace(ours.router(place, "router", _HALF, workers=2), pinned=False)
        (proxy,) = session.start([peer], directory, stack)
        session.say(f"rollback: {count} times")
        asked = load.Asked(peer.port, peer.path)
        with load.background(asked, most=30 + count, core=session.cores.load) as traffic:
            time.sleep(0.5)
            samples = [_rolled_back(proxy, candidate, number) for number in range(count)]
    samples[0] |= {"errors": float(traffic.seen.errors), "rps": traffic.seen.requests / traffic.seen.seconds}
    return Outcome("rollback", TITLE, "applied_ms", "router", COLUMNS, [Row("router", samples)])


def _rolled_back(proxy: Running, candidate: int, number: int) -> Sample:
    """One rollback from a share of 50 %, and the way back to it."""
    began = time.monotonic()
    answer = _post(proxy.peer.admin, "rollback")
    answered = time.monotonic()
    time.sleep(_AFTER)
    last = _last(candidate)
    _post(proxy.peer.admin, "restart")
    _wait_for_request(candidate, since=time.monotonic())
    time.sleep(0.02 + number % 7 * 0.005)  # not in step with the quarter seconds of ticks and tallies
    return {
        "applied_ms": float(answer["applied_ms"]),  # type: ignore[arg-type]
        "answer_ms": (answered - began) * 1e3,
        "last_ms": (last - answered) * 1e3,
    }


def _post(admin: int, action: str) -> dict[str, object]:
    status, body = _call(admin, "POST", f"/api/v1/deployments/loan-0/{action}")
    if status != 200:
        raise RuntimeError(f"{action} was answered with {status}: {body[:200]!r}")
    answer: dict[str, object] = json.loads(body)
    return answer


def _last(candidate: int) -> float:
    """When the candidate was last asked, in monotonic seconds."""
    return float(_call(candidate, "GET", "/last")[1])


def _wait_for_request(candidate: int, since: float) -> None:
    """Until it is asked again. Raises RuntimeError after 10 s."""
    while _last(candidate) < since:
        if time.monotonic() > since + 10:
            raise RuntimeError("the candidate gets no requests after a restart of its rollout")
        time.sleep(0.005)


def _call(port: int, method: str, path: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


SCENARIO = Scenario("rollback", TITLE, _run)
