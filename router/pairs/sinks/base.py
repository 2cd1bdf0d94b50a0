"""What every sink beside the file shares: its settings, and what delivering means.

A record is one line of the pair log (`pairs.pair`), so it is redacted as the file is.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Protocol

from pydantic import AfterValidator, Field

from router.spec import Duration, Size, Spec

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Undelivered(Exception):
    """The other side could not take the records now; they are sent again later. The text says why."""


class Unacceptable(Exception):
    """The other side will never take these records as they are; sending them again is of no use."""


class Courier(Protocol):
    """Carries records to one receiver."""

    async def deliver(self, records: Sequence[bytes]) -> None:
        """Returns when the receiver has all of them. Raises Undelivered or Unacceptable, and then any part of
        them may have arrived: receivers tell a repeated record by its id."""

    async def close(self) -> None:
        """Lets go of connections."""


def _check_name(name: str) -> str:
    if name and not _NAME.fullmatch(name):
        raise ValueError(
            "a name is made of letters, digits, dots, dashes and underscores, at most 63 of them"
        )
    return name


class BatchSpec(Spec):
    """When records leave: once there are so many, or so many bytes of them, or the first has waited so long."""

    records: int = Field(100, ge=1, le=10_000)
    size: Size = Field(1 << 20, ge=1)
    age: Duration = Field(1.0, le=3600.0)


class SinkSpec(Spec):
    """Settings of any sink. `queue` bounds what waits for the receiver, in bytes on disk and in memory."""

    tag: str
    name: Annotated[str, AfterValidator(_check_name)] = ""
    timeout: Duration = Field(5.0, gt=0)
    batch: BatchSpec = BatchSpec()
    queue: Size = Field(32 << 20, ge=1 << 16)

    @property
    def label(self) -> str:
        """What it is called in metrics and in its spool: its name, else its kind."""
        return self.name or self.tag

    def courier(self) -> Courier:
        """A new courier with these settings. Must be called in the event loop. Raises OSError when what it
        needs is not installed."""
        raise NotImplementedError(self.tag)

    def masked(self) -> dict[str, object]:
        """The settings as JSON-able data, secrets masked."""
        return self.model_dump(mode="json")
