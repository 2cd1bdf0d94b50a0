"""Writes the figures of a run into docs/performance.md, between two marks, with the chart and the JSON beside it."""

from pathlib import Path

from bench import chart
from bench.results import Report, encode
from bench.tables import markdown, of_bars, of_outcome

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"

_SMOKE = (
    "**This was a smoke run**, of one second a measurement on a machine that did other things too: it shows that the "
    "harness works and what it prints, its figures are noise. `make bench-full` and then `python -m bench report` "
    "replace it.\n"
)


def block(report: Report) -> str:
    """What stands between the marks."""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    parts = [
        f"Written by `python -m bench report` from a {report.effort} run of {report.date} on {report.machine}; "
        f"{versions}. All rounds: [performance.json](performance.json).\n"
    ]
    parts += [_SMOKE] if report.effort == "smoke" else []
    parts += ["![CPU per request beside other proxies](images/performance.svg)\n"]
    parts += ["### Bars\n", markdown(of_bars(report))]
    for outcome in report.outcomes:
        rounds = max((len(row.samples) for row in outcome.rows), default=0)
        parts += [
            f"### {outcome.title}\n",
            f"`{outcome.scenario}`, rounds: {rounds}\n",
            markdown(of_outcome(outcome)),
        ]
        parts += [f"{line}\n" for line in outcome.skipped]
    return "\n".join(parts)


def filled(page: str, report: Report) -> str:
    """The page with its block replaced. Raises ValueError where the marks are missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{block(report)}\n{END}{after}"


def write(report: Report, docs: Path) -> list[Path]:
    """The page, the chart and the JSON below `docs`; returns what was written."""
    page, image, data = (
        docs / "performance.md",
        docs / "images" / "performance.svg",
        docs / "performance.json",
    )
    page.write_text(filled(page.read_text(), report))
    image.write_text(chart.of_report(report))
    data.write_bytes(encode(report) + b"\n")
    return [page, image, data]
