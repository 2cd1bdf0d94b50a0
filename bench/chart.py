"""The chart of docs/performance.md: horizontal bars as SVG, with the spread of the rounds as whiskers. Pure."""

from dataclasses import dataclass
from xml.sax.saxutils import escape

from bench.results import Outcome, Report, summarised

_LEFT, _WIDTH, _RIGHT = 120, 420, 100
_BAR, _STEP, _HEAD = 16, 24, 40

_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600 } .quiet { fill: #57606a }
  .bar { fill: #8c959f } .ours { fill: #0969da } .whisker { stroke: #24292f; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #9198a1 } .bar { fill: #6e7681 } .ours { fill: #4493f8 }
    .whisker { stroke: #e6edf3 }
  }
"""


@dataclass(frozen=True)
class Bar:
    """One bar with the least and the greatest of its rounds."""

    name: str
    low: float
    middle: float
    high: float
    ours: bool


@dataclass(frozen=True)
class Panel:
    """Bars with a common scale."""

    title: str
    bars: list[Bar]

    @property
    def height(self) -> int:
        """Pixels."""
        return _HEAD + _STEP * len(self.bars)


def panel(outcome: Outcome, title: str) -> Panel:
    """The key figure of every row, the least first."""
    bars = [
        Bar(row.name, min(values), summarised(values, "median"), max(values), row.name == outcome.reference)
        for row in outcome.rows
        if (values := row.values(outcome.key))
    ]
    return Panel(title, sorted(bars, key=lambda bar: bar.middle))


def of_report(report: Report) -> str:
    """The scenarios beside other proxies, one below the other."""
    wanted = [
        ("plain", "One version, passed on: CPU µs a request"),
        ("canary", "Canary 90/10: CPU µs a request"),
        ("shadow-paced", "Every request copied: CPU µs a request (only ours keeps the second answer)"),
        ("sse-1000", "1,000 streams: CPU µs an event"),
    ]
    found = [(report.outcome(scenario), title) for scenario, title in wanted]
    return svg([panel(outcome, title) for outcome, title in found if outcome is not None and outcome.rows])


def svg(panels: list[Panel]) -> str:
    """Readable in light and dark."""
    parts, y = [], 0
    for each in panels:
        parts += _panel(each, y)
        y += each.height + 16
    width = _LEFT + _WIDTH + _RIGHT
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {max(y, 1)}" width="{width}" role="img">'
    return "\n".join([opening, f"<style>{_STYLE}</style>", *parts, "</svg>\n"])


def _panel(panel: Panel, top: int) -> list[str]:
    scale = _WIDTH / max((bar.high for bar in panel.bars), default=1.0)
    lines = [f'<text class="title" x="0" y="{top + 22}">{escape(panel.title)}</text>']
    for number, bar in enumerate(panel.bars):
        y = top + _HEAD + number * _STEP
        middle = y + _BAR / 2
        low, at, high = (_LEFT + value * scale for value in (bar.low, bar.middle, bar.high))
        kind = "bar ours" if bar.ours else "bar"
        lines += [
            f'<text x="{_LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(bar.name)}</text>',
            f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{at - _LEFT:.1f}" height="{_BAR}" rx="2"/>',
            f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
            f'<text class="quiet" x="{high + 8:.1f}" y="{middle + 4}">{bar.middle:.3g}</text>',
        ]
    return lines
