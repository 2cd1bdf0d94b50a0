"""What many pairs say: how often versions agree, where they differ, and how much of that is noise.

A version that is copied its own requests (`noise`) disagrees with itself now and then. What a candidate disagrees
beyond that is the net disagreement; a field that differs no more than the version does from itself is noise.
Shares have Wilson's interval, net shares Newcombe's (`pairs.intervals`), both 95 %.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from router.channel import FieldTally, Histogram, PairDetail, PairTally, ValueSums
from router.pairs.intervals import Net, Share, newcombe, wilson, z_of
from router.pairs.sums import Sum, Versions, of_log, of_tallies
from router.telemetry.counters import quantile
from router.telemetry.moments import correlation, distance_quantile

TOP = 10
"""Fields shown of two versions."""

LAST = 200_000
"""Pairs that a comparison looks at where nobody says how many."""


class Disagreement(msgspec.Struct, frozen=True):
    """Mismatches among comparable pairs: as counted, of the primary's version with itself, and the difference.

    `noise` and `net` are None where no request was copied to the version that answered it.
    """

    raw: Share
    noise: Share | None
    net: Net | None


class FieldStats(msgspec.Struct, frozen=True):
    """One field: in how many pairs it differs, ids of a few of them, when first and last, and what is noise.

    `is_noise`: the version disagrees with itself here, and the net share's interval does not lie above 0.
    """

    field: str
    count: int
    examples: tuple[str, ...]
    first: str
    last: str
    disagreement: Disagreement
    is_noise: bool


class SliceStats(msgspec.Struct, frozen=True):
    """The pairs of one value of a slice. `differs_more`: these pairs disagree more often than the slice's others, and
    by chance that would be said of any value in at most 5 % of cases (Newcombe's interval, Bonferroni over the values).
    """

    value: str
    verdicts: dict[str, int]
    disagreement: Share
    differs_more: bool


class ValueStats(msgspec.Struct, frozen=True):
    """Numbers that both sides said: their means, how far they lie apart (quantiles within 5 %), and Pearson's
    correlation, None where one side never changes."""

    pairs: int
    primary_mean: float
    shadow_mean: float
    distance_mean: float
    distance_p50: float
    distance_p95: float
    distance_p99: float
    correlation: float | None


class VersionStats(msgspec.Struct, frozen=True):
    """What is known of one (primary, shadow).

    `noise` marks pairs of a version with itself: how often it disagrees with itself is the floor for the others.
    `fields` are (field, mismatches it differs in), most first, and `differences` and `noisy` the same in detail:
    those that differ beyond the noise, and those that don't. `labels` counts pairs of labels,
    `<primary's> -> <shadow's>`. `agreement` is of the comparable pairs, `score` the mean. Latencies are medians in
    milliseconds, within 2 %, None where no answer came or nobody kept them.
    """

    primary: str
    shadow: str
    noise: bool
    verdicts: dict[str, int]
    agreement: Share
    fields: tuple[tuple[str, int], ...]
    primary_latency_ms: float | None
    shadow_latency_ms: float | None
    disagreement: Disagreement
    differences: tuple[FieldStats, ...]
    noisy: tuple[FieldStats, ...]
    slices: dict[str, tuple[SliceStats, ...]]
    labels: dict[str, int]
    values: ValueStats | None
    score: float | None


class Report(msgspec.Struct, frozen=True):
    """All comparisons of a deployment, and what they were made of: `pairs` of them, from `since` to `until`.

    `complete` is False where older pairs were left out. `torn` names what of the files could not be read.
    """

    comparisons: list[VersionStats]
    pairs: int
    complete: bool
    since: str | None = None
    until: str | None = None
    torn: tuple[str, ...] = ()


def stats(directory: Path, *, top: int = TOP) -> list[VersionStats]:
    """One entry for each (primary, shadow) in the log under `<pairs.path>/<deployment>`, by name; of its fields
    the `top` most frequent."""
    return _all(of_log(directory).sums, top)


def report(directory: Path, last: int | None = LAST) -> Report:
    """What the newest pairs of a log say: at least `last` of them, all with None."""
    read = of_log(directory, last)
    torn = tuple(map(str, read.torn))
    return Report(_all(read.sums, TOP), read.pairs, read.complete, read.since, read.until, torn)


def live(rows: Iterable[PairTally], details: Iterable[PairDetail]) -> Report:
    """What recorders have counted since they started says: at once, however long the log, but without latencies."""
    comparisons = _all(of_tallies(rows, details), TOP)
    return Report(comparisons, sum(sum(each.verdicts.values()) for each in comparisons), True)


def _all(sums: Mapping[Versions, Sum], top: int) -> list[VersionStats]:
    return [
        _one(versions, each, sums.get((versions[0], versions[0])), top)
        for versions, each in sorted(sums.items())
    ]


def _one(versions: Versions, each: Sum, noise: Sum | None, top: int) -> VersionStats:
    primary, shadow = versions
    floor = None if primary == shadow else noise
    ranked = sorted(each.fields.items(), key=lambda item: (-item[1].count, item[0]))
    fields = [_field(name, tally, each, floor) for name, tally in ranked]
    return VersionStats(
        primary=primary,
        shadow=shadow,
        noise=primary == shadow,
        verdicts=each.verdicts,
        agreement=wilson(each.verdicts["match"], _comparable(each.verdicts)),
        fields=tuple((name, tally.count) for name, tally in ranked[:top]),
        primary_latency_ms=_median_ms(each.primary),
        shadow_latency_ms=_median_ms(each.shadow),
        disagreement=_disagreement(
            each.verdicts["mismatch"], each, None if floor is None else floor.verdicts["mismatch"], floor
        ),
        differences=tuple([found for found in fields if not found.is_noise][:top]),
        noisy=tuple([found for found in fields if found.is_noise][:top]),
        slices=_slices(each.slices),
        labels=dict(each.flips),
        values=None if each.values is None else _values(each.values),
        score=each.score_total / each.scored if each.scored else None,
    )


def _disagreement(count: int, each: Sum, noisy: int | None, floor: Sum | None) -> Disagreement:
    raw = wilson(count, _comparable(each.verdicts))
    if floor is None or noisy is None:
        return Disagreement(raw, None, None)
    noise = wilson(noisy, _comparable(floor.verdicts))
    return Disagreement(raw, noise, newcombe(raw, noise))


def _field(name: str, tally: FieldTally, each: Sum, floor: Sum | None) -> FieldStats:
    known = None if floor is None else floor.fields.get(name)
    noisy = None if floor is None else 0 if known is None else known.count
    found = _disagreement(tally.count, each, noisy, floor)
    is_noise = bool(noisy) and found.net is not None and found.net.low <= 0.0
    first, last = _time(tally.first), _time(tally.last)
    return FieldStats(name, tally.count, tally.examples, first, last, found, is_noise)


def _slices(slices: Mapping[str, dict[str, int]]) -> dict[str, tuple[SliceStats, ...]]:
    named: dict[str, dict[str, dict[str, int]]] = {}
    for place, verdicts in slices.items():
        name, _, value = place.partition("=")
        named.setdefault(name, {})[value] = verdicts
    return {name: _slice(values) for name, values in sorted(named.items())}


def _slice(values: Mapping[str, dict[str, int]]) -> tuple[SliceStats, ...]:
    """Every value against all others of its slice together; most frequent first."""
    z = z_of(len(values))
    misses = sum(verdicts.get("mismatch", 0) for verdicts in values.values())
    total = sum(map(_comparable, values.values()))
    found = []
    for value, verdicts in sorted(values.items(), key=lambda item: (-sum(item[1].values()), item[0])):
        miss, of = verdicts.get("mismatch", 0), _comparable(verdicts)
        net = newcombe(wilson(miss, of, z), wilson(misses - miss, total - of, z))
        more = net is not None and net.low > 0.0
        found.append(SliceStats(value, dict(verdicts), wilson(miss, of), more))
    return tuple(found)


def _values(sums: ValueSums) -> ValueStats:
    return ValueStats(
        sums.n,
        sums.primary_mean,
        sums.shadow_mean,
        sums.distance / sums.n,
        distance_quantile(sums, 0.5),
        distance_quantile(sums, 0.95),
        distance_quantile(sums, 0.99),
        correlation(sums),
    )


def _comparable(verdicts: Mapping[str, int]) -> int:
    return verdicts.get("match", 0) + verdicts.get("mismatch", 0)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _median_ms(counts: Mapping[int, int]) -> float | None:
    median = quantile(Histogram(dict(counts), 0.0), 0.5)
    return None if median is None else round(median * 1000, 3)
