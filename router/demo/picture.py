"""What a demo shows, as values: made from the traffic's log, the router's answers and the pair log."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from router.demo.traffic import Log, quantile
from router.pairs.stats import stats

RECENT = 2.0
"""Seconds over which the rate is shown."""

EDGE = 0.1
"""Seconds around a change of shares that are left out: what begins there may be routed by either."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, in epoch seconds, and the share of live answers set for each version in it."""

    start: float
    end: float
    shares: Mapping[str, float]


class Timeline:
    """Which shares were set when, as far as one who looks now and then can tell."""

    def __init__(self) -> None:
        self._changes: list[tuple[float, float, Mapping[str, float]]] = []
        self._seen = 0

    def note(self, events: Sequence[Mapping[str, Any]], shares: Mapping[str, float]) -> None:
        """One look: the last events, newest first, and the shares they led to.

        Of several events since the look before, only the last one's shares are known: from the first of them to
        the last nothing is told.
        """
        new = [event for event in events if event["id"] > self._seen]
        if not new:
            return
        self._seen = new[0]["id"]
        if len(new) > 1 or not self._changes or shares != self._changes[-1][2]:
            self._changes.append((new[-1]["when"], new[0]["when"], shares))

    def spans(self, end: float) -> list[Span]:
        """All stretches up to `end`, oldest first, without the edges between them."""
        spans = []
        for number, (_, start, shares) in enumerate(self._changes):
            begin = start + EDGE if number else start
            last = number + 1 == len(self._changes)
            until = end if last else self._changes[number + 1][0] - EDGE
            spans.append(Span(begin, max(begin, until), shares))
        return spans

    def present(self, now: float, shares: Mapping[str, float]) -> Span:
        """The stretch that lasts now; an empty one with these shares before anything was noted."""
        spans = self.spans(now)
        return spans[-1] if spans else Span(now, now, shares)


@dataclass(frozen=True, slots=True)
class Measured:
    """How a share that was set came out: of `requests`, the version answered the fraction `share`."""

    wanted: float
    requests: int
    share: float


def spread(fraction: float, count: int) -> float:
    """How far a fraction found in `count` draws stays from the true one in 95 % of all runs."""
    return 1.96 * sqrt(fraction * (1.0 - fraction) / count) if count else 1.0


def measure(log: Log, span: Span, version: str) -> Measured:
    counts = log.begun_between(span.start, span.end)
    total = counts.total()
    return Measured(span.shares.get(version, 0.0), total, counts[version] / total if total else 0.0)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of `compared` pairs in the log, `matched` were alike; `pairs` counts those that could not be compared too."""

    pairs: int
    compared: int
    matched: int


def agreement_in(directory: Path) -> Agreement:
    """What the pair log of one deployment says."""
    verdicts: Counter[str] = Counter()
    for version in stats(directory):
        verdicts.update(version.verdicts)
    return Agreement(verdicts.total(), verdicts["match"] + verdicts["mismatch"], verdicts["match"])


@dataclass(frozen=True, slots=True)
class Row:
    """One version: what its clients saw, and the copies it got. Latencies in seconds, None without answers.

    `counted` is the number of requests to all versions behind `share_measured`.
    """

    version: str
    requests: int
    failed: int
    rate: float
    share_set: float
    share_measured: float
    counted: int
    p50: float | None
    p95: float | None
    copies: int
    copies_p50: float | None


@dataclass(frozen=True, slots=True)
class Picture:
    """One moment of a demo.

    `place` says which step it is at. `agreement` is the fraction of the pairs that match so far, None without any;
    `pairs` counts the copies they are made of. `events` are the last of `total_events`, oldest first.
    """

    elapsed: float
    phase: str
    place: str
    waits_for: str
    rows: tuple[Row, ...]
    agreement: float | None
    pairs: int
    events: tuple[str, ...]
    total_events: int


def rows_of(log: Log, span: Span, evidence: Mapping[str, Mapping[str, Any]]) -> tuple[Row, ...]:
    """A row for each version; the measured share is that of the present stretch, which ends now.

    `evidence` is what the router counted: it alone knows of copies.
    """
    counted = log.begun_between(span.start, span.end)
    recent = log.begun_between(span.end - RECENT, span.end)
    return tuple(
        Row(
            version,
            log.answered[version],
            log.failed[version],
            recent[version] / RECENT,
            share,
            counted[version] / counted.total() if counted else 0.0,
            counted.total(),
            quantile(latencies, 0.5),
            quantile(latencies, 0.95),
            copies.get("shadow_requests", 0),
            copies.get("shadow_p50"),
        )
        for version, share in sorted(span.shares.items())
        for latencies, copies in [(log.latencies(version), evidence.get(version, {}))]
    )


def told(event: dict[str, Any], start: float, applied: Mapping[int, float]) -> str:
    """An event in one line: `4.2 s  advance: progressing, 25% (the hold is over)`.

    `applied` has the milliseconds until a generation was in force, where they are known.
    """
    took = applied.get(event["generation"])
    if took is not None:
        more = f", in force on every worker after {took:.1f} ms"
    else:
        more = f" ({event['why']})" if event["why"] else ""
    at = max(0.0, float(event["when"]) - start)  # the rollout began a moment before the traffic
    return f"{at:5.1f} s  {event['what']}: {event['phase']}, {100 * float(event['share']):.4g}%{more}"
