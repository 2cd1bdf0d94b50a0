"""The one place where routing changes."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from router.channel import RecorderSettings
from router.config.schema import Config
from router.control.edit import prepare
from router.control.in_force import InForce
from router.control.terms import Confirmation
from router.errors import Refused
from router.patterns.limits import ClientLimits
from router.patterns.observing import Observing
from router.patterns.plan import Snapshot, decode_snapshot
from router.rollout import ramp

CANARY = {"pattern": "canary", "stable": "v1", "candidate": "v2", "steps": [{"share": "10%", "hold": "1m"}]}
VERSIONS = {version: {"url": "http://127.0.0.1:9001"} for version in ("v1", "v2")}


class Fleet:
    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.gate = asyncio.Event()

    def publish(self, generation: int, snapshot: bytes) -> Coroutine[Any, Any, Confirmation]:
        self.snapshots.append(decode_snapshot(snapshot))
        return self._confirm()

    async def _confirm(self) -> Confirmation:
        await self.gate.wait()
        return Confirmation(1, 1)

    def recorder_settings(self, settings: RecorderSettings) -> None:
        raise AssertionError("not its business")


class Bench:
    def __init__(self) -> None:
        self.time = 0.0
        self.fleet = Fleet()
        self.force = InForce(self.fleet, 1, 7, lambda: self.time)
        config = Config.model_validate(
            {
                "deployments": {
                    name: {"match": {"path": f"/{name}"}, "versions": VERSIONS, "rollout": CANARY}
                    for name in ("a", "b")
                }
            }
        )
        self.force.deployments = prepare(config, {}, 1, 0.0, 0.0)


async def test_a_new_state_is_published_with_a_new_generation_and_the_others_as_they_were() -> None:
    bench = Bench()
    others = bench.force.deployments["b"].plan
    publication = bench.force.put({"a": ramp.rollback(bench.force.settled("a").state)})
    assert publication.generation == bench.force.generation == 8
    assert bench.force.deployments["b"].plan is others
    (snapshot,) = bench.fleet.snapshots  # at once: nothing else has its turn before
    bench.fleet.gate.set()
    await publication.task
    assert snapshot.generation == 8
    assert [each.plan.share for each in snapshot.deployments] == [0, 1000]


async def test_it_is_everywhere_when_the_newest_is_confirmed() -> None:
    bench = Bench()
    assert not bench.force.everywhere
    first, second = bench.force.put({}), bench.force.put({})
    assert bench.force.publishing
    bench.fleet.gate.set()
    await asyncio.gather(first.task, second.task)
    await asyncio.sleep(0)
    assert bench.force.everywhere
    assert not bench.force.publishing
    bench.fleet.gate.clear()
    third = bench.force.put({})
    assert not bench.force.everywhere
    bench.fleet.gate.set()
    await third.task
    assert bench.force.everywhere


async def test_snapshots_leave_in_the_order_of_their_generations() -> None:
    bench = Bench()
    publications = [bench.force.put({}) for _ in range(5)]
    bench.fleet.gate.set()
    await asyncio.gather(*(publication.task for publication in publications))
    assert [snapshot.generation for snapshot in bench.fleet.snapshots] == [8, 9, 10, 11, 12]


async def test_time_is_counted_once_however_often_one_looks() -> None:
    bench = Bench()
    bench.time = 10.0
    assert bench.force.settled("a").state.held == 10.0
    assert bench.force.settled("a").state.held == 10.0
    bench.time = 15.0
    assert bench.force.settled("a").state.held == 15.0


async def test_time_spent_before_a_change_is_not_counted_after_it() -> None:
    bench = Bench()
    state = bench.force.settled("a").state
    bench.time = 30.0
    bench.force.put({"a": state})
    assert bench.force.settled("a").state.held == 0.0
    bench.fleet.gate.set()


async def test_an_unknown_name_is_refused_with_the_known() -> None:
    with pytest.raises(Refused) as refused:
        Bench().force.settled("c")
    assert (refused.value.status, refused.value.known) == (404, ("a", "b"))


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (None, ""),
        (8, "b changed in generation 10, after 8, which this call is about: look at it again"),
        (9, "b changed in generation 10"),
        (10, ""),
        (11, ""),
        (12, "there was no generation 12 yet, the newest is 11"),
    ],
)
async def test_who_saw_an_older_place_of_this_deployment_is_late(seen: int | None, says: str) -> None:
    bench = Bench()
    bench.fleet.gate.set()
    for states, touched in (({"b"}, ()), ({"a"}, ()), (set(), ("b",)), ({"a"}, ())):
        bench.force.put({name: bench.force.settled(name).state for name in states}, touched)
    assert [bench.force.changed(name) for name in ("a", "b", "c")] == [11, 10, 0]
    if not says:
        bench.force.unchanged_since("b", seen)
        return
    with pytest.raises(Refused) as refused:
        bench.force.unchanged_since("b", seen)
    assert (refused.value.status, refused.value.phase) == (412, "progressing")
    assert str(refused.value).startswith(says)


async def test_what_all_have_in_common_is_told_once_also_where_no_deployment_changed() -> None:
    bench = Bench()
    bench.fleet.gate.set()
    assert bench.force.catch_up() is None
    bench.force.for_all(ClientLimits(pipelined=3), Observing())
    publication = bench.force.catch_up()
    assert publication is not None
    assert (publication.generation, bench.force.generation) == (8, 8)
    assert bench.force.catch_up() is None
    bench.force.for_all(ClientLimits(pipelined=3), Observing())
    assert bench.force.catch_up() is None, "nothing changed"
    bench.force.for_all(ClientLimits(pipelined=4), Observing())
    bench.force.put({"a": ramp.rollback(bench.force.settled("a").state)})
    assert bench.force.catch_up() is None, "the rollback's snapshot told it"
    await publication.task
    await asyncio.sleep(0)
    assert [snapshot.clients.pipelined for snapshot in bench.fleet.snapshots] == [3, 4]
