"""Progress bars: on stderr, on a terminal only, gone when the work is done."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class RateColumn(ProgressColumn):
    """So many a second, over the last half minute."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.4g}/s")


def _bar(*columns: ProgressColumn) -> Progress:
    console = Console(stderr=True, highlight=False)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def bytes_bar() -> Progress:
    """Bytes of a total. Tasks need no fields."""
    return _bar(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())


def share_bar() -> Progress:
    """A share of the whole, where nothing else is known. Tasks need no fields."""
    return _bar(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"))


def requests_bar() -> Progress:
    """Requests of a total, and how they fare: tasks have the field `note`."""
    return _bar(
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        RateColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
