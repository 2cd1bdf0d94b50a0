"""Sums up a pair log: agreement with its interval, where pairs differ, how fast each side was."""

from collections import Counter
from collections.abc import Iterator
from math import sqrt
from pathlib import Path

import msgspec

from router.channel import Histogram
from router.pairs.comparators.base import VERDICTS
from router.pairs.segments import lines, segments
from router.pairs.tallies import count_fields, field
from router.telemetry.counters import bucket_of, quantile

_Z95 = 1.959963984540054


class Agreement(msgspec.Struct, frozen=True):
    """Matches among the comparable pairs, with Wilson's 95 % interval; all None without such pairs."""

    ratio: float | None
    low: float | None
    high: float | None


class VersionStats(msgspec.Struct, frozen=True):
    """What the log says of one (primary, shadow).

    `noise` marks pairs of a version with itself: how often it disagrees with itself is the floor for the others.
    `fields` are (field, mismatches it differs in), most first. Latencies are medians in milliseconds, within 2 %,
    None where no answer came.
    """

    primary: str
    shadow: str
    noise: bool
    verdicts: dict[str, int]
    agreement: Agreement
    fields: tuple[tuple[str, int], ...]
    primary_latency_ms: float | None
    shadow_latency_ms: float | None


class _Difference(msgspec.Struct):
    at: str


class _Side(msgspec.Struct):
    version: str
    latency_ms: float | None
    error: str | None = None


class _Line(msgspec.Struct):
    primary: _Side
    shadow: _Side
    verdict: str
    differences: list[_Difference]


class _Sum:
    """What was added up of one (primary, shadow); latencies by bucket (`telemetry.counters`)."""

    __slots__ = ("fields", "primary", "shadow", "verdicts")

    def __init__(self) -> None:
        self.verdicts: dict[str, int] = dict.fromkeys(VERDICTS, 0)
        self.fields: dict[str, int] = {}
        self.primary: Counter[int] = Counter()
        self.shadow: Counter[int] = Counter()


_decoder = msgspec.json.Decoder(_Line)


def agreement(match: int, mismatch: int) -> Agreement:
    """The share of matches, with Wilson's 95 % interval."""
    total = match + mismatch
    if not total:
        return Agreement(None, None, None)
    ratio, z2 = match / total, _Z95 * _Z95
    middle = (ratio + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z95 * sqrt(ratio * (1 - ratio) / total + z2 / (4 * total * total)) / (1 + z2 / total)
    # At 0 and 1 the bound is exact; rounding must not put the ratio outside of its interval.
    return Agreement(ratio, min(ratio, max(0.0, middle - half)), max(ratio, min(1.0, middle + half)))


def stats(directory: Path, *, top: int = 10) -> list[VersionStats]:
    """One entry for each (primary, shadow) in the log under `<pairs.path>/<deployment>`, by name; of its fields
    the `top` most frequent."""
    sums: dict[tuple[str, str], _Sum] = {}
    for line in _lines(directory):
        _add(sums.setdefault((line.primary.version, line.shadow.version), _Sum()), line)
    return [_result(primary, shadow, each, top) for (primary, shadow), each in sorted(sums.items())]


def _lines(directory: Path) -> Iterator[_Line]:
    for path in segments(directory):
        for line in lines(path):
            try:
                yield _decoder.decode(line)
            except msgspec.DecodeError:
                continue


def _add(into: _Sum, line: _Line) -> None:
    into.verdicts[line.verdict] = into.verdicts.get(line.verdict, 0) + 1
    if line.verdict == "mismatch":
        count_fields(into.fields, {field(each.at) for each in line.differences})
    for counts, side in ((into.primary, line.primary), (into.shadow, line.shadow)):
        if (
            side.latency_ms is not None and side.error is None
        ):  # how long a timeout took says nothing of a model
            counts[bucket_of(side.latency_ms / 1000)] += 1


def _result(primary: str, shadow: str, each: _Sum, top: int) -> VersionStats:
    ranked = sorted(each.fields.items(), key=lambda item: (-item[1], item[0]))
    return VersionStats(
        primary=primary,
        shadow=shadow,
        noise=primary == shadow,
        verdicts=each.verdicts,
        agreement=agreement(each.verdicts["match"], each.verdicts["mismatch"]),
        fields=tuple(ranked[:top]),
        primary_latency_ms=_median_ms(each.primary),
        shadow_latency_ms=_median_ms(each.shadow),
    )


def _median_ms(counts: Counter[int]) -> float | None:
    median = quantile(Histogram(counts, 0.0), 0.5)
    return None if median is None else round(median * 1000, 3)
