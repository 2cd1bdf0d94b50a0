"""The sinks: where pairs are written. A new one is a file here that keeps this protocol."""

from typing import Protocol


class Sink(Protocol):
    """Takes encoded pairs. Called from one thread, `settle` from another that may wait on the disk."""

    def write(self, deployment: str, lines: list[bytes], now: float) -> None:
        """Appends the lines, all or none; `now` is seconds since the epoch. Raises OSError when it cannot."""

    def rotate(self, now: float) -> None:
        """Ends what has become too old."""

    def settle(self) -> None:
        """Makes what was written before this call durable. Raises OSError when it cannot."""

    def close(self) -> None:
        """Ends and settles everything."""
