"""What a demo shows, as values: made from the traffic's log, the router's answers and the pair log."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from router.demo.traffic import Log, quantile
from router.pairs.stats import stats

RECENT = 2.0
"""Seconds over which the rate is shown."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, in epoch seconds, and the share of live answers set for each version in it."""

    start: float
    end: float
    shares: Mapping[str, float]


class Timeline:
    """Which shares were set when, as seen so far."""

    def __init__(self) -> None:
        self._changes: list[tuple[float, Mapping[str, float]]] = []

    def note(self, when: float, shares: Mapping[str, float]) -> None:
        """These shares are in force, since `when` if they are new."""
        if not self._changes or self._changes[-1][1] != shares:
            self._changes.append((when, shares))

    def spans(self, end: float) -> list[Span]:
        """All stretches up to `end`, oldest first."""
        ends = [*(when for when, _ in self._changes[1:]), end]
        return [
            Span(start, until, shares) for (start, shares), until in zip(self._changes, ends, strict=False)
        ]


@dataclass(frozen=True, slots=True)
class Measured:
    """How a share that was set came out: of `requests`, the version answered the fraction `share`."""

    wanted: float
    requests: int
    share: float


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

    def spread(self, known: float) -> float:
        """How far from the known ratio this one stays in 95 % of all runs."""
        return 1.96 * sqrt(known * (1.0 - known) / self.compared) if self.compared else 1.0


def agreement_in(directory: Path) -> Agreement:
    """What the pair log of one deployment says."""
    verdicts: Counter[str] = Counter()
    for version in stats(directory):
        verdicts.update(version.verdicts)
    return Agreement(verdicts.total(), verdicts["match"] + verdicts["mismatch"], verdicts["match"])


@dataclass(frozen=True, slots=True)
class Row:
    """One version: what its clients saw, and the copies it got. Latencies in seconds, None without answers."""

    version: str
    requests: int
    failed: int
    rate: float
    share_set: float
    share_measured: float
    p50: float | None
    p95: float | None
    copies: int


@dataclass(frozen=True, slots=True)
class Picture:
    """One moment of a demo.

    `progress` says which step it is at and what it waits for, `agreement` is the fraction of pairs that match so
    far, None without any.
    """

    elapsed: float
    phase: str
    progress: str
    rows: tuple[Row, ...]
    agreement: float | None
    events: tuple[str, ...]


def rows_of(log: Log, span: Span, copies: Mapping[str, int]) -> tuple[Row, ...]:
    """A row for each version; the measured share is that of the present stretch, which ends now."""
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
            quantile(latencies, 0.5),
            quantile(latencies, 0.95),
            copies.get(version, 0),
        )
        for version, share in sorted(span.shares.items())
        for latencies in [log.latencies(version)]
    )


def progress_of(deployment: dict[str, Any]) -> str:
    """`step 2 of 4, waits for …`, as far as there are steps."""
    step, steps = deployment["step"], deployment["steps"]
    place = f"step {step + 1} of {steps}, " if step < steps else ""
    return f"{place}waits for {deployment['waits_for']}"


def told(event: dict[str, Any], start: float) -> str:
    """An event in one line: `4.2 s  advance: progressing, v2 at 25 % (the hold is over)`."""
    why = f" ({event['why']})" if event.get("why") else ""
    at = float(event["when"]) - start
    return f"{at:5.1f} s  {event['what']}: {event['phase']}, share {100 * float(event['share']):.4g} %{why}"
