"""What workers tell of single requests, as part of a snapshot: the access log and traces.

Floor 2. Shares are of SHARE_PARTS.
"""

import msgspec


class AccessLog(msgspec.Struct, frozen=True):
    """Lines for a `sample` of all requests at `path` (or `stderr`), for all that failed where `failures` says so,
    and for the copies of those requests where `copies` does."""

    path: str
    sample: int
    failures: bool
    copies: bool


class Tracing(msgspec.Struct, frozen=True):
    """Spans to `endpoint`, for requests whose parent is sampled and a `sample` of those without a parent."""

    endpoint: str
    sample: int
    headers: dict[str, str]
    service: str


class Observing(msgspec.Struct, frozen=True):
    """Nothing by default."""

    access_log: AccessLog | None = None
    tracing: Tracing | None = None
