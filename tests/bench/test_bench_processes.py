"""Reading and pinning processes, and the load and model servers of the benchmark, against each other."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from bench.counting import Counting, counting
from bench.machine import Cores
from bench.peers import VENV, Peer, Place, executable, free_port, ours
from bench.processes import cpu, end, pinned, rss, running, started, tree, wait_for_port
from bench.scenarios import rollback
from bench.session import SMOKE, Session
from router.config.loader import load

CORE = min(os.sched_getaffinity(0))
BURN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\nprint(flush=True)\ninput()"


def test_cpu_time_is_that_of_the_process_and_only_when_it_works() -> None:
    process = subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        used = cpu(process.pid)
        assert 0.3 <= used < 1
        time.sleep(0.1)
        assert cpu(process.pid) - used < 0.05
        assert 2 < rss(process.pid) < 200
    finally:
        end(process)
        process.communicate()


def test_a_tree_holds_what_a_process_started() -> None:
    with running(["sh", "-c", "sleep 30 & sleep 30; true"]) as process:
        for _ in range(200):
            found = tree(process.pid)
            if len(found) == 3:
                break
            time.sleep(0.01)
        assert len(found) == 3
        for child in found[1:]:
            os.kill(child, 15)


def test_cores_are_never_shared_by_load_and_proxy() -> None:
    cores = Cores.of([2, 3, 5])
    assert (cores.load, cores.proxy) == (2, (3, 5))
    assert cores.for_workers(1) == {3}
    assert cores.for_workers(8) == {3, 5}
    with pytest.raises(ValueError, match="two cores"):
        Cores.of([0])


def test_a_peer_that_ends_at_once_is_told_with_its_last_line(tmp_path: Path) -> None:
    peer = Peer("broken", free_port(), {}, (sys.executable, "-c", "raise SystemExit('no such option')"))
    with (
        pytest.raises(RuntimeError, match="ended with 1: no such option"),
        started(peer, tmp_path, Cores(CORE, (CORE,))),
    ):
        pass


@pytest.mark.parametrize("rollout", ["", ours.CANARY, ours.SHADOW])
@pytest.mark.parametrize("deployments", [1, 3])
def test_our_configurations_load(tmp_path: Path, rollout: str, deployments: int) -> None:
    place = Place(tmp_path, 9001)
    peer = ours.router(place, "router", rollout, deployments=deployments, versions=4, path="/d-{}/**")
    (text,) = peer.files.values()
    path = tmp_path / "router.yaml"
    path.write_text(text)
    config = load(path, {}).config
    assert len(config.deployments) == deployments
    assert {len(each.versions) for each in config.deployments.values()} == {4 if rollout else 1}
    assert peer.path == "/d-0/infer"


def test_what_is_not_there_is_not_found() -> None:
    assert executable("no-such-proxy") == ""
    assert VENV.name == ".venv"


def test_streams_get_their_events_at_their_rate() -> None:
    with _served("bench.streams") as port, counting("bench.streams", port, "/s/50", 20, core=CORE) as readers:
        _until(lambda: readers.counts()["events"] > 40)  # they flow
        before, began = readers.counts(), time.monotonic()
        time.sleep(1.0)
        after, took = readers.counts(), time.monotonic() - began
    assert after["broken"] == 0
    # A busy machine may be late with some, and makes up for it.
    assert 100 < (after["events"] - before["events"]) / took < 750


def test_a_stream_without_a_beat_gets_its_first_event_only() -> None:
    with _served("bench.streams") as port, counting("bench.streams", port, "/s/0", 5, core=CORE) as readers:
        _until(lambda: readers.counts()["open"] == 5)
        time.sleep(0.2)
        assert readers.counts() == {"open": 5, "events": 5, "broken": 0}


@pytest.mark.parametrize("direction", ["up", "down"])
def test_bodies_are_moved_whole(direction: str) -> None:
    size = 300_000
    with (
        _served("bench.bulk") as port,
        counting("bench.bulk", port, "/b", direction, size, 2, core=CORE) as traffic,
    ):
        _until(lambda: traffic.counts()["bodies"] > 4)
        counts = traffic.counts()
    assert counts["errors"] == 0
    assert counts["bytes"] >= counts["bodies"] * size


def test_a_load_that_ends_is_an_error_not_a_zero() -> None:
    streams = counting("bench.streams", 1, "/s/0", "none", core=CORE)
    with streams as readers, pytest.raises(RuntimeError, match="ended with 1"):
        _ask_for_long(readers)


def _ask_for_long(readers: Counting) -> None:
    for _ in range(200):
        readers.counts()
        time.sleep(0.05)


@pytest.mark.slow
def test_a_small_scenario_runs_from_end_to_end() -> None:
    found = rollback.SCENARIO.run(Session(SMOKE, Cores.of(sorted(os.sched_getaffinity(0))), Console()))
    (row,) = found.rows
    assert len(row.samples) == SMOKE.rollbacks
    assert row.values("errors") == [0]
    assert max(row.values("applied_ms")) < 1000


@contextmanager
def _served(module: str) -> Iterator[int]:
    """The port of `python -m MODULE serve`, which listens."""
    port = free_port()
    with running(pinned([sys.executable, "-m", module, "serve", str(port)], {CORE})) as process:
        wait_for_port(port, process)
        yield port


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end, "it did not come true within 15 s"
        time.sleep(0.02)
