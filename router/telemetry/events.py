"""Events that are rare enough to be counted by name: what there is to count, and who adds it up in a process. Floor 1.

Names and labels are part of what the program promises; the exposition shows all of EVENTS, and nothing else.
"""

from typing import NamedTuple


class Event(NamedTuple):
    """A counter: the metric's name, the labels that its counts have, and what it counts, in a sentence."""

    name: str
    labels: tuple[str, ...]
    says: str


FALLBACKS = Event(
    "router_fallbacks_total",
    ("deployment", "version"),
    "Requests the stable version answered because the candidate could not.",
)
RETRIES = Event("router_retries_total", ("deployment", "version"), "Requests sent to an endpoint once more.")
CAPTURES_DROPPED = Event(
    "router_captures_dropped_total",
    ("deployment", "reason"),
    "Captured exchanges that were not kept, by reason.",
)
COPIES_DROPPED = Event(
    "router_copies_dropped_total",
    ("deployment", "version", "reason"),
    "Copies that were not sent to a shadow, by reason.",
)
OWN_ERRORS = Event("router_router_errors_total", ("error",), "Answers the router gave itself, by error.")
CONNECTIONS_REFUSED = Event(
    "router_connections_refused_total",
    ("reason",),
    "Client connections that were turned away, by reason.",
)
LINES_DROPPED = Event(
    "router_access_lines_dropped_total",
    ("reason",),
    "Lines of the access log that were not written, by reason.",
)
SPANS_DROPPED = Event(
    "router_spans_dropped_total", ("reason",), "Spans that did not reach the collector, by reason."
)

EVENTS = (
    FALLBACKS, RETRIES, CAPTURES_DROPPED, COPIES_DROPPED, OWN_ERRORS, CONNECTIONS_REFUSED, LINES_DROPPED,
    SPANS_DROPPED,
)  # fmt: skip


class EventCounter:
    """What one process counted: by the name of the metric, and the values of its labels in their order."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[tuple[str, ...], int] = {}

    def add(self, event: Event, *labels: str, by: int = 1) -> None:
        key = (event.name, *labels)
        self.counts[key] = self.counts.get(key, 0) + by
