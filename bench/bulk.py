"""Both ends of large bodies: a model server that takes or gives so many bytes, and clients that do the other half.

    python -m bench.bulk serve PORT
    python -m bench.bulk load PORT PATH up|down BYTES CONNECTIONS

Plain blocking sockets with a thread a connection, so that most of the time is spent in the kernel and the proxy is what
is measured. Lengths are always known (`content-length`).
"""

import socket
import sys
import threading
from collections.abc import Callable

from bench.counting import tell

_PIECE = 256 << 10
_BLOCK = memoryview(bytes(_PIECE))


def read_head(connection: socket.socket, buffer: bytearray) -> tuple[bytes, int, int]:
    """The next head, the length of its body, and how much of that came with it. An empty head at the end."""
    head = b""
    while b"\r\n\r\n" not in head:
        got = connection.recv_into(buffer)
        if not got:
            return b"", 0, 0
        head += bytes(memoryview(buffer)[:got])
    end = head.index(b"\r\n\r\n") + 4
    at = head.lower().find(b"content-length:", 0, end)
    length = int(head[at + 15 : head.index(b"\r\n", at)]) if at >= 0 else 0
    return head[:end], length, len(head) - end


def read_body(connection: socket.socket, buffer: bytearray, left: int, count: Callable[[int], None]) -> None:
    """So many bytes, each piece counted. Raises ConnectionError when they end early."""
    while left:
        got = connection.recv_into(buffer, min(left, _PIECE))
        if not got:
            raise ConnectionError(f"{left} bytes are missing")
        count(got)
        left -= got


def write_body(connection: socket.socket, left: int, count: Callable[[int], None]) -> None:
    """So many bytes, each piece counted."""
    while left:
        piece = _BLOCK[: min(left, _PIECE)]
        connection.sendall(piece)
        count(len(piece))
        left -= len(piece)


def serve(port: int) -> None:
    """Until killed: `GET <path>/<bytes>` gives them; the body of anything else is taken."""
    server = socket.create_server(("127.0.0.1", port), backlog=256)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=_attend, args=(connection,), daemon=True).start()


def _attend(connection: socket.socket) -> None:
    buffer = bytearray(_PIECE)
    with connection:
        try:
            while True:
                head, length, got = read_head(connection, buffer)
                if not head:
                    return
                read_body(connection, buffer, length - got, lambda _: None)
                gives = head.startswith(b"GET")
                size = int(head.split(b" ", 2)[1].rpartition(b"/")[2]) if gives else 0
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
                write_body(connection, size, lambda _: None)
        except ConnectionError:
            pass  # the proxy has gone


class Traffic:
    """Clients that send or fetch bodies one after the other, and what they have done."""

    def __init__(self, port: int, path: str, size: int) -> None:
        self._port = port
        self._path = path
        self._size = size
        self.bytes = 0
        self.bodies = 0
        self.errors = 0

    def counts(self) -> dict[str, float]:
        """Bytes moved, whole bodies, and clients that failed."""
        return {"bytes": self.bytes, "bodies": self.bodies, "errors": self.errors}

    def client(self, direction: str) -> None:
        """Until it fails."""
        buffer = bytearray(_PIECE)
        try:
            with socket.create_connection(("127.0.0.1", self._port)) as connection:
                while True:
                    getattr(self, f"_{direction}")(connection, buffer)
                    self.bodies += 1
        except (OSError, ValueError):
            self.errors += 1

    def _up(self, connection: socket.socket, buffer: bytearray) -> None:
        head = f"POST {self._path} HTTP/1.1\r\nhost: bench\r\ncontent-length: {self._size}\r\n\r\n"
        connection.sendall(head.encode())
        write_body(connection, self._size, self._count)
        answer, length, got = read_head(connection, buffer)
        _expect_success(answer)
        read_body(connection, buffer, length - got, lambda _: None)

    def _down(self, connection: socket.socket, buffer: bytearray) -> None:
        connection.sendall(f"GET {self._path}/{self._size} HTTP/1.1\r\nhost: bench\r\n\r\n".encode())
        answer, length, got = read_head(connection, buffer)
        _expect_success(answer)
        self._count(got)
        read_body(connection, buffer, length - got, self._count)

    def _count(self, got: int) -> None:
        self.bytes += got


def _expect_success(head: bytes) -> None:
    if b" 200 " not in head[:16]:
        raise ValueError(f"the answer is {head[:40]!r}")


def main() -> None:
    """Entry point of `python -m bench.bulk`."""
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    port, path, direction, size, connections = sys.argv[2:7]
    traffic = Traffic(int(port), path, int(size))
    for _ in range(int(connections)):
        threading.Thread(target=traffic.client, args=(direction,), daemon=True).start()
    tell(traffic.counts)


if __name__ == "__main__":
    main()
