"""The last quarter of an hour of every deployment, so that a page opened now has charts. Floor 4, no I/O.

Every EVERY seconds the counts are looked at, and what came since the last look is one moment of each deployment.
Moments are kept as the JSON they are told in: a page that asks costs a copy. Of all deployments together at most MOST
are kept, so that the memory is bounded (25 MB where all are busy) however many there are: of many the line is shorter.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import msgspec

from router.channel import Histogram, SeriesTally
from router.telemetry.counters import merge, quantile
from router.telemetry.ledger import PairTotals, SeriesTotals
from router.telemetry.pairing import PairKey

EVERY = 3.0
"""Seconds between two looks."""

LEAST = 0.1
"""Seconds that a moment lasts at least: the wall clock may have been set back."""

KEPT = 300
"""Moments kept of a deployment: a quarter of an hour."""

MOST = 20_000
"""Moments kept of all deployments together."""

RECENT = 10
"""Moments that a pulse sums up: half a minute."""

LIVE, SHADOW = "live", "shadow"

RowKey = tuple[str, str, str, int, str]
"""Source, version, role, cohort, slice: what a row is cumulative over."""

_encode = msgspec.json.encode
_NOTHING = Histogram({}, 0.0)
_NEW = SeriesTally("", "", "", {}, _NOTHING, _NOTHING, 0)
"""What a row grew from that was not there at the last look, and where one ends that is no more."""

_NO_PAIRS: Mapping[PairKey, PairTotals] = {}


class Counted(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one version did in one moment; times in seconds, absent where nothing was observed."""

    requests: int
    errors: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    first_byte_p50: float | None = None
    first_byte_p95: float | None = None


class Moment(msgspec.Struct, frozen=True, omit_defaults=True):
    """What happened in the `seconds` before Unix time `at`: by version what it answered, what it did with copies, and
    (comparable, matching) pairs in which it was the copy."""

    at: float
    seconds: float
    live: dict[str, Counted] = {}
    copies: dict[str, Counted] = {}
    pairs: dict[str, tuple[int, int]] = {}


class Beat(msgspec.Struct, frozen=True):
    """One version in the last half minute: requests and errors a second, the latency that 95 % do not exceed."""

    rate: float
    errors: float
    p95: float | None


class Pulse(msgspec.Struct, frozen=True):
    """A deployment at a glance: its versions now, and of all moments kept the requests a second, oldest first, and
    how many pairs could be compared and matched."""

    versions: dict[str, Beat]
    line: list[float]
    compared: int
    matched: int


class Counts(Protocol):
    """The ledger, as far as it is looked at."""

    def rows(self, deployment: str) -> Iterable[tuple[str, SeriesTally]]:
        """Every row that a living worker told last, with the worker's name."""

    def pairs(self) -> Mapping[PairKey, PairTotals]:
        """Pairs per (deployment, primary, shadow)."""


