"""What is added up of many pairs, by (primary, shadow): from a pair log, or from what the recorder counted."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from router.channel import FieldTally, PairDetail, PairTally, ValueSums
from router.pairs.comparators.base import VERDICTS
from router.pairs.details import Details, field
from router.pairs.segments import Torn, lines, segments
from router.pairs.slices import Values
from router.telemetry.counters import bucket_of

Versions = tuple[str, str]
"""Primary, shadow."""


class Sum:
    """The sums of one (primary, shadow). `slices` holds verdicts by `<name>=<value>`; latencies are counted by
    bucket (`telemetry.counters`), and only the log has them."""

    __slots__ = (
        "fields",
        "flips",
        "primary",
        "score_total",
        "scored",
        "shadow",
        "slices",
        "values",
        "verdicts",
    )

    def __init__(self) -> None:
        self.verdicts: dict[str, int] = dict.fromkeys(VERDICTS, 0)
        self.slices: dict[str, dict[str, int]] = {}
        self.fields: Mapping[str, FieldTally] = {}
        self.flips: Mapping[str, int] = {}
        self.values: ValueSums | None = None
        self.scored = 0
        self.score_total = 0.0
        self.primary: Counter[int] = Counter()
        self.shadow: Counter[int] = Counter()


class Read(msgspec.Struct):
    """What was read of a log: `complete` says that nothing older was left out; times as the log has them. `torn` is
    what was left out because a crash cut it off or a file is damaged."""

    sums: dict[Versions, Sum]
    pairs: int = 0
    complete: bool = True
    since: str | None = None
    until: str | None = None
    torn: list[Torn] = []


class _Difference(msgspec.Struct):
    at: str


class _Side(msgspec.Struct):
    version: str
    latency_ms: float | None
    error: str | None = None


class _Line(msgspec.Struct):
    id: str
    time: str
    primary: _Side
    shadow: _Side
    verdict: str
    score: float | None
    differences: list[_Difference]
    slices: dict[str, str] = {}
    labels: tuple[str, str] | None = None
    values: tuple[float, float] | None = None


_decoder = msgspec.json.Decoder(_Line)


class _Adding:
    """One (primary, shadow) while a log is read."""

    def __init__(self) -> None:
        self.sum = Sum()
        self._details = Details()
        self._values = Values()

    def add(self, line: _Line) -> None:
        total = self.sum
        _count(total.verdicts, line.verdict)
        for name in self._values.rows(line.slices):
            _count(total.slices.setdefault(name, {}), line.verdict)
        if line.verdict == "mismatch":
            self._details.differ(line.id, line.time, {field(each.at) for each in line.differences})
        if line.labels is not None:
            self._details.label(*line.labels)
        if line.values is not None:
            self._details.value(*line.values)
        if line.score is not None:
            total.scored += 1
            total.score_total += line.score
        for counts, side in ((total.primary, line.primary), (total.shadow, line.shadow)):
            # How long a timeout took says nothing of a model.
            if side.latency_ms is not None and side.error is None:
                counts[bucket_of(side.latency_ms / 1000)] += 1

    def result(self) -> Sum:
        details = self._details
        self.sum.fields, self.sum.flips, self.sum.values = details.fields, details.flips, details.values
        return self.sum


def of_log(directory: Path, last: int | None = None) -> Read:
    """Sums over the log under `<pairs.path>/<deployment>`: all of it, or its newest segments until they hold
    `last` pairs. Memory holds one line."""
    adding: dict[Versions, _Adding] = {}
    read = Read({})
    for path in reversed(segments(directory)):
        if last is not None and read.pairs >= last:
            read.complete = False
            break
        for line in _lines(path, read.torn.append):
            read.pairs += 1
            read.since = min(read.since or line.time, line.time)
            read.until = max(read.until or line.time, line.time)
            versions = (line.primary.version, line.shadow.version)
            if versions not in adding:
                adding[versions] = _Adding()
            adding[versions].add(line)
    read.sums = {versions: each.result() for versions, each in adding.items()}
    return read


def of_tallies(rows: Iterable[PairTally], details: Iterable[PairDetail]) -> dict[Versions, Sum]:
    """Sums over what recorders have counted of one deployment."""
    sums: dict[Versions, Sum] = {}
    for row in rows:
        total = sums.setdefault((row.primary, row.shadow), Sum())
        verdicts = total.slices.setdefault(row.slice, {}) if row.slice else total.verdicts
        for verdict, count in row.verdicts.items():
            verdicts[verdict] = verdicts.get(verdict, 0) + count
        if row.scores is not None and not row.slice:
            total.scored += row.scores.n
            total.score_total += row.scores.total
    for detail in details:
        total = sums.setdefault((detail.primary, detail.shadow), Sum())
        total.fields, total.flips, total.values = detail.fields, detail.flips, detail.values
    return sums


def _lines(path: Path, note: Callable[[Torn], None]) -> Iterator[_Line]:
    for line in lines(path, note):
        try:
            yield _decoder.decode(line)
        except msgspec.DecodeError:
            continue


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
