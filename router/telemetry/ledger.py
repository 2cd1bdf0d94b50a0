"""All counts of the router in one place: the tallies of every worker and of the recorder, merged.

Floor 1. Tallies are cumulative per process, so the latest one replaces the one before. When a process is gone
its counts are folded into a base: no total ever goes backwards while the controller lives. Requests in flight
are of living workers only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from router.channel import Histogram, PairTally, RecorderTally, SeriesTally, Tally
from router.telemetry.counters import merge, quantile

SeriesKey = tuple[str, str, str]
"""Deployment, version, role (`live` or `shadow`)."""

PairKey = tuple[str, str, str]
"""Deployment, primary version, shadow version."""

_EMPTY = Histogram({}, 0.0)
_K = TypeVar("_K")

_FALLBACKS = "router_fallbacks_total"
"""The event that counts, by (deployment, version), the requests a version could not answer."""


@dataclass(frozen=True, slots=True)
class SeriesTotals:
    """What all workers together counted for one (deployment, version, role); histograms in seconds."""

    codes: Mapping[int, int] = field(default_factory=dict)
    duration: Histogram = _EMPTY
    first_byte: Histogram = _EMPTY
    in_flight: int = 0

    @property
    def requests(self) -> int:
        return sum(self.codes.values())

    @property
    def errors(self) -> int:
        """Answers that are a fault of the version: status 500 and above."""
        return sum(count for code, count in self.codes.items() if code >= 500)


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


class Ledger:
    """Merges what workers and recorders count. A `source` is the identity of one process for its life."""

    def __init__(self) -> None:
        self._workers: dict[str, _Worker] = {}
        self._recorders: dict[str, _Recorder] = {}
        self._base = _Worker()
        self._recorder_base = _Recorder()

    def tally(self, source: str, tally: Tally) -> None:
        """A worker's counts have changed."""
        self._workers.setdefault(source, _Worker()).take(tally)

    def recorder_tally(self, source: str, tally: RecorderTally) -> None:
        """A recorder's counts have changed."""
        self._recorders.setdefault(source, _Recorder()).take(tally)

    def gone(self, source: str) -> None:
        """The process has ended: its counts stay, what it had in flight does not."""
        if (worker := self._workers.pop(source, None)) is not None:
            self._base = _Worker.merged((self._base, worker))
        if (recorder := self._recorders.pop(source, None)) is not None:
            self._recorder_base = _Recorder.merged((self._recorder_base, recorder))

    def series(self) -> dict[SeriesKey, SeriesTotals]:
        """Totals per (deployment, version, role)."""
        return self._totals(self._base, list(self._workers.values()))

    def events(self) -> dict[tuple[str, ...], int]:
        """The rare counters, by metric name and label values."""
        total: dict[tuple[str, ...], int] = {}
        for worker in (self._base, *self._workers.values()):
            _add_counts(total, worker.events)
        return total

    def pairs(self) -> dict[PairKey, PairTotals]:
        """Pairs per (deployment, primary, shadow)."""
        merged = self._recorded().pairs
        return {key: PairTotals(tally.verdicts, tally.fields) for key, tally in merged.items()}

    def dropped(self) -> dict[tuple[str, str], int]:
        """Captures the recorder could not keep, by (deployment, reason)."""
        return self._recorded().dropped

    def ejected(self) -> frozenset[str]:
        """Endpoint URLs that at least one living worker passes over now, after failures."""
        return frozenset(url for worker in self._workers.values() for url in worker.ejected)

    def summary(self, deployment: str) -> dict[str, VersionSummary]:
        """The numbers of each version that was ever counted, for people."""
        # Picked before they are merged: merging all histograms would take long with many deployments.
        base, *workers = (each.of(deployment) for each in (self._base, *self._workers.values()))
        series = self._totals(base, workers)
        pairs = {key: totals for key, totals in self.pairs().items() if key[0] == deployment}
        versions = {key[1] for key in series} | {key[2] for key in pairs}
        fallbacks = self._fallbacks(deployment)
        return {
            version: _summarize(version, series, pairs, fallbacks.get(version, 0))
            for version in sorted(versions | fallbacks.keys())
        }

    def _totals(self, base: "_Worker", workers: "list[_Worker]") -> dict[SeriesKey, SeriesTotals]:
        in_flight: dict[SeriesKey, int] = {}
        for worker in workers:
            for key, tally in worker.series.items():
                in_flight[key] = in_flight.get(key, 0) + tally.in_flight
        return {
            key: SeriesTotals(tally.codes, tally.duration, tally.first_byte, in_flight.get(key, 0))
            for key, tally in _Worker.merged((base, *workers)).series.items()
        }

    def _fallbacks(self, deployment: str) -> dict[str, int]:
        return {key[2]: count for key, count in self.events().items() if key[:2] == (_FALLBACKS, deployment)}

    def _recorded(self) -> "_Recorder":
        return _Recorder.merged((self._recorder_base, *self._recorders.values()))


