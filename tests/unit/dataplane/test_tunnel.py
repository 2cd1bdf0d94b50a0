"""Two transports joined: bytes both ways, pausing across, and one end for both."""

import asyncio
from typing import cast

import pytest

from router.dataplane import tunnel
from router.dataplane.tunnel import Tunnel, join
from tests.support.wires import Wire


class Pair:
    def __init__(self, from_client: bytes = b"", from_upstream: bytes = b"", unsent: int = 0) -> None:
        self.client, self.upstream = Wire(), Wire()
        self.client.unsent = unsent
        self.closed = 0
        self.tunnel: Tunnel = join(
            cast(asyncio.Transport, self.client),
            cast(asyncio.Transport, self.upstream),
            from_client,
            from_upstream,
            self._on_closed,
        )

    def _on_closed(self) -> None:
        self.closed += 1


async def test_what_was_read_already_goes_first() -> None:
    pair = Pair(b"early", b"hello")
    pair.client.protocol.data_received(b" more")
    pair.upstream.protocol.data_received(b" there")
    assert (pair.upstream.sent, pair.client.sent) == (b"early more", b"hello there")


async def test_a_side_that_can_not_take_more_pauses_the_other() -> None:
    pair = Pair()
    pair.client.protocol.pause_writing()
    assert (pair.upstream.paused, pair.client.paused) == (True, False)
    pair.client.protocol.resume_writing()
    assert not pair.upstream.paused


async def test_a_side_that_was_full_before_pauses_the_other_from_the_start() -> None:
    assert Pair(unsent=tunnel.WRITE_BUFFER + 1).upstream.paused
    assert not Pair().upstream.paused


@pytest.mark.parametrize("side", ["client", "upstream"])
async def test_both_end_with_either_and_the_end_is_told_once(
    side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "FLUSH", 0.01)
    pair = Pair()
    ends, other = (pair.client, pair.upstream) if side == "client" else (pair.upstream, pair.client)
    ends.lose()
    assert (pair.closed, other.closed, other.aborted) == (1, True, False)
    other.protocol.resume_writing()
    assert not other.paused
    await asyncio.sleep(0.05)
    assert other.aborted, "what it does not take in time is given up"
    other.lose()
    assert pair.closed == 1


async def test_closing_closes_both_sides() -> None:
    pair = Pair()
    pair.tunnel.close()
    assert pair.client.closed
    assert pair.upstream.closed
