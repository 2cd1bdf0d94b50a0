"""The end of a connection: heard out, but not for ever."""

from time import monotonic

import pytest

from router.dataplane.leaving import LINGER, LONGEST, Leaving
from tests.support.wires import DataPlane, Wire, leftovers


class Tls(Wire):
    """A transport that can't close one side only."""

    def can_write_eof(self) -> bool:
        return False


def leaving(wire: Wire, longest: float = LONGEST) -> tuple[DataPlane, Leaving]:
    plane = DataPlane()
    client, _ = plane.client()
    return plane, Leaving(plane.engine, client, wire, longest)  # type: ignore[arg-type]


async def test_silence_ends_it() -> None:
    wire = Wire()
    wire.paused = True
    plane, end = leaving(wire)
    assert (wire.protocol, wire.eof, wire.paused, wire.closed) == (end, True, False, False)
    end.on_deadline(end.deadline)
    assert (wire.closed, wire.aborted) == (True, False)
    wire.lose()
    assert plane.engine.clients == set()
    assert leftovers(plane.engine) == []


async def test_a_client_that_has_reset_the_connection_hears_nothing() -> None:
    class Reset(Wire):
        def write_eof(self) -> None:
            raise OSError("Transport endpoint is not connected")

    wire = Reset()
    plane, _ = leaving(wire)
    assert wire.aborted
    wire.lose()
    assert leftovers(plane.engine) == []


async def test_what_still_comes_postpones_the_end_but_not_for_ever() -> None:
    _, end = leaving(Wire(), longest=3.0)
    began = end._taken_at
    end.data_received(b"more")
    assert began + LINGER <= end.deadline <= monotonic() + LINGER
    end._heard_until = began + 0.5
    end.data_received(b"more")
    assert end.deadline == began + 0.5


@pytest.mark.parametrize("takes", [True, False])
async def test_an_answer_may_be_taken_slowly_but_must_be_taken(takes: bool) -> None:
    wire = Wire()
    wire.unsent = 1000
    plane, end = leaving(wire)
    patience = plane.engine.routes.clients.write_timeout
    end.on_deadline(end.deadline)
    assert not wire.closed
    wire.unsent -= takes
    began = end._taken_at
    end.on_deadline(began + patience)
    assert wire.aborted is not takes
    if takes:
        end.on_deadline(began + 2 * patience - 1)
        assert not wire.closed
        wire.unsent = 0
        end.on_deadline(began + 2 * patience)
        assert (wire.closed, wire.aborted) == (True, False)


@pytest.mark.parametrize("silent", [0.2, LINGER])
async def test_tls_hears_the_client_out_itself_and_the_kernel_knows_how_long(
    silent: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.dataplane.leaving.silence", lambda _: silent)
    wire = Tls()
    _, end = leaving(wire)
    assert (wire.closed, wire.eof, wire.aborted) == (True, False, False)
    visits = 0
    while not wire.aborted:
        end.on_deadline(end.deadline)
        visits += 1
    assert visits == (LONGEST if silent < LINGER else 1)