class _Worker:
    """The latest counts of one worker, or the sum of several."""

    __slots__ = ("ejected", "events", "series")

    def __init__(self) -> None:
        self.series: dict[SeriesKey, SeriesTally] = {}
        self.events: dict[tuple[str, ...], int] = {}
        self.ejected: tuple[str, ...] = ()

    def take(self, tally: Tally) -> None:
        for series in tally.series:
            self.series[series.deployment, series.version, series.role] = series
        self.events.update(tally.events)
        self.ejected = tally.ejected

    def of(self, deployment: str) -> "_Worker":
        """The series of one deployment only."""
        picked = _Worker()
        picked.series = {key: tally for key, tally in self.series.items() if key[0] == deployment}
        return picked

    @classmethod
    def merged(cls, workers: "Iterable[_Worker]") -> "_Worker":
        total = cls()
        for worker in workers:
            for key, series in worker.series.items():
                known = total.series.get(key)
                total.series[key] = series if known is None else _add(known, series)
            _add_counts(total.events, worker.events)
        return total


class _Recorder:
    """The latest counts of one recorder, or the sum of several."""

    __slots__ = ("dropped", "pairs")

    def __init__(self) -> None:
        self.pairs: dict[PairKey, PairTally] = {}
        self.dropped: dict[tuple[str, str], int] = {}

    def take(self, tally: RecorderTally) -> None:
        for pair in tally.pairs:
            self.pairs[pair.deployment, pair.primary, pair.shadow] = pair
        self.dropped.update(tally.dropped)

    @classmethod
    def merged(cls, recorders: "Iterable[_Recorder]") -> "_Recorder":
        total = cls()
        for recorder in recorders:
            for key, pair in recorder.pairs.items():
                known = total.pairs.get(key)
                total.pairs[key] = pair if known is None else _add_pairs(known, pair)
            _add_counts(total.dropped, recorder.dropped)
        return total


def _add(one: SeriesTally, other: SeriesTally) -> SeriesTally:
    codes = dict(one.codes)
    _add_counts(codes, other.codes)
    return SeriesTally(
        one.deployment,
        one.version,
        one.role,
        codes,
        merge(one.duration, other.duration),
        merge(one.first_byte, other.first_byte),
        one.in_flight + other.in_flight,
    )


def _add_pairs(one: PairTally, other: PairTally) -> PairTally:
    verdicts, fields = dict(one.verdicts), dict(one.fields)
    _add_counts(verdicts, other.verdicts)
    _add_counts(fields, other.fields)
    return PairTally(one.deployment, one.primary, one.shadow, verdicts, fields)


def _add_counts(total: dict[_K, int], more: Mapping[_K, int]) -> None:
    for key, count in more.items():
        total[key] = total.get(key, 0) + count


def _summarize(
    version: str,
    series: Mapping[SeriesKey, SeriesTotals],
    pairs: Mapping[PairKey, PairTotals],
    fallbacks: int,
) -> VersionSummary:
    by_role = {role: totals for (_, name, role), totals in series.items() if name == version}
    live, shadow = by_role.get("live", SeriesTotals()), by_role.get("shadow", SeriesTotals())
    verdicts: dict[str, int] = {}
    for (_, primary, copied), totals in pairs.items():
        if copied == version != primary:
            _add_counts(verdicts, totals.verdicts)
    return VersionSummary(
        requests=live.requests + fallbacks,
        errors=live.errors + fallbacks,
        in_flight=live.in_flight + shadow.in_flight,
        p50=quantile(live.duration, 0.5),
        p95=quantile(live.duration, 0.95),
        shadow_requests=shadow.requests,
        shadow_errors=shadow.errors,
        shadow_p50=quantile(shadow.duration, 0.5),
        shadow_p95=quantile(shadow.duration, 0.95),
        agreement=PairTotals(verdicts, {}).agreement,
    )
