"""The end of a client's connection: the client has been told all there is, and has time to hear it.

A connection that is closed while its client still sends is reset, and the reset can destroy an answer that the client
has not read yet (RFC 9112 §9.6). So only the sending side is closed at first; what still comes is read and thrown
away, until the client closes as well, falls silent, or goes on for too long. TLS knows no such half: there the
transport itself says `close_notify` and reads on until the client has said so too, and it is the kernel that knows of
silence.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from router.dataplane.peer import silence, unsent

if TYPE_CHECKING:
    from router.dataplane.downstream import Downstream
    from router.dataplane.engine import Engine

LINGER = 1.0
"""Seconds without a byte from the client, after which its connection is closed."""

LONGEST = 30.0
"""Seconds for which a client may go on sending what nobody wants."""


class Leaving(asyncio.Protocol):
    """The protocol of a client connection from the last answer on; takes the transport over from `client`, which is
    told when it is gone.

    `longest` (seconds) bounds for how long the client may still send. What it was sent it may take as slowly as any
    answer: something of it within `limits.write_timeout`.
    """

    __slots__ = (
        "_client",
        "_engine",
        "_heard_until",
        "_taken_at",
        "_transport",
        "_unsent",
        "deadline",
        "slot",
    )

    def __init__(
        self, engine: Engine, client: Downstream, transport: asyncio.Transport, longest: float = LONGEST
    ) -> None:
        now = monotonic()
        self._engine = engine
        self._client = client
        self._transport = transport
        self._heard_until = now + longest
        self._taken_at = now
        self._unsent = unsent(transport)
        self.deadline = now + LINGER
        self.slot = -1
        transport.set_protocol(self)
        if not transport.can_write_eof():
            transport.close()
        elif not transport.is_closing():
            try:
                transport.write_eof()
            except OSError:  # the client has reset it, which asyncio's own loop tells here first
                transport.abort()
            else:
                transport.resume_reading()
        engine.wheel.watch(self)

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        self.deadline = min(monotonic() + LINGER, self._heard_until)

    def connection_lost(self, exc: Exception | None) -> None:
        self._engine.wheel.forget(self)
        self._client.connection_lost(exc)

    # Timed

    def on_deadline(self, now: float) -> None:
        """Silence, or enough of the noise: time to close, unless the client is still taking what it was sent."""
        transport, left = self._transport, unsent(self._transport)
        if left < self._unsent:
            self._unsent = left
            self._taken_at = now
        if left and now - self._taken_at < self._client.limits.write_timeout:
            self.deadline = now + LINGER
        elif not left and not transport.is_closing():
            transport.close()
            self.deadline = now + LINGER
        elif not left and now < self._heard_until and silence(transport) < LINGER:
            self.deadline = min(now + LINGER, self._heard_until)
        else:
            transport.abort()
