"""Changes, on a disk that is full or hangs, and beside each other: what is in force and what is on disk."""

import asyncio

import pytest

from router.control.orders import PROMOTE, RESTART
from router.errors import Refused
from router.rollout.journal import JournalError
from router.rollout.phase import Phase
from tests.support.controllers import Bench, SickJournal, deployment, loaded, until


async def test_concurrent_commands_take_turns(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    answers = await asyncio.gather(*(bench.controller.order("loan", PROMOTE, f"p{n}") for n in range(3)))
    assert [answer.phase for answer in answers] == ["progressing", "soaking", "promoted"]
    assert bench.fleet.generations() == [1, 2, 3, 4]
    # Nobody had to decide twice: no id was given to an entry that was then withdrawn.
    assert [entry.id for entry in await bench.controller.history("loan")] == [4, 3, 2, 1]


async def test_no_record_no_publish(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.journal.full = True
    with pytest.raises(JournalError, match="full"):
        await bench.controller.order("loan", PROMOTE, "anna")
    with pytest.raises(JournalError, match="full"):
        await bench.controller.apply(loaded("d2", loan=deployment(soak="2h")))
    await bench.pass_time(600)
    assert bench.fleet.generations() == [1]
    assert (bench.state().step, bench.controller.status.digest) == (0, "d1")
    bench.journal.full = False
    await bench.pass_time(0)
    assert bench.state().step == 1


async def test_a_rollback_needs_no_disk_and_is_written_when_there_is_one(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.journal.full = True
    answer = await bench.controller.rollback("loan", "anna", "bad")
    assert (answer.phase, answer.persisted, bench.fleet.share()) == ("rolled_back", False, 0)
    assert not bench.controller.facts().persisted
    await bench.pass_time(1)
    assert bench.on_disk().phase is Phase.PROGRESSING
    bench.journal.full = False
    await bench.pass_time(1)
    assert bench.on_disk().phase is Phase.ROLLED_BACK
    assert bench.controller.facts().persisted
    assert (await bench.controller.history("loan"))[0].what == "rollback"


async def test_a_rollback_does_not_wait_for_a_promote_stuck_on_the_disk_and_wins(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    promoting = await bench.stuck(bench.controller.order("loan", PROMOTE, "bob"))
    answer = await bench.controller.rollback("loan", "anna", "bad")
    assert (answer.phase, answer.persisted, bench.fleet.share()) == ("rolled_back", False, 0)
    with pytest.raises(JournalError, match="did not answer"):
        await promoting
    bench.journal.well.set()
    await until(lambda: bench.controller.facts().persisted)
    assert bench.on_disk().phase is Phase.ROLLED_BACK
    assert [e.what for e in await bench.controller.history("loan")] == ["rollback", "start"]


async def test_a_promote_that_was_overtaken_is_decided_again_and_refused(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.controller._changes._scribe._patience = 5.0
    promoting = await bench.stuck(bench.controller.order("loan", PROMOTE, "bob"))
    rolling = asyncio.create_task(bench.controller.rollback("loan", "anna", "bad"))
    await until(lambda: bench.fleet.generations() == [1, 2])
    bench.journal.well.set()
    assert (await rolling).persisted
    with pytest.raises(Refused, match="rolled_back"):
        await promoting
    await until(lambda: bench.controller.facts().persisted)
    assert bench.on_disk().phase is Phase.ROLLED_BACK
    assert [e.what for e in await bench.controller.history("loan")] == ["rollback", "start"]


async def test_an_edit_that_was_overtaken_keeps_the_rollback(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.controller._changes._scribe._patience = 5.0
    applying = await bench.stuck(bench.controller.apply(loaded("d2", loan=deployment(soak="2h"))))
    rolling = asyncio.create_task(bench.controller.rollback("loan", "anna", "bad"))
    await until(lambda: bench.fleet.generations() == [1, 2])
    bench.journal.well.set()
    await asyncio.gather(applying, rolling)
    assert (bench.state().phase, bench.fleet.share()) == (Phase.ROLLED_BACK, 0)
    assert bench.controller.status.digest == "d2"
    assert [e.what for e in await bench.controller.history("loan")] == ["config", "rollback", "start"]
    await bench.reborn().apply(loaded("d2", loan=deployment(soak="2h")))
    assert bench.state().phase is Phase.ROLLED_BACK


async def test_a_promote_given_up_on_is_taken_back_from_the_disk(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.journal.well.clear()
    with pytest.raises(JournalError):
        await bench.controller.order("loan", PROMOTE, "bob")
    bench.journal.well.set()
    await until(lambda: bench.controller.facts().persisted)
    assert bench.on_disk().step == 0
    assert [e.what for e in await bench.controller.history("loan")] == ["start"]


async def test_a_rollback_does_not_wait_for_a_publish_that_nobody_confirms(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.fleet.gate.clear()
    promoting = asyncio.create_task(bench.controller.order("loan", PROMOTE, "bob"))
    await until(lambda: bench.fleet.generations() == [1, 2])
    rolling = asyncio.create_task(bench.controller.rollback("loan", "anna", "bad"))
    await until(lambda: bench.fleet.generations() == [1, 2, 3])
    assert bench.fleet.share() == 0
    assert not bench.controller.in_force
    bench.fleet.gate.set()
    assert (await rolling).generation == 3
    assert (await promoting).generation == 2
    assert bench.controller.in_force


async def test_a_rollback_is_written_before_a_restart_that_follows_at_once(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    await asyncio.gather(
        bench.controller.rollback("loan", "anna", "bad"), bench.controller.order("loan", RESTART, "bob")
    )
    assert bench.state().phase is Phase.PROGRESSING
    await until(lambda: bench.controller.facts().persisted)
    assert bench.on_disk() == bench.state()
    assert [e.what for e in await bench.controller.history("loan")] == ["restart", "rollback", "start"]


async def test_closing_notes_the_time_held(bench: Bench) -> None:
    await bench.controller.apply(loaded())
    bench.time += 12
    await bench.controller.close()
    bench.journal = SickJournal(bench.path)
    assert bench.on_disk().held == 12
    bench.controller = bench.build()
