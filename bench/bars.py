"""The bars: what has to be reached, against peers of the same run. Pure.

Each is a line of `BARS`; `judged` finds its figure in a report and says whether it is met, and by how much.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench.results import Outcome, Report, quantile, ratios

Find = Callable[[Outcome], float | None]
"""The figure of a bar, None where what it needs was not measured."""


@dataclass(frozen=True)
class Bar:
    """At most `limit`, in this scenario."""

    scenario: str
    text: str
    limit: float
    find: Find
    unit: str = "x"


@dataclass(frozen=True)
class Judged:
    """A bar and the figure that was found, None where it could not be measured."""

    bar: Bar
    value: float | None

    @property
    def met(self) -> bool | None:
        """None: nobody knows."""
        return None if self.value is None else self.value <= self.bar.limit

    @property
    def verdict(self) -> str:
        """In words, with the distance to the bar."""
        if self.value is None:
            return "not measured"
        distance = abs(self.value / self.bar.limit - 1) * 100
        return f"met, {distance:.0f} % below" if self.met else f"missed by {distance:.0f} %"


def against(peer: str, figure: str = "", *, ours: str = "router") -> Find:
    """The median over the rounds of ours ÷ the peer's, in that figure or in the one the scenario compares by."""

    def find(outcome: Outcome) -> float | None:
        mine, its = outcome.row(ours), outcome.row(peer)
        if mine is None or its is None:
            return None
        key = figure or outcome.key
        found = ratios(mine.values(key), its.values(key))
        return median(found) if found else None

    return find


def own(figure: str, q: float = 0.5) -> Find:
    """A quantile over the rounds of a figure of ours."""

    def find(outcome: Outcome) -> float | None:
        row = outcome.row("router")
        values = row.values(figure) if row else []
        return quantile(values, q) if values else None

    return find


BARS = (
    Bar("canary", "canary, sticky: CPU ÷ Envoy's", 0.50, against("envoy")),
    Bar("canary", "canary, sticky: CPU ÷ nginx's", 1.6, against("nginx")),
    Bar("canary", "canary, sticky: CPU ÷ aiohttp proxy's", 0.2, against("aiohttp")),
    Bar("canary", "canary, p50 at one connection ÷ Envoy's", 1.0, against("envoy", "single_p50_ms")),
    Bar("shadow", "shadow and capture, full speed: CPU ÷ nginx mirror's", 0.62, against("nginx")),
    Bar("shadow", "shadow and capture, full speed: CPU ÷ Envoy mirror's", 0.45, against("envoy")),
    Bar("shadow-paced", "shadow, every pair kept: CPU ÷ nginx mirror's", 0.62, against("nginx")),
    Bar("shadow-paced", "shadow, every pair kept: CPU ÷ Envoy mirror's", 0.45, against("envoy")),
    Bar("bodies-up", "64 MiB to the model: CPU ÷ Envoy's", 1.5, against("envoy", f"s_per_gib_{64 << 20}")),
    Bar(
        "bodies-down", "64 MiB from the model: CPU ÷ Envoy's", 1.5, against("envoy", f"s_per_gib_{64 << 20}")
    ),
    Bar(
        "deployments",
        "1,000 deployments, one called ÷ 1",
        1.05,
        against("1 deployment", ours="1,000, one called"),
    ),
    Bar("sse-1000", "1,000 streams: CPU an event ÷ Envoy's", 0.9, against("envoy")),
    Bar("sse-1000", "memory of an idle stream", 24.0, own("idle_kib"), "KiB"),
    Bar("rollback", "rollback under load, applied_ms p99", 10.0, own("applied_ms", 0.99), "ms"),
    Bar("start", "start to ready", 1.5, own("ready_s"), "s"),
)


def judged(report: Report, bars: tuple[Bar, ...] = BARS) -> list[Judged]:
    """Every bar, in order."""
    found = []
    for bar in bars:
        outcome = report.outcome(bar.scenario)
        found.append(Judged(bar, bar.find(outcome) if outcome is not None else None))
    return found
