"""Pairs as recorders counted them: the latest rows of one, or the sum over several. Floor 1."""

from collections.abc import Iterable, Mapping
from typing import Self, TypeVar

from router.channel import FieldTally, PairDetail, PairTally, RecorderTally, ScoreSums, ValueSums
from router.telemetry.moments import merge

PairKey = tuple[str, str, str]
"""Deployment, primary version, shadow version."""

MAX_COHORTS = 16
"""Cohorts kept apart; older ones, which no recorder counts in any more, are added up under OLDER."""

OLDER = -1

_EXAMPLES = 3
_K = TypeVar("_K")
_Rows = dict[tuple[int, str], PairTally]
"""By cohort and slice."""


class PairCounts:
    """Tallies hold what changed, each row in full: the latest row replaces the one before."""

    __slots__ = ("_details", "_rows")

    def __init__(self) -> None:
        self._rows: dict[PairKey, _Rows] = {}
        self._details: dict[PairKey, PairDetail] = {}

    def take(self, tally: RecorderTally) -> None:
        for row in tally.pairs:
            rows = self._rows.setdefault(_key(row), {})
            rows[row.cohort, row.slice] = row
            _fold(rows)
        for detail in tally.details:
            self._details[_key(detail)] = detail

    @classmethod
    def merged(cls, counts: "Iterable[PairCounts]") -> Self:
        total = cls()
        for each in counts:
            for key, rows in each._rows.items():
                for place, row in rows.items():
                    _add_row(total._rows.setdefault(key, {}), place, row)
            for key, detail in each._details.items():
                known = total._details.get(key)
                total._details[key] = detail if known is None else _add_details(known, detail)
        return total

    def totals(self) -> dict[PairKey, PairTally]:
        """All pairs of each two versions in one row: those of slices count pairs again, so they are left out."""
        found: dict[PairKey, PairTally] = {}
        for key, rows in self._rows.items():
            for (_, name), row in rows.items():
                if not name:
                    found[key] = row if key not in found else add(found[key], row)
        return found

    def rows(self, deployment: str) -> list[PairTally]:
        """Every row of a deployment."""
        return [row for key, rows in self._rows.items() if key[0] == deployment for row in rows.values()]

    def details(self, deployment: str) -> list[PairDetail]:
        """One for each two versions of a deployment."""
        return [detail for key, detail in self._details.items() if key[0] == deployment]


def add(one: PairTally, other: PairTally) -> PairTally:
    """Both rows as one; which cohort and slice it is for remains with the first."""
    verdicts, fields = dict(one.verdicts), dict(one.fields)
    _count(verdicts, other.verdicts)
    _count(fields, other.fields)
    scores = _add_scores(one.scores, other.scores)
    return PairTally(one.deployment, one.primary, one.shadow, verdicts, fields, one.cohort, one.slice, scores)


def _key(row: PairTally | PairDetail) -> PairKey:
    return row.deployment, row.primary, row.shadow


def _add_row(rows: _Rows, place: tuple[int, str], row: PairTally) -> None:
    rows[place] = row if place not in rows else add(rows[place], row)


def _fold(rows: _Rows) -> None:
    cohorts = {cohort for cohort, _ in rows if cohort > 0}
    if len(cohorts) > MAX_COHORTS:
        oldest = min(cohorts)
        for place in [place for place in rows if place[0] == oldest]:
            _add_row(rows, (OLDER, place[1]), rows.pop(place))


def _add_scores(one: ScoreSums | None, other: ScoreSums | None) -> ScoreSums | None:
    if one is None or other is None:
        return one or other
    return ScoreSums(
        one.n + other.n,
        one.total + other.total,
        one.squares + other.squares,
        tuple(map(float.__add__, one.log_scores, other.log_scores)),
        tuple(map(float.__add__, one.log_losses, other.log_losses)),
    )


def _add_details(one: PairDetail, other: PairDetail) -> PairDetail:
    fields, flips = dict(one.fields), dict(one.flips)
    for name, more in other.fields.items():
        fields[name] = more if name not in fields else _add_fields(fields[name], more)
    _count(flips, other.flips)
    values = _add_values(one.values, other.values)
    return PairDetail(one.deployment, one.primary, one.shadow, fields, flips, values)


def _add_fields(one: FieldTally, other: FieldTally) -> FieldTally:
    examples = tuple(dict.fromkeys((*one.examples, *other.examples)))[:_EXAMPLES]
    first, last = min(one.first, other.first), max(one.last, other.last)
    return FieldTally(one.count + other.count, examples, first, last)


def _add_values(one: ValueSums | None, other: ValueSums | None) -> ValueSums | None:
    return one or other if one is None or other is None else merge(one, other)


def _count(total: dict[_K, int], more: Mapping[_K, int]) -> None:
    for key, count in more.items():
        total[key] = total.get(key, 0) + count
