"""What outlives a snapshot, and when it is let go."""

from router.dataplane.routes import Routes
from router.dataplane.runtime import COHORTS
from router.patterns.plan import (
    Plan,
    Snapshot,
)
from tests.support.wires import DataPlane, settle
from tests.support.workers import deployment

URLS: dict[str, str | tuple[str, ...]] = {"v1": "http://192.0.2.1:1", "v2": "http://192.0.2.2:2"}


async def test_old_cohorts_are_counted_as_one_and_told_to_be_gone() -> None:
    plane = DataPlane()
    engine = plane.engine
    rows: dict[int, dict[int, int]] = {}
    for cohort in range(1, COHORTS + 4):
        plane.publish(deployment(URLS, Plan("v1", "v2", 10_000, cohort=cohort)))
        counter = engine.routes.by_name["d"]._candidate.counter
        counter.start()
        if cohort != 2:
            counter.finish(200, 0.1, 0.1)
        told = engine.tally()
        assert told is not None
        rows |= {row.cohort: row.codes for row in told.series if row.version == "v2" and row.role == "live"}
    cohorts = [counter.cohort for counter in engine.runtime.family("d", "v2", "live")]
    assert sorted(cohorts) == [0, 2, 4, 5, 6, 7], "one with a request in flight stays"
    total = sum(sum(counter.codes.values()) for counter in engine.runtime.family("d", "v2", "live"))
    assert total == COHORTS + 2
    assert (rows[1], rows[2], rows[3], rows[0]) == ({}, {}, {}, {200: 2})


async def test_endpoints_nobody_names_are_retired_once_they_rest() -> None:
    plane = DataPlane(deployment(URLS))
    client, wire = plane.client()
    client.data_received(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await settle()
    plane.publish()
    assert list(plane.engine.runtime.endpoints) == [("live", URLS["v1"], None)]
    plane.wires[0].protocol.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert b"200 OK" in wire.sent
    plane.publish()
    assert plane.engine.runtime.endpoints == {}
    assert plane.wires[0].aborted


async def test_what_is_down_stays_down_for_endpoints_that_come_later() -> None:
    plane = DataPlane()
    plane.engine.runtime.set_down(frozenset(("http://192.0.2.2:2",)))
    plane.publish(deployment(URLS))
    states = {url: endpoint.down for (_, url, _), endpoint in plane.engine.runtime.endpoints.items()}
    assert states == {"http://192.0.2.1:1": False, "http://192.0.2.2:2": True}
    assert Routes(Snapshot(9, ()), plane.engine.runtime).by_name == {}
