"""The sinks: where pairs are written. The file is always one (`jsonl`); others stand beside it.

A new one is a file here, with its settings and its courier, and a line below.
"""

from collections.abc import Iterable
from typing import Annotated, Protocol

from pydantic import Discriminator, TypeAdapter

from router.pairs.sinks.redis import RedisSink
from router.pairs.sinks.webhook import WebhookSink
from router.spec import OneKey

AnySink = Annotated[WebhookSink | RedisSink, Discriminator("tag"), OneKey()]
"""One sink beside the file, written `{kind: {settings}}`."""

_adapter: TypeAdapter[tuple[AnySink, ...]] = TypeAdapter(tuple[AnySink, ...])


class Sink(Protocol):
    """The file. Takes encoded pairs; called from one thread, `settle` from another that may wait on the disk."""

    def write(self, deployment: str, lines: list[bytes], now: float) -> None:
        """Appends the lines, all or none; `now` is seconds since the epoch. Raises OSError when it cannot."""

    def rotate(self, now: float) -> None:
        """Ends what has become too old."""

    def settle(self) -> None:
        """Makes what was written before this call durable. Raises OSError when it cannot."""

    def close(self) -> None:
        """Ends and settles everything."""


def encode_sinks(sinks: Iterable[AnySink]) -> bytes:
    """The settings for the recorder, secrets included; empty when there are none."""
    found = tuple(sinks)
    return _adapter.dump_json(found, round_trip=True) if found else b""


def decode_sinks(text: bytes) -> tuple[AnySink, ...]:
    """What `encode_sinks` made."""
    return _adapter.validate_json(text) if text else ()
