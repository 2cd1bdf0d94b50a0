"""The first words of an orphan, in every cutting, and with everything that may be wrong with them."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from router.channel import Applied, Frame, Listener, Orphan, encode
from router.control.adoption import receive_orphan

LISTENERS = (Listener(5, "127.0.0.1:80"), Listener(6, "[::1]:80"))
ORPHAN = Orphan(71, 2, 9, LISTENERS)
DATA = encode(ORPHAN)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(10.0)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    made = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    yield made
    for sock in made:
        sock.close()


def fds(sockets: list[socket.socket]) -> list[int]:
    return [sock.fileno() for sock in sockets]


@pytest.mark.parametrize("cut", [1, 3, 4, 5, len(DATA) - 1, len(DATA)])
def test_frame_and_sockets_arrive_however_they_are_cut(
    ends: tuple[socket.socket, socket.socket], sockets: list[socket.socket], cut: int
) -> None:
    ours, theirs = ends

    def send() -> None:
        socket.send_fds(theirs, [DATA[:cut]], fds(sockets))
        theirs.sendall(DATA[cut:])

    sender = threading.Thread(target=send)
    sender.start()
    orphan, received = receive_orphan(ours)
    sender.join()
    assert orphan == ORPHAN
    assert [sock.getsockname() for sock in received] == [sock.getsockname() for sock in sockets]
    for sock in received:
        sock.close()


def test_what_follows_the_frame_is_left_for_the_link(
    ends: tuple[socket.socket, socket.socket], sockets: list[socket.socket]
) -> None:
    ours, theirs = ends
    socket.send_fds(theirs, [DATA + b"more"], fds(sockets))
    _, received = receive_orphan(ours)
    assert ours.recv(100) == b"more"
    for sock in received:
        sock.close()


@pytest.mark.parametrize(
    ("frame", "count", "complaint"),
    [
        (Applied(1), 2, "not Orphan"),
        (ORPHAN, 1, "2 sockets announced, 1 received"),
        (Orphan(71, 0, 1, ()), 2, "0 sockets announced, 2 received"),
    ],
)
def test_wrong_words_are_refused_and_their_sockets_closed(
    ends: tuple[socket.socket, socket.socket],
    sockets: list[socket.socket],
    frame: Frame,
    count: int,
    complaint: str,
) -> None:
    ours, theirs = ends
    socket.send_fds(theirs, [encode(frame)], fds(sockets)[:count])
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ValueError, match=complaint):
        receive_orphan(ours)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_an_oversized_or_torn_frame_is_refused(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(DATA[:10])
    theirs.close()
    with pytest.raises(ConnectionResetError):
        receive_orphan(ours)


def test_silence_is_not_waited_for_long(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = ends
    ours.settimeout(0.1)
    with pytest.raises(TimeoutError):
        receive_orphan(ours)
