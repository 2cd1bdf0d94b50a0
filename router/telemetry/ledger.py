"""All counts of the router in one place: the tallies of every worker and of the recorder, merged.

Floor 1. Tallies are cumulative per process, so the latest one replaces the one before. When a process is gone
its counts are folded into a base: no total ever goes backwards while the controller lives. What it knows of workers
that are gone can be handed to the next one (`ended`, `restore`). Requests in flight are of living workers only.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from msgspec.structs import replace

from router.channel import Histogram, PairDetail, PairTally, RecorderTally, SeriesTally, Tally
from router.telemetry.counters import merge, quantile
from router.telemetry.pairing import PairCounts, PairKey

SeriesKey = tuple[str, str, str]
"""Deployment, version, role (`live` or `shadow`)."""

_EMPTY = Histogram({}, 0.0)
_K = TypeVar("_K")


@dataclass(frozen=True, slots=True)
class SeriesTotals:
    """What all workers together counted for one (deployment, version, role), over all cohorts and slices;
    histograms in seconds. `fallbacks` are requests that another version answered for this one, in no `codes`;
    `broken` are answers broken off after their head, which are in them."""

    codes: Mapping[int, int] = field(default_factory=dict)
    duration: Histogram = _EMPTY
    first_byte: Histogram = _EMPTY
    in_flight: int = 0
    fallbacks: int = 0
    broken: int = 0

    @property
    def requests(self) -> int:
        """Requests this version was given, those that it could not answer included."""
        return sum(self.codes.values()) + self.fallbacks

    @property
    def errors(self) -> int:
        """Requests that failed by a fault of the version: status 500 and above, no answer, or half of one."""
        failed = sum(count for code, count in self.codes.items() if code >= 500)
        return min(failed + self.broken + self.fallbacks, self.requests)


_NOTHING = SeriesTotals()


@dataclass(frozen=True, slots=True)
class PairTotals:
    """Pairs of one (deployment, primary, shadow): counts by verdict, and differences by JSON pointer."""

    verdicts: Mapping[str, int]
    fields: Mapping[str, int]

    @property
    def agreement(self) -> float | None:
        """Matches among the pairs that could be compared; None while there are none.

        Incomparable pairs (an error, a missing half) are outcomes of their own, in `verdicts`.
        """
        match, mismatch = self.verdicts.get("match", 0), self.verdicts.get("mismatch", 0)
        return match / (match + mismatch) if match + mismatch else None


@dataclass(frozen=True, slots=True)
class SinkTotals:
    """Pairs given to one sink: delivered, dropped by reason, waiting in a living recorder; and what troubles it."""

    delivered: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    error: str = ""

    def plus(self, other: "SinkTotals") -> "SinkTotals":
        dropped = dict(self.dropped)
        _add_counts(dropped, other.dropped)
        return SinkTotals(
            self.delivered + other.delivered,
            dropped,
            self.waiting + other.waiting,
            other.error or self.error,
        )


@dataclass(frozen=True, slots=True)
class VersionSummary:
    """The numbers a person wants to see of one version; times in seconds, None without observations.

    A request that fell back counts for the version that could not answer it, as its error, and for the one that
    did.

    `agreement` is with the versions that answered while this one got copies. How often a version disagrees
    with itself (noise) is no part of it: that is in `Ledger.pairs`, with the version on both sides.
    """

    requests: int
    errors: int
    in_flight: int
    p50: float | None
    p95: float | None
    shadow_requests: int
    shadow_errors: int
    shadow_p50: float | None
    shadow_p95: float | None
    agreement: float | None


class Listener(Protocol):
    """Whoever needs counts as they come, and not only their sum: evidence is one."""

    def tally(self, source: str, tally: Tally) -> None: ...

    def recorder_tally(self, source: str, tally: RecorderTally) -> None: ...

    def gone(self, source: str) -> None: ...


class Ledger:
    """Merges what workers and recorders count. A `source` is the identity of one process for its life."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._workers: dict[str, _Worker] = {}
        self._recorders: dict[str, _Recorder] = {}
        self._base: dict[SeriesKey, SeriesTotals] = {}
        self._base_events: dict[tuple[str, ...], int] = {}
        self._recorder_base = _Recorder()

    def listen(self, listener: Listener) -> None:
        """It is told all that comes from now on; `rows` has what came before."""
        self._listeners.append(listener)

    def tally(self, source: str, tally: Tally) -> None:
        """A worker's counts have changed."""
        self._workers.setdefault(source, _Worker()).take(tally)
        for listener in self._listeners:
            listener.tally(source, tally)

    def recorder_tally(self, source: str, tally: RecorderTally) -> None:
        """A recorder's counts have changed."""
        self._recorders.setdefault(source, _Recorder()).take(tally)
        for listener in self._listeners:
            listener.recorder_tally(source, tally)

    def gone(self, source: str) -> None:
        """The process has ended: its counts stay, what it had in flight does not."""
        for listener in self._listeners:
            listener.gone(source)
        if (worker := self._workers.pop(source, None)) is not None:
            for rows in worker.rows.values():
                _add_rows(self._base, [replace(row, in_flight=0) for row in rows.values()])
            _add_counts(self._base_events, worker.events)
        if (recorder := self._recorders.pop(source, None)) is not None:
            recorder.rest()
            self._recorder_base = _Recorder.merged((self._recorder_base, recorder))

    def ended(self) -> Tally:
        """What all workers that are gone had counted, over all cohorts and slices."""
        rows = tuple(
            SeriesTally(
                *key,
                dict(each.codes),
                each.duration,
                each.first_byte,
                0,
                fallbacks=each.fallbacks,
                broken=each.broken,
            )
            for key, each in self._base.items()
        )
        return Tally(rows, tuple(self._base_events.items()))

    def restore(self, ended: Tally) -> None:
        """Counts in what workers of an earlier ledger had counted that are gone; nobody who listens is told."""
        _add_rows(self._base, [replace(row, in_flight=0) for row in ended.series])
        _add_counts(self._base_events, dict(ended.events))

    def series(self) -> dict[SeriesKey, SeriesTotals]:
        """Totals per (deployment, version, role)."""
        total = dict(self._base)
        for worker in self._workers.values():
            for rows in worker.rows.values():
                _add_rows(total, rows.values())
        return total

    def rows(self, deployment: str) -> Iterator[tuple[str, SeriesTally]]:
        """Every row that a living worker told of a deployment last, with the worker's name."""
        for source, worker in self._workers.items():
            for row in worker.rows.get(deployment, {}).values():
                yield source, row

    def events(self) -> dict[tuple[str, ...], int]:
        """The rare counters, by metric name and label values."""
        total = dict(self._base_events)
        for worker in self._workers.values():
            _add_counts(total, worker.events)
        return total

    def pairs(self) -> dict[PairKey, PairTotals]:
        """Pairs per (deployment, primary, shadow)."""
        merged = self._recorded().pairs.totals()
        return {key: PairTotals(tally.verdicts, tally.fields) for key, tally in merged.items()}

    def compared(self, deployment: str) -> tuple[list[PairTally], list[PairDetail]]:
        """The rows and the details of a deployment's pairs since this controller started."""
        pairs = self._recorded().pairs
        return pairs.rows(deployment), pairs.details(deployment)

    def dropped(self) -> dict[tuple[str, str], int]:
        """Captures the recorder could not keep, by (deployment, reason)."""
        return self._recorded().dropped

    def sinks(self) -> dict[str, SinkTotals]:
        """What became of the pairs given to each sink beside the file, by its label."""
        return self._recorded().sinks

    def ejected(self) -> frozenset[str]:
        """Endpoint URLs that at least one living worker passes over now, after failures."""
        return frozenset(url for worker in self._workers.values() for url in worker.ejected)

    def summary(self, deployment: str) -> dict[str, VersionSummary]:
        """The numbers of each version that was ever counted, for people."""
        sums: dict[tuple[str, str], _Sum] = {}
        for (name, version, role), totals in self._base.items():
            if name == deployment:
                sums.setdefault((version, role), _Sum()).add(totals)
        for _, row in self.rows(deployment):
            sums.setdefault((row.version, row.role), _Sum()).add(row)
        verdicts: dict[str, dict[str, int]] = {}
        for recorder in (self._recorder_base, *self._recorders.values()):
            for pair in recorder.pairs.rows(deployment):
                known = verdicts.setdefault(pair.shadow, {})
                if pair.primary != pair.shadow and not pair.slice:  # slices count pairs again
                    _add_counts(known, pair.verdicts)
        versions = {version for version, _ in sums} | verdicts.keys()
        return {
            version: _summarize(
                sums.get((version, "live"), _Sum()).totals(),
                sums.get((version, "shadow"), _Sum()).totals(),
                verdicts.get(version, {}),
            )
            for version in sorted(versions)
        }

    def _recorded(self) -> "_Recorder":
        return _Recorder.merged((self._recorder_base, *self._recorders.values()))


