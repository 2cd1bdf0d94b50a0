"""Measures what docs/statistics.md tells of whole rollouts: `python -m tests.simulation.measure [runs]`.

Prints the tables of its section "Simulations". Seeds are fixed: the same program gives the same numbers.
"""

import sys
from collections.abc import Iterator

from tests.simulation.rollouts import Ending, Summary, summary
from tests.simulation.scenarios import (
    DAY,
    Scenario,
    failing,
    from_then_on,
    morning,
    moving_ramp,
    repeat,
    slower,
    troubled,
    whole_ramp,
)
from tests.simulation.traffic import steadily

Row = tuple[str, Scenario, int]
"""What is simulated, and which part of the runs is enough."""


def ramps() -> Iterator[Row]:
    for rate in (50.0, 5.0):
        for candidate in (0.005, 0.01, 0.015, 0.02, 0.05, 0.5):
            yield f"{candidate:.1%} at {rate:g} rps", whole_ramp(candidate, rate), 1 if rate > 5 else 4


def drifts() -> Iterator[Row]:
    yield "0.5 % in the morning, 3 % later", moving_ramp(morning, morning), 1
    yield "0.5 to 2.5 %, and outages", moving_ramp(troubled, troubled), 1


def errors() -> Iterator[Row]:
    for share in (0.01, 0.05, 0.25, 0.5):
        for candidate in (0.02, 0.05, 0.5):
            yield f"1 -> {candidate:.0%} at {share:.0%}", failing(steadily(candidate), share), 1
    for candidate in (0.02, 0.05, 0.5):
        yield f"sticky, 1 -> {candidate:.0%} at 5%", failing(steadily(candidate), drawn=False), 1


def changes() -> Iterator[Row]:
    for hours in (1, 12):
        for candidate in (0.02, 0.05, 0.5):
            change = from_then_on(hours * 3600.0, candidate)
            yield f"after {hours} h: 1 -> {candidate:.0%}", failing(change, look=5.0), 4 * (1 + hours // 12)


def latencies() -> Iterator[Row]:
    for factor, ratio in ((1.2, 1.0), (1.4, 1.2), (2.0, 1.0), (2.0, 1.2)):
        yield f"p95 times {factor:g}, max_ratio {ratio:g}", slower(factor, ratio), 1
    for factor, ratio in ((1.0, 1.0), (1.2, 1.2)):
        yield f"p95 times {factor:g}, max_ratio {ratio:g}, 6 h", slower(factor, ratio, DAY / 4, 10.0), 4


def nulls() -> Iterator[Row]:
    for share in (0.05, 0.5):
        yield f"1 -> 1 % at {share:.0%}, 24 h, look each 10 s", failing(steadily(0.01), share, look=10.0), 2
    yield "sticky, 1 -> 1 % at 5%, 24 h, look each 10 s", failing(steadily(0.01), look=10.0, drawn=False), 4


TABLES = {
    "ramps": ramps,
    "drifts": drifts,
    "errors": errors,
    "changes": changes,
    "latencies": latencies,
    "nulls": nulls,
}


def price(endings: list[Ending]) -> str:
    """What the candidate was sent and failed, on average."""
    requests = sum(ending.requests for ending in endings) / len(endings)
    return f"{sum(ending.failures for ending in endings) / len(endings):.1f} of {requests:.0f}"


def row(name: str, seen: Summary, cost: str) -> str:
    ends = f"{seen.promoted:.2%} | {seen.rolled_back:.2%}"
    return f"| {name} | {seen.runs} | {ends} | {seen.median:.0f} / {seen.late:.0f} | {cost} |"


def main(runs: int, tables: list[str]) -> None:
    for table in tables:
        print(f"\n{table}: runs | promoted | rolled back | seconds, median / p90 | failed of the candidate's")
        for name, scenario, part in TABLES[table]():
            endings = list(repeat(scenario, max(runs // part, 10)))
            print(row(name, summary(iter(endings)), price(endings)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, sys.argv[2:] or list(TABLES))
