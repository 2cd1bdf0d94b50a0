"""Who is let in, and who is not."""

import resource
from typing import Any, cast

import pytest

from router.dataplane.door import RESERVE, Door, raise_descriptor_limit
from router.patterns.limits import ClientLimits


class Transport:
    """A connection with this descriptor."""

    def __init__(self, number: int = 9) -> None:
        self._number = number

    def get_extra_info(self, name: str) -> Any:
        return self if name == "socket" else None

    def fileno(self) -> int:
        return self._number


def refusal(door: Door, limits: ClientLimits, inside: int = 0, address: bytes = b"a", number: int = 9) -> str:
    return door.refusal(cast(Any, Transport(number)), address, limits, inside)


def test_all_together_are_limited() -> None:
    limits = ClientLimits(connections=5)
    assert refusal(Door(10_000), limits, inside=4) == ""
    assert refusal(Door(10_000), limits, inside=5) == "connections"


def test_without_a_limit_there_is_room_for_upstreams_too() -> None:
    door = Door(RESERVE + 250)
    assert refusal(door, ClientLimits(), inside=99) == ""
    assert refusal(door, ClientLimits(), inside=100) == "connections"


def test_the_last_descriptors_are_no_clients() -> None:
    door = Door(RESERVE + 250)
    assert refusal(door, ClientLimits(connections=9999), number=249) == ""
    assert refusal(door, ClientLimits(connections=9999), number=250) == "descriptors"


def test_each_address_has_its_part() -> None:
    door, limits = Door(10_000), ClientLimits(connections_per_client=2)
    assert [refusal(door, limits) for _ in range(3)] == ["", "", "connections_per_client"]
    assert refusal(door, limits, address=b"b") == ""
    door.left(b"a", limits)
    assert [refusal(door, limits) for _ in range(2)] == ["", "connections_per_client"]
    for address in (b"a", b"a", b"b"):
        door.left(address, limits)
    assert door._by_address == {}, "who is gone leaves nothing behind"


def test_a_process_takes_all_the_descriptors_it_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 5000))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: given.append(both))
    assert raise_descriptor_limit() == 5000
    assert given == [(5000, 5000)]
