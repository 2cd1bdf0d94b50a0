"""How a demo looks: a live table on a terminal, one line at a time elsewhere, and a summary at the end."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from router.demo.picture import Agreement, Measured, Picture, Row

PHASE_STYLE = {"progressing": "cyan", "soaking": "cyan", "promoted": "green", "rolled_back": "red"}


def percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.1f}"


def agreement_text(agreement: Agreement, known: float) -> str:
    """For the summary: what was measured, beside what is known of the two models."""
    if not agreement.compared:
        return "no pairs were compared"
    return (
        f"{percent(agreement.matched / agreement.compared)} of {agreement.compared} pairs decide alike "
        f"(known: {percent(known)}, of so many within {100 * agreement.spread(known):.1f} points)"
    )


def screen(picture: Picture, title: str, known: float, hints: Sequence[str]) -> RenderableType:
    """The whole live view."""
    table = Table(box=box.SIMPLE_HEAD, expand=True)
    table.add_column("version")
    headings = ("requests", "share set", "measured", "req/s", "p50 ms", "p95 ms", "errors", "copies")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in picture.rows:
        table.add_row(
            row.version,
            str(row.requests),
            percent(row.share_set),
            percent(row.share_measured),
            f"{row.rate:.0f}",
            milliseconds(row.p50),
            milliseconds(row.p95),
            Text(str(row.failed), "red" if row.failed else ""),
            str(row.copies),
        )
    phase = Text.assemble(
        (picture.phase, f"bold {PHASE_STYLE.get(picture.phase, '')}"),
        f"  {picture.progress}  ({picture.elapsed:.0f} s)",
    )
    parts: list[RenderableType] = [phase, table]
    if picture.agreement is not None:
        parts.append(Text(f"{percent(picture.agreement)} of pairs decide alike (known: {percent(known)})"))
    parts.append(Text("\n".join(("", *picture.events)), "dim"))
    return Group(Panel(Group(*parts), title=title), *(Text(hint) for hint in hints))


def line(picture: Picture) -> str:
    """The same in one line, for a log."""
    rows = "  ".join(_short(row) for row in picture.rows)
    alike = f"  agreement {percent(picture.agreement)}" if picture.agreement is not None else ""
    return f"{picture.elapsed:5.1f} s  {picture.phase}  {rows}{alike}"


def _short(row: Row) -> str:
    return (
        f"{row.version}: {row.requests} requests, {percent(row.share_measured)} (set {percent(row.share_set)}), "
        f"p95 {milliseconds(row.p95)} ms, {row.failed} errors;"
    )


def measured_table(measured: Sequence[Measured], candidate: str) -> list[str]:
    """For the summary: each share that was set, and how it came out."""
    return [
        f"share of {candidate:3}      set   measured   requests",
        *(
            f"{percent(one.wanted):>21} {percent(one.share):>10} {one.requests:>10}"
            for one in measured
            if one.requests
        ),
    ]