class Trends:
    """The moments of every deployment."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._lines: dict[str, _Line] = {}
        self._looked = 0.0
        self._pairs = _NO_PAIRS

    def look(self, names: Iterable[str], at: float) -> Iterator[None]:
        """Takes what came since the last look, one deployment at a time, each within a millisecond: between two of
        them there is time for something else. `at` is Unix time, in seconds. Deployments no longer named are
        forgotten; of a new one the first look only notes where its counts stand."""
        names = list(names)
        pairs = self._counts.pairs()
        matched = _newly_compared(pairs, self._pairs)
        seconds = max(at - self._looked, LEAST)
        self._looked, self._pairs = at, pairs
        kept = max(1, min(KEPT, MOST // max(1, len(names))))
        self._lines = {name: self._lines.get(name) or _Line() for name in names}
        for name, line in self._lines.items():
            line.add(at, seconds, line.news(self._counts.rows(name)), matched.get(name, {}), kept)
            yield

    def moments(self, name: str, since: float = 0.0) -> list[msgspec.Raw]:
        """The moments of a deployment after Unix time `since`, oldest first, as JSON; none where it is unknown."""
        line = self._lines.get(name)
        return [] if line is None else [told for at, told in line.moments if at > since]

    def pulses(self) -> dict[str, Pulse]:
        """Every deployment at a glance."""
        return {name: line.pulse() for name, line in self._lines.items()}


class _Line:
    """One deployment's moments, and the rows of the last look."""

    def __init__(self) -> None:
        self.moments: deque[tuple[float, msgspec.Raw]] = deque()
        self._rates: deque[float] = deque()
        self._pairs: deque[tuple[int, int]] = deque()
        self._compared = self._matched = (
            0  # the sums of those pairs: a pulse is asked for more often than one is added
        )
        self._recent: deque[tuple[float, dict[tuple[str, str], SeriesTotals]]] = deque(maxlen=RECENT)
        self._rows: dict[RowKey, SeriesTally] | None = None

    def news(self, rows: Iterable[tuple[str, SeriesTally]]) -> dict[tuple[str, str], SeriesTotals] | None:
        """What came since the last look, by version and role; None at the first.

        A row that has not changed is the same object. One that was not there before began at zero: workers that an
        earlier controller left have told their counts long before the first look. One that a worker has no more is
        counted in another of its rows (`Runtime.fold`), so it ends at zero; a worker that is gone takes nothing back.
        """
        before = self._rows
        self._rows = {(source, row.version, row.role, row.cohort, row.slice): row for source, row in rows}
        if before is None:
            return None
        found: dict[tuple[str, str], SeriesTotals] = {}
        for key, row in self._rows.items():
            old = before.get(key, _NEW)
            if row is not old:
                place = (row.version, row.role)
                found[place] = _grown(found.get(place, SeriesTotals()), row, old)
        alive = {source for source, *_ in self._rows}
        for key in before.keys() - self._rows.keys():
            source, version, role, *_ = key
            if source in alive:
                place = (version, role)
                found[place] = _grown(found.get(place, SeriesTotals()), _NEW, before[key])
        return found

    def add(
        self,
        at: float,
        seconds: float,
        news: dict[tuple[str, str], SeriesTotals] | None,
        pairs: dict[str, tuple[int, int]],
        kept: int,
    ) -> None:
        if news is None:
            return
        by_role: dict[str, dict[str, Counted]] = {LIVE: {}, SHADOW: {}}
        for (version, role), totals in news.items():
            by_role[role][version] = _counted(totals)
        moment = Moment(round(at, 3), round(seconds, 3), by_role[LIVE], by_role[SHADOW], pairs)
        requests = sum(each.requests for each in moment.live.values())
        self.moments.append((moment.at, msgspec.Raw(_encode(moment))))
        compared, matched = (sum(each[side] for each in pairs.values()) for side in (0, 1))
        self._rates.append(round(requests / seconds, 2))
        self._pairs.append((compared, matched))
        self._compared += compared
        self._matched += matched
        self._recent.append((seconds, {key: each for key, each in news.items() if key[1] == LIVE}))
        while len(self.moments) > kept:
            self.moments.popleft()
            self._rates.popleft()
            compared, matched = self._pairs.popleft()
            self._compared -= compared
            self._matched -= matched

    def pulse(self) -> Pulse:
        seconds = sum(each for each, _ in self._recent)
        versions = {version for _, news in self._recent for version, _ in news}
        return Pulse(
            {version: self._beat(version, seconds) for version in sorted(versions)},
            list(self._rates),
            self._compared,
            self._matched,
        )

    def _beat(self, version: str, seconds: float) -> Beat:
        requests, errors = 0, 0
        durations: dict[int, int] = {}
        for _, news in self._recent:
            if (totals := news.get((version, LIVE))) is not None:
                requests, errors = requests + totals.requests, errors + totals.errors
                for bucket, count in totals.duration.counts.items():
                    durations[bucket] = durations.get(bucket, 0) + count
        p95 = quantile(Histogram(durations, 0.0), 0.95)
        return Beat(round(requests / seconds, 3), round(errors / seconds, 3), _micro(p95))


def _grown(total: SeriesTotals, row: SeriesTally, old: SeriesTally) -> SeriesTotals:
    """The total, and what a row has more than it had."""
    codes = dict(total.codes)
    for code in row.codes.keys() | old.codes.keys():
        codes[code] = codes.get(code, 0) + row.codes.get(code, 0) - old.codes.get(code, 0)
    return SeriesTotals(
        codes,
        merge(total.duration, _minus(row.duration, old.duration)),
        merge(total.first_byte, _minus(row.first_byte, old.first_byte)),
        0,
        total.fallbacks + row.fallbacks - old.fallbacks,
        total.broken + row.broken - old.broken,
    )


def _minus(now: Histogram, old: Histogram) -> Histogram:
    buckets = now.counts.keys() | old.counts.keys()
    more = {bucket: now.counts.get(bucket, 0) - old.counts.get(bucket, 0) for bucket in buckets}
    return Histogram({bucket: count for bucket, count in more.items() if count}, now.sum - old.sum)


def _counted(totals: SeriesTotals) -> Counted:
    at, first = totals.duration, totals.first_byte
    return Counted(
        totals.requests,
        totals.errors,
        _micro(quantile(at, 0.5)),
        _micro(quantile(at, 0.95)),
        _micro(quantile(at, 0.99)),
        _micro(quantile(first, 0.5)),
        _micro(quantile(first, 0.95)),
    )


def _micro(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _newly_compared(
    now: Mapping[PairKey, PairTotals], before: Mapping[PairKey, PairTotals]
) -> dict[str, dict[str, tuple[int, int]]]:
    """(Comparable, matching) pairs since the last look, by deployment and the version that got the copy. How often a
    version disagrees with itself is no part of it."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for key, totals in now.items():
        deployment, primary, shadow = key
        old = before.get(key)
        if primary == shadow or (old is None and before is _NO_PAIRS):
            continue
        match = totals.verdicts.get("match", 0) - (old.verdicts.get("match", 0) if old else 0)
        mismatch = totals.verdicts.get("mismatch", 0) - (old.verdicts.get("mismatch", 0) if old else 0)
        if match + mismatch > 0:
            versions = found.setdefault(deployment, {})
            compared, matched = versions.get(shadow, (0, 0))
            versions[shadow] = (compared + match + mismatch, matched + match)
    return found


def told(moments: list[msgspec.Raw]) -> dict[str, Any]:
    """How moments are shown."""
    return {"every": EVERY, "moments": moments}