class _Worker:
    """The latest counts of one worker; its rows by deployment, then by version, role, cohort and slice."""

    __slots__ = ("ejected", "events", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, dict[tuple[str, str, int, str], SeriesTally]] = {}
        self.events: dict[tuple[str, ...], int] = {}
        self.ejected: tuple[str, ...] = ()

    def take(self, tally: Tally) -> None:
        for row in tally.series:
            rows = self.rows.setdefault(row.deployment, {})
            key = (row.version, row.role, row.cohort, row.slice)
            if row.cohort and not (row.codes or row.in_flight or row.fallbacks or row.broken):
                rows.pop(
                    key, None
                )  # folded into cohort 0: without end they would be one more with each rollback
            else:
                rows[key] = row
        self.events.update(tally.events)
        self.ejected = tally.ejected


class _Recorder:
    """The latest counts of one recorder, or the sum of several."""

    __slots__ = ("dropped", "pairs", "sinks")

    def __init__(self) -> None:
        self.pairs = PairCounts()
        self.dropped: dict[tuple[str, str], int] = {}
        self.sinks: dict[str, SinkTotals] = {}

    def rest(self) -> None:
        """The process is gone: what waited in it is the next one's, and nothing troubles it any more."""
        self.sinks = {
            name: SinkTotals(totals.delivered, totals.dropped) for name, totals in self.sinks.items()
        }

    def take(self, tally: RecorderTally) -> None:
        self.pairs.take(tally)
        self.dropped.update(tally.dropped)
        self.sinks = {}
        for sink in tally.sinks:
            totals = SinkTotals(sink.delivered, sink.dropped, sink.waiting, sink.error)
            self.sinks[sink.sink] = self.sinks.get(sink.sink, SinkTotals()).plus(totals)

    @classmethod
    def merged(cls, recorders: "Iterable[_Recorder]") -> "_Recorder":
        total = cls()
        recorders = tuple(recorders)
        total.pairs = PairCounts.merged(recorder.pairs for recorder in recorders)
        for recorder in recorders:
            _add_counts(total.dropped, recorder.dropped)
            for name, totals in recorder.sinks.items():
                total.sinks[name] = total.sinks.get(name, SinkTotals()).plus(totals)
        return total


