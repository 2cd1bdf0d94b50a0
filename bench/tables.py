"""A report as tables: cells of text, for the terminal (rich) and for docs/performance.md (Markdown). Pure but for
`show`."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, JustifyMethod
from rich.table import Table

from bench.bars import judged
from bench.results import Outcome, Report, Row, summarised

ABSENT = "-"


@dataclass(frozen=True)
class Cells:
    """A table: its title, its head and its rows; the first column holds names."""

    title: str
    head: list[str]
    rows: list[list[str]]


def of_outcome(outcome: Outcome) -> Cells:
    """One row a proxy: medians of the rounds, and the ratio of the key as min-median-max over the rounds."""
    notes = any(row.note for row in outcome.rows)
    compared = len(outcome.rows) > 1
    head = ["" if outcome.inverted else "proxy", *(column.heading for column in outcome.columns)]
    head[2:2] = [outcome.relation] if compared else []
    rows = []
    for row in outcome.rows:
        cells = [row.name, *(_cell(row, outcome, index) for index in range(len(outcome.columns)))]
        cells[2:2] = [spread(outcome.ratios(row))] if compared else []
        rows.append([*cells, row.note] if notes else cells)
    return Cells(outcome.title, [*head, "note"] if notes else head, rows)


def of_bars(report: Report) -> Cells:
    """Every bar with its figure and how far it is from it."""
    rows = [
        [
            each.bar.text,
            f"≤ {each.bar.limit:g} {each.bar.unit}",
            ABSENT if each.value is None else f"{each.value:.3g} {each.bar.unit}",
            each.verdict,
        ]
        for each in judged(report)
    ]
    return Cells("Bars", ["bar", "limit", "found", ""], rows)


def spread(ratios: Sequence[float]) -> str:
    """min-median-max of sorted ratios."""
    if not ratios:
        return ""
    return f"{ratios[0]:.2f}-{summarised(ratios, 'median'):.2f}-{ratios[-1]:.2f}"


def _cell(row: Row, outcome: Outcome, index: int) -> str:
    column = outcome.columns[index]
    values = row.values(column.figure)
    if not values:
        return ABSENT
    return f"{summarised(values, column.summary):,.{column.decimals}f}"


def markdown(cells: Cells) -> str:
    """As GitHub shows it; the first column to the left, figures to the right."""
    rule = ["---", *("---" if name in {"", "note"} else "---:" for name in cells.head[1:])]
    return "\n".join("| " + " | ".join(line) + " |" for line in (cells.head, rule, *cells.rows)) + "\n"


def show(cells: Cells, console: Console) -> None:
    """On the terminal."""
    table = Table(title=cells.title, title_justify="left")
    for number, name in enumerate(cells.head):
        justify: JustifyMethod = "left" if number == 0 or name in {"", "note"} else "right"
        table.add_column(name, justify=justify, no_wrap=name != "note")
    for row in cells.rows:
        table.add_row(*row)
    console.print(table)
