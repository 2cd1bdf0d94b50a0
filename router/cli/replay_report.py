"""How the summary of a replay looks."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from router.cli.wording import number, percent, plain
from router.pairs.replayed import Latency, Report

_STYLES = {"match": "green", "mismatch": "red", "incomparable": "yellow"}


def rendered(report: Report) -> RenderableType:
    """Agreement and verdicts; where pairs differ; latencies then and now; what went wrong; what was not sent."""
    parts: list[RenderableType] = [_verdicts(report)]
    if report.fields:
        parts += ["", _counts("differs at", report.fields, "pair")]
    if report.comparable:
        parts += ["", _latencies(report)]
    if report.errors:
        parts += ["", _counts("failed", tuple(report.errors.items()), "request")]
    if report.unfit:
        parts += ["", _counts("not sent", tuple(report.unfit.items()), "request")]
    if report.repeated or report.others:
        parts += ["", _left_out(report)]
    return Group(*parts)


def _verdicts(report: Report) -> RenderableType:
    table = _grid()
    agreement = report.agreement
    sent = number(report.sent, "request") + (
        f" of {report.requests}" if report.sent < report.requests else ""
    )
    rate = f", {report.sent / report.seconds:.4g} a second" if report.seconds else ""
    table.add_row("sent", f"{sent} in {report.seconds:.1f} s{rate}")
    if report.recorded:
        versions = (f"{plain(version)} ({count})" for version, count in report.recorded.items())
        table.add_row("compared with", ", ".join(versions))
    if agreement.share is not None:
        interval = f"95% interval {percent(agreement.low)} to {percent(agreement.high)}"
        table.add_row("agreement", Text.assemble((percent(agreement.share), "bold"), f"  ({interval})"))
    verdicts = Text("  ").join(
        Text(f"{verdict} {count}", _STYLES[verdict] if count else "dim")
        for verdict, count in report.verdicts.items()
    )
    table.add_row("verdicts", verdicts)
    return table


def _left_out(report: Report) -> RenderableType:
    table = _grid()
    if report.repeated:
        table.add_row("left out", f"{number(report.repeated, 'further pair')} of the same requests")
    if report.others:
        table.add_row("left out", f"{number(report.others, 'pair')} answered by another version")
    return table


def _latencies(report: Report) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("latency")
    for heading in ("then", "now"):
        table.add_column(heading, justify="right")
    for name, of in (("median", _median), ("p95", _p95)):
        table.add_row(name, of(report.then), of(report.now))
    return table


def _median(latency: Latency) -> str:
    return _ms(latency.median_ms)


def _p95(latency: Latency) -> str:
    return _ms(latency.p95_ms)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def _counts(title: str, counts: tuple[tuple[str, int], ...], thing: str) -> RenderableType:
    table = _grid()
    for name, count in counts:
        table.add_row(title, plain(name), number(count, thing))
    return table


def _grid() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table
