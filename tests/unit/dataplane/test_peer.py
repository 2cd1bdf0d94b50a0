"""What the kernel tells of the other end, asked about real sockets."""

import asyncio
import socket
import struct

from router.dataplane.peer import has_sent, hung_up, reset_on_close, silence, unread, unsent
from tests.support.workers import until


async def pair() -> tuple[asyncio.Transport, socket.socket]:
    """A transport over TCP that reads nothing, and its other end as a bare socket."""
    listening = socket.create_server(("127.0.0.1", 0))
    other = socket.create_connection(listening.getsockname())
    ours, _ = listening.accept()
    listening.close()
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    transport.pause_reading()
    return transport, other


async def test_a_hang_up_is_seen_behind_what_lies_unread() -> None:
    transport, other = await pair()
    other.sendall(b"unread")
    assert not hung_up(transport)
    other.close()
    await until(lambda: hung_up(transport))
    transport.abort()


async def test_what_the_other_end_has_not_taken_gets_less_as_it_reads() -> None:
    transport, other = await pair()
    assert unsent(transport) == 0
    transport.write(bytes(20 << 20))
    await asyncio.sleep(0.1)
    before = unsent(transport)
    assert 0 < before <= 20 << 20
    taken = 0
    while taken < 10 << 20:
        taken += len(await asyncio.to_thread(other.recv, 1 << 20))
    await until(lambda: unsent(transport) < before)
    transport.abort()
    other.close()


async def test_what_the_other_end_has_sent_is_seen_before_it_is_read() -> None:
    transport, other = await pair()
    transport.pause_reading()
    assert not has_sent(transport)
    other.send(b"x")
    await until(lambda: has_sent(transport))
    transport.abort()
    other.close()


async def test_silence_is_measured_from_the_last_byte() -> None:
    transport, other = await pair()
    other.send(b"x")
    await until(lambda: silence(transport) > 0.1)
    other.send(b"x")
    await until(lambda: silence(transport) < 0.1)
    transport.abort()
    other.close()


async def test_what_came_before_a_reset_can_be_read_after_it() -> None:
    transport, other = await pair()
    transport.pause_reading()
    assert list(unread(transport)) == []
    other.send(b"answer")
    await until(lambda: has_sent(transport))
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    other.close()
    assert list(unread(transport)) == [b"answer"]
    transport.abort()


async def test_a_reset_is_one() -> None:
    transport, other = await pair()
    reset_on_close(transport)
    transport.abort()
    other.settimeout(5)
    try:
        ended = await asyncio.to_thread(other.recv, 1)
    except ConnectionResetError:
        ended = b"reset"
    assert ended == b"reset"
    other.close()
