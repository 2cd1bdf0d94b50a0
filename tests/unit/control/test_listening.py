"""Listening sockets: who gets which, and what is said when one can't be had."""

import os
import socket
from collections.abc import Iterator

import pytest

from router.channel import Listener
from router.config.schema import ListenSpec
from router.config.tls import Tls
from router.control.listening import Adopted, Slot, address_of, open_exclusive, open_slots
from router.errors import RouterError

ANY = ListenSpec(address="127.0.0.1:0")


@pytest.fixture
def slots() -> Iterator[list[Slot]]:
    opened: list[Slot] = []
    yield opened
    for slot in opened:
        for found in slot:
            found.socket.close()


def names(slot: Slot) -> list[str]:
    return [address_of(found.socket) for found in slot]


def inodes(slot: Slot) -> list[int]:
    return [os.fstat(found.socket.fileno()).st_ino for found in slot]


def handed_over(slot: Slot, address: str = ANY.address) -> list[Adopted]:
    """The sockets as an orphan would send them: other descriptors of the same sockets."""
    return [(Listener(99, address), found.socket.dup()) for found in slot]


def test_every_slot_has_a_socket_of_its_own_at_one_port(slots: list[Slot]) -> None:
    slots += open_slots([ANY], 3)
    assert len({name for slot in slots for name in names(slot)}) == 1
    assert len({inode for slot in slots for inode in inodes(slot)}) == 3
    for slot in slots:
        assert slot[0].socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        assert not slot[0].socket.getblocking()


def test_several_addresses_and_a_name(slots: list[Slot]) -> None:
    slots += open_slots([ANY, ListenSpec(address="[::1]:0"), ListenSpec(address="localhost:0")], 2)
    first, second = (names(slot) for slot in slots)
    assert first == second
    assert first[0].startswith("127.0.0.1:")
    assert first[1].startswith("[::1]:")
    ports = {name.rpartition(":")[2] for name in first[2:]}
    assert len(ports) == 1, "a name that stands for several places has one port"


def test_a_worker_is_told_descriptor_address_and_certificate(slots: list[Slot]) -> None:
    slots += open_slots([ListenSpec(address="127.0.0.1:0", tls=Tls(cert="c", key="k")), ANY], 1)
    first, second = slots[0]
    assert first.listener() == Listener(first.socket.fileno(), "127.0.0.1:0", "c", "k")
    assert second.listener() == Listener(second.socket.fileno(), "127.0.0.1:0")


@pytest.mark.parametrize(("before", "after"), [(1, 3), (2, 2), (3, 2), (4, 1)])
def test_adopted_sockets_are_used_and_completed(slots: list[Slot], before: int, after: int) -> None:
    slots += open_slots([ANY], before)
    old = {inode for slot in slots for inode in inodes(slot)}
    adopted = [item for slot in slots for item in handed_over(slot)]
    new = open_slots([ANY], after, adopted)
    slots += new
    assert old <= {inode for slot in new for inode in inodes(slot)}, "no backlog is given up"
    assert all(new), "every worker has a socket"
    assert sum(len(slot) for slot in new) == max(before, after)
    assert {name for slot in new for name in names(slot)} == set(names(slots[0]))


def test_a_socket_handed_over_twice_is_used_once(slots: list[Slot]) -> None:
    slots += open_slots([ANY], 1)
    again = open_slots([ANY], 1, handed_over(slots[0]) + handed_over(slots[0]))
    slots += again
    assert len(again[0]) == 1


def test_adopted_sockets_of_an_address_no_longer_wanted_are_closed(slots: list[Slot]) -> None:
    slots += open_slots([ANY], 1)
    (_, unwanted), = adopted = handed_over(slots[0], "127.0.0.1:1")  # fmt: skip
    slots += open_slots([ANY], 1, adopted)
    assert unwanted.fileno() == -1


@pytest.mark.parametrize("shares", [False, True])
def test_a_port_in_use_is_refused_even_by_one_that_shares(slots: list[Slot], shares: bool) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shares))
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = address_of(other)
        with pytest.raises(RouterError, match=f"listen {address}: Address already in use"):
            slots += open_slots([ListenSpec(address=address)], 1)
        with pytest.raises(RouterError, match="in use"):
            open_exclusive(address)


def test_a_name_nobody_knows_is_named() -> None:
    with pytest.raises(RouterError, match=r"listen no\.such\.host\.invalid:80: "):
        open_slots([ListenSpec(address="no.such.host.invalid:80")], 1)


def test_a_port_can_be_bound_again_right_after_a_connection(slots: list[Slot]) -> None:
    slots += open_slots([ANY], 1)
    sock = slots[0][0].socket
    address = address_of(sock)
    client = socket.create_connection(sock.getsockname())
    server, _ = sock.accept()
    server.close()  # the side that closes first keeps the port in TIME_WAIT
    assert client.recv(1) == b""
    client.close()
    sock.close()
    slots[:] = open_slots([ListenSpec(address=address)], 1)
    assert names(slots[0]) == [address]
