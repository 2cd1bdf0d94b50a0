"""The bars: met or missed by how much, and nothing claimed that was not measured."""

import pytest

from bench.bars import BARS, Bar, against, judged, own
from bench.results import Column, Outcome, Report, Row
from bench.scenarios import registered
from bench.session import FULL, QUICK

COLUMNS = [Column("cpu_us", "CPU")]


def report(rows: list[Row], scenario: str = "canary") -> Report:
    return Report("", "quick", "", {}, [Outcome(scenario, "", "cpu_us", "router", COLUMNS, rows)])


def row(name: str, *values: float, figure: str = "cpu_us") -> Row:
    return Row(name, [{figure: value} for value in values])


ENVOY = Bar("canary", "CPU ÷ Envoy's", 0.5, against("envoy"))


@pytest.mark.parametrize(
    ("ours", "met", "verdict"),
    [
        ((20, 20, 20), True, "met, 0 % below"),
        ((10, 16, 40), True, "met, 20 % below"),
        ((24, 30, 10), False, "missed by 20 %"),
    ],
)
def test_the_median_ratio_of_the_rounds_decides(ours: tuple[float, ...], met: bool, verdict: str) -> None:
    (found,) = judged(report([row("router", *ours), row("envoy", 40, 40, 40)]), (ENVOY,))
    assert found.met is met
    assert found.verdict == verdict


@pytest.mark.parametrize("rows", [[row("router", 1)], [row("envoy", 1)], [row("router"), row("envoy")]])
def test_a_bar_without_its_figures_is_neither_met_nor_missed(rows: list[Row]) -> None:
    (found,) = judged(report(rows), (ENVOY,))
    assert found.met is None
    assert found.verdict == "not measured"


def test_a_scenario_that_was_not_run_leaves_its_bars_open() -> None:
    assert [each.met for each in judged(report([], "other"), (ENVOY,))] == [None]


def test_a_figure_of_ours_can_be_judged_by_a_quantile() -> None:
    bar = Bar("rollback", "p99", 10, own("applied_ms", 0.99), "ms")
    values = [1.0] * 99 + [50.0]
    (found,) = judged(report([row("router", *values, figure="applied_ms")], "rollback"), (bar,))
    assert found.value == 1.0


def test_rows_of_ours_can_be_held_against_each_other() -> None:
    bar = Bar("deployments", "", 1.05, against("1 deployment", ours="1,000, one called"))
    rows = [row("1 deployment", 20), row("1,000, one called", 22)]
    (found,) = judged(report(rows, "deployments"), (bar,))
    assert found.value == pytest.approx(1.1)


def test_every_bar_is_of_a_scenario_that_a_plain_run_measures() -> None:
    known = {scenario.name for scenario in registered(QUICK.streams)} - set(QUICK.without)
    assert {bar.scenario for bar in BARS} <= known
    assert known <= {scenario.name for scenario in registered(FULL.streams)}
