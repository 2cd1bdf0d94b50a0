"""A server in a process of its own that begins every answer with a given head and then sends without end."""

import asyncio
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CHUNK = b"10000\r\n" + bytes(65536) + b"\r\n"


@asynccontextmanager
async def flood(head: bytes) -> AsyncIterator[str]:
    """Its URL, while it runs."""
    command = (sys.executable, "-m", __name__, head.hex())
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


def _answer(connection: socket.socket, head: bytes) -> None:
    try:
        while connection.recv(65536):
            connection.sendall(head)
            while True:
                connection.sendall(CHUNK)
    except OSError:
        connection.close()


def main() -> None:
    """Until killed."""
    head = bytes.fromhex(sys.argv[1])
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_answer, args=(connection, head), daemon=True).start()


if __name__ == "__main__":
    main()