def _add_rows(total: dict[SeriesKey, SeriesTotals], rows: Iterable[SeriesTally]) -> None:
    for row in rows:
        key = (row.deployment, row.version, row.role)
        known = total.get(key, _NOTHING)
        codes = dict(known.codes)
        _add_counts(codes, row.codes)
        total[key] = SeriesTotals(
            codes,
            merge(known.duration, row.duration),
            merge(known.first_byte, row.first_byte),
            known.in_flight + row.in_flight,
            known.fallbacks + row.fallbacks,
            known.broken + row.broken,
        )


def _add_counts(total: dict[_K, int], more: Mapping[_K, int]) -> None:
    for key, count in more.items():
        total[key] = total.get(key, 0) + count


class _Sum:
    """What is shown of one version in one role, added up in place: a list of deployments asks for many of them."""

    __slots__ = ("_broken", "_codes", "_duration", "_fallbacks", "_in_flight")

    def __init__(self) -> None:
        self._codes: dict[int, int] = {}
        self._duration: dict[int, int] = {}
        self._in_flight = self._fallbacks = self._broken = 0

    def add(self, more: SeriesTotals | SeriesTally) -> None:
        _add_counts(self._codes, more.codes)
        _add_counts(self._duration, more.duration.counts)
        self._in_flight += more.in_flight
        self._fallbacks += more.fallbacks
        self._broken += more.broken

    def totals(self) -> SeriesTotals:
        """Without the first bytes and the sum of the durations."""
        return SeriesTotals(
            self._codes,
            Histogram(self._duration, 0.0),
            _EMPTY,
            self._in_flight,
            self._fallbacks,
            self._broken,
        )


def _summarize(live: SeriesTotals, shadow: SeriesTotals, verdicts: Mapping[str, int]) -> VersionSummary:
    return VersionSummary(
        requests=live.requests,
        errors=live.errors,
        in_flight=live.in_flight + shadow.in_flight,
        p50=quantile(live.duration, 0.5),
        p95=quantile(live.duration, 0.95),
        shadow_requests=shadow.requests,
        shadow_errors=shadow.errors,
        shadow_p50=quantile(shadow.duration, 0.5),
        shadow_p95=quantile(shadow.duration, 0.95),
        agreement=PairTotals(verdicts, {}).agreement,
    )
