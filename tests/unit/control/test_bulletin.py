"""News for listeners: everyone gets all of it, and nobody holds anybody up."""

import asyncio

from router.control.bulletin import BACKLOG, Bulletin


async def test_every_listener_gets_all_news_from_then_on_in_order() -> None:
    bulletin = Bulletin()
    bulletin.announce({"n": 0})
    with bulletin.listen() as one, bulletin.listen() as other:
        bulletin.announce({"n": 1})
        bulletin.announce({"n": 2})
        for listening in (one, other):
            assert [(await listening.next())["n"] for _ in range(2)] == [1, 2]


async def test_a_listener_waits_for_news() -> None:
    bulletin = Bulletin()
    with bulletin.listen() as listening:
        waiting = asyncio.create_task(listening.next())
        await asyncio.sleep(0)
        assert not waiting.done()
        bulletin.announce({"n": 1})
        assert await waiting == {"n": 1}


async def test_a_slow_listener_loses_the_oldest_and_knows_how_many() -> None:
    bulletin = Bulletin()
    with bulletin.listen() as slow:
        for number in range(BACKLOG + 3):
            bulletin.announce({"n": number})
        assert slow.missed == 3
        assert (await slow.next())["n"] == 3


async def test_who_has_left_costs_nothing() -> None:
    bulletin = Bulletin()
    with bulletin.listen() as gone:
        pass
    for number in range(BACKLOG + 1):
        bulletin.announce({"n": number})
    assert gone.missed == 0
