"""What a run found, as it is written to JSON: scenarios, their rows, and one sample of figures a round. Pure."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

Sample = dict[str, float]
"""Figures of one round by name; the unit is the end of the name (`cpu_us`, `p50_ms`, `rss_mib`)."""

Summary = Literal["median", "p99", "min", "max", "sum"]


class Column(msgspec.Struct, frozen=True):
    """One column of a table: which figure, summed up over the rounds how, with how many decimals."""

    figure: str
    heading: str
    decimals: int = 1
    summary: Summary = "median"


class Row(msgspec.Struct):
    """One proxy (or one setting of ours) and its samples, in the order of the rounds."""

    name: str
    samples: list[Sample]
    note: str = ""

    def values(self, figure: str) -> list[float]:
        """That figure in every round that has it."""
        return [sample[figure] for sample in self.samples if figure in sample]


class Outcome(msgspec.Struct):
    """What one scenario found. `key` is the figure that rows are compared by, against the row `reference`."""

    scenario: str
    title: str
    key: str
    reference: str
    columns: list[Column]
    rows: list[Row]
    inverted: bool = False
    skipped: list[str] = []
    seconds: float = 0.0

    def row(self, name: str) -> Row | None:
        """The row of that name, None where the proxy was skipped."""
        return next((row for row in self.rows if row.name == name), None)

    @property
    def relation(self) -> str:
        """What the ratios are: ours ÷ theirs, or, where all rows are ours, each ÷ the first."""
        return f"÷ {self.reference}" if self.inverted else "ours ÷ theirs"

    def ratios(self, row: Row) -> list[float]:
        """The ratio of each round, sorted; empty for the reference itself."""
        reference = self.row(self.reference)
        if reference is None or row is reference:
            return []
        found = ratios(reference.values(self.key), row.values(self.key))
        return sorted(1 / ratio for ratio in found if ratio) if self.inverted else found


class Report(msgspec.Struct):
    """A whole run: when, how thoroughly, on what, and what it found."""

    date: str
    effort: str
    machine: str
    versions: dict[str, str]
    outcomes: list[Outcome]

    def outcome(self, scenario: str) -> Outcome | None:
        """The outcome of that scenario, None where it was not run."""
        return next((outcome for outcome in self.outcomes if outcome.scenario == scenario), None)


def ratios(mine: Sequence[float], its: Sequence[float]) -> list[float]:
    """Mine ÷ its, round by round, sorted; rounds where its is 0 say nothing."""
    return sorted(a / b for a, b in zip(mine, its, strict=False) if b)


def quantile(values: Iterable[float], q: float) -> float:
    """The smallest value that at least a part `q` of the values does not exceed (nearest rank). Raises ValueError
    for no values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("a quantile of nothing")
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def summarised(values: Sequence[float], summary: Summary) -> float:
    """One figure for all rounds. Raises ValueError for no values."""
    match summary:
        case "median":
            return statistics.median(values)
        case "p99":
            return quantile(values, 0.99)
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "sum":
            return sum(values)


def encode(report: Report) -> bytes:
    """As JSON, figures with five significant digits: more would be noise."""
    for outcome in report.outcomes:
        for row in outcome.rows:
            row.samples = [{name: float(f"{value:.5g}") for name, value in s.items()} for s in row.samples]
    return msgspec.json.encode(report)


def decode(data: bytes) -> Report:
    """The reverse. Raises msgspec.DecodeError for anything else."""
    return msgspec.json.decode(data, type=Report)
