"""How a demo looks: a live table on a terminal, one line at a time elsewhere, and a summary at the end."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from router.demo.picture import Agreement, Measured, Picture, Row, spread

PHASE_STYLE = {"progressing": "cyan", "soaking": "cyan", "promoted": "green", "rolled_back": "red"}
EVENTS_SHOWN = 6

HEADINGS = ("requests", "set", "measured", "req/s", "p50 ms", "p95 ms", "errors", "copies", "copy p50")


def percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}%"


def milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.1f}"


def within(fraction: float, count: int) -> str:
    """What chance does to a fraction that is found in so many draws."""
    return f"±{100 * spread(fraction, count):.1f}"


def agreement_text(matched: float, pairs: int, known: float) -> str:
    """What was measured, beside what is known of the two models and what chance does to so many pairs."""
    return (
        f"{percent(matched)} of {pairs} pairs decide alike "
        f"(known of these models: {percent(known)} {within(known, pairs)})"
    )


def screen(picture: Picture, title: str, known: float, hints: Sequence[str]) -> RenderableType:
    """The whole live view; its height does not change while it runs."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True, min_width=4)
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True, min_width=len("100.0%"))
    for row in picture.rows:
        table.add_row(
            row.version,
            str(row.requests),
            percent(row.share_set),
            _measured(row),
            f"{row.rate:.0f}",
            milliseconds(row.p50),
            milliseconds(row.p95),
            Text(str(row.failed), "red" if row.failed else ""),
            str(row.copies),
            milliseconds(row.copies_p50),
        )
    phase = Text.assemble(
        f"{picture.elapsed:3.0f} s  ",
        (picture.phase, f"bold {PHASE_STYLE.get(picture.phase, '')}"),
        f"  {picture.place}",
    )
    waits = _one_line(f"       waits for {picture.waits_for}")
    events = [_one_line(event) for event in picture.events]
    events += [Text("")] * (EVENTS_SHOWN - len(events))
    agreement = Text(_agreement_line(picture, known))
    panel = Panel(Group(phase, waits, Text(""), table, Text(""), agreement, Text(""), *events), title=title)
    return Group(panel, *map(Text, hints))


def _one_line(text: str) -> Text:
    return Text(text, "dim", no_wrap=True, overflow="ellipsis")


def _measured(row: Row) -> str:
    return percent(row.share_measured) if row.counted else "-"


def _agreement_line(picture: Picture, known: float) -> str:
    if picture.agreement is None:
        return "no pairs yet; what is copied is compared"
    return agreement_text(picture.agreement, picture.pairs, known)


def line(picture: Picture) -> str:
    """The same in one line of at most about 100 columns, for a log."""
    alike = f"  alike {percent(picture.agreement)}" if picture.agreement is not None else ""
    return f"{picture.elapsed:5.1f} s  {'   '.join(map(_short, picture.rows))}{alike}"


def _short(row: Row) -> str:
    failed = f" {row.failed} errors" if row.failed else ""
    if not row.share_set and row.copies:
        return f"{f'{row.version} {row.copies} copies':26} p50 {milliseconds(row.copies_p50):>5} ms{failed}"
    return (
        f"{row.version} set {percent(row.share_set):>6} got {_measured(row):>6} "
        f"p50 {milliseconds(row.p50):>5} ms{failed}"
    )


def agreement_summary(agreement: Agreement, known: float) -> str:
    if not agreement.compared:
        return "no pairs were compared"
    return agreement_text(agreement.matched / agreement.compared, agreement.compared, known)


def measured_table(measured: Sequence[Measured], candidate: str) -> list[str]:
    """For the summary: each share that was set, how it came out, and what chance may do to it."""
    return [
        f"share of {candidate:3}      set   measured   requests   by chance within",
        *(
            f"{percent(one.wanted):>21} {percent(one.share):>10} {one.requests:>10} "
            f"{within(one.wanted, one.requests):>18}"
            for one in measured
            if one.requests
        ),
    ]
