"""What the recorder counts: pairs by verdict, cohort and slice, their scores, where they differ, and what was
dropped. Cumulative, bounded, and cheap: one dictionary look-up and an addition for each row a pair counts in."""

from collections.abc import Iterator
from math import log, log1p
from typing import NamedTuple

from router.channel import PairTally, RecorderTally, ScoreSums
from router.pairs.details import Details, count_fields, field
from router.pairs.pair import Pair
from router.pairs.slices import Values
from router.telemetry.grid import GRID

MAX_COHORTS = 4
"""Newest cohorts of two versions that are counted apart. A pair of an older one, whose halves waited for each
other that long, counts as no evidence (cohort 0)."""

_LOGS = tuple(log(rho) for rho in GRID)
_BETS = tuple(rho - 1.0 for rho in GRID)

Terms = tuple[float, tuple[float, ...], tuple[float, ...]]
"""A score, and the logarithms that it and its loss add."""


class Series(NamedTuple):
    """The versions whose pairs are counted together."""

    deployment: str
    primary: str
    shadow: str


def terms_of(score: float) -> Terms:
    """What a score between 0 and 1 adds to `channel.ScoreSums`."""
    loss = 1.0 - score
    return score, tuple(log1p(bet * score) for bet in _BETS), tuple(log1p(bet * loss) for bet in _BETS)


class _Row:
    """Counts of one (cohort, slice). Most scores are 1, and many of the others 0: these are only counted."""

    __slots__ = (
        "_between",
        "_log_losses",
        "_log_scores",
        "_ones",
        "_squares",
        "_total",
        "_zeros",
        "verdicts",
    )

    def __init__(self) -> None:
        self.verdicts: dict[str, int] = {}
        self._ones = self._zeros = self._between = 0
        self._total = self._squares = 0.0
        self._log_scores = self._log_losses = (0.0,) * len(GRID)

    def add(self, verdict: str, terms: Terms | None) -> None:
        self.verdicts[verdict] = self.verdicts.get(verdict, 0) + 1
        if terms is None:
            return
        score, log_scores, log_losses = terms
        if score == 1.0:
            self._ones += 1
        elif score == 0.0:
            self._zeros += 1
        else:
            self._between += 1
            self._total += score
            self._squares += score * score
            self._log_scores = tuple(map(float.__add__, self._log_scores, log_scores))
            self._log_losses = tuple(map(float.__add__, self._log_losses, log_losses))

    def scores(self) -> ScoreSums | None:
        n = self._ones + self._zeros + self._between
        if not n:
            return None
        return ScoreSums(
            n,
            self._total + self._ones,
            self._squares + self._ones,
            tuple(known + self._ones * each for known, each in zip(self._log_scores, _LOGS, strict=True)),
            tuple(known + self._zeros * each for known, each in zip(self._log_losses, _LOGS, strict=True)),
        )


class _Counts:
    """Everything of one series: rows by cohort and slice, fields by cohort, details over all."""

    __slots__ = ("changed", "cohorts", "details", "fields", "values")

    def __init__(self) -> None:
        self.cohorts: dict[int, dict[str, _Row]] = {}
        self.fields: dict[int, dict[str, int]] = {}
        self.details = Details()
        self.values = Values()
        self.changed: set[tuple[int, str]] = set()

    def cohort(self, number: int) -> int:
        """The cohort to count under: this one, or 0 where it is over; makes room for a new one."""
        if number in self.cohorts or number == 0:
            return number
        known = sorted(self.cohorts.keys() - {0})
        if len(known) < MAX_COHORTS:
            return number
        if number < known[0]:
            return 0
        del self.cohorts[known[0]]
        self.fields.pop(known[0], None)
        self.changed = {key for key in self.changed if key[0] != known[0]}
        return number


class Tallies:
    """Counts since this process started. `frame` gives what changed of them, each row in full."""

    def __init__(self) -> None:
        self._series: dict[Series, _Counts] = {}
        self._dropped: dict[tuple[str, str], int] = {}
        self._changed: set[Series] = set()
        self._told = True

    def pair(self, pair: Pair) -> None:
        """Counts a pair that was compared; each field once, however often it differs in this pair."""
        series = Series(pair.deployment, pair.primary.version, pair.shadow.version)
        counts = self._series.get(series)
        if counts is None:
            counts = self._series[series] = _Counts()
        self._changed.add(series)
        self._told = False
        cohort = counts.cohort(pair.cohort)
        rows = counts.cohorts.setdefault(cohort, {})
        terms = None if pair.score is None else _terms(pair.score)
        for name in ("", *counts.values.rows(pair.slices)) if pair.slices else ("",):
            row = rows.get(name)
            if row is None:
                row = rows[name] = _Row()
            row.add(pair.verdict, terms)
            counts.changed.add((cohort, name))
        self._detail(pair, cohort, counts)

    def drop(self, deployment: str, reason: str, count: int = 1) -> None:
        """Counts captures that could not be kept."""
        self._told = False
        key = (deployment, reason)
        self._dropped[key] = self._dropped.get(key, 0) + count

    def frame(self) -> RecorderTally | None:
        """What changed since the last call, or None when nothing did."""
        if self._told:
            return None
        self._told = True
        changed, self._changed = self._changed, set()
        pairs = tuple(row for series in sorted(changed) for row in _rows(series, self._series[series]))
        details = tuple(self._series[series].details.detail(*series) for series in sorted(changed))
        return RecorderTally(pairs, tuple(self._dropped.items()), details)

    def _detail(self, pair: Pair, cohort: int, counts: _Counts) -> None:
        if pair.verdict == "mismatch":
            fields = {field(each.at) for each in pair.differences}
            count_fields(counts.fields.setdefault(cohort, {}), fields)
            counts.details.differ(pair.id, pair.time, fields)
        if pair.labels is not None:
            counts.details.label(*pair.labels)
        if pair.values is not None:
            counts.details.value(*pair.values)


_NOTHING = (0.0,) * len(GRID)
_MATCH: Terms = (1.0, _NOTHING, _NOTHING)
_MISS: Terms = (0.0, _NOTHING, _NOTHING)


def _terms(score: float) -> Terms:
    if score >= 1.0:
        return _MATCH
    return terms_of(score) if score > 0.0 else _MISS


def _rows(series: Series, counts: _Counts) -> Iterator[PairTally]:
    changed, counts.changed = counts.changed, set()
    for cohort, name in sorted(changed):
        row = counts.cohorts[cohort][name]
        fields = {} if name else dict(counts.fields.get(cohort, {}))
        yield PairTally(*series, dict(row.verdicts), fields, cohort, name, row.scores())
