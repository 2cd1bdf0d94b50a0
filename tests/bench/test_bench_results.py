"""Figures of a run: quantiles, ratios over rounds, and the JSON that keeps them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.results import Column, Outcome, Report, Row, decode, encode, quantile, ratios, summarised


def outcome(**rows: list[float]) -> Outcome:
    """CPU per round of each proxy; `router` is ours."""
    found = [Row(name, [{"cpu_us": value} for value in values]) for name, values in rows.items()]
    return Outcome("canary", "Canary", "cpu_us", "router", [Column("cpu_us", "CPU")], found)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_the_least_value_that_enough_do_not_exceed(values: list[float], q: float) -> None:
    found = quantile(values, q)
    assert found in values
    assert sum(value <= found for value in values) >= q * len(values) - 1e-9
    assert sum(value < found for value in values) < q * len(values) + 1e-9


def test_a_quantile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing"):
        quantile([], 0.5)


def test_the_p99_of_a_hundred_is_not_the_greatest() -> None:
    values = [float(n) for n in range(1, 101)]
    assert summarised(values, "p99") == 99
    assert summarised(values, "max") == 100
    assert summarised(values, "sum") == 5050


def test_ratios_pair_the_rounds_before_they_are_sorted() -> None:
    assert ratios([10, 30, 20], [20, 10, 20]) == [0.5, 1.0, 3.0]
    assert ratios([1, 2], [0, 4]) == [0.5]


def test_ours_is_divided_by_theirs() -> None:
    measured = outcome(router=[10, 20], envoy=[20, 20])
    envoy = measured.row("envoy")
    assert envoy is not None
    assert measured.ratios(envoy) == [0.5, 1.0]
    assert measured.relation == "ours ÷ theirs"


def test_among_rows_of_ours_each_is_divided_by_the_first() -> None:
    measured = outcome(router=[10, 20], more=[20, 20])
    measured.inverted = True
    more = measured.row("more")
    assert more is not None
    assert measured.ratios(more) == [1.0, 2.0]
    assert measured.relation == "÷ router"


def test_nothing_is_compared_with_a_proxy_that_was_skipped() -> None:
    measured = outcome(envoy=[20])
    assert measured.ratios(measured.rows[0]) == []
    assert measured.row("router") is None


def test_a_report_survives_its_json_with_five_digits() -> None:
    report = Report("2026-01-01", "quick", "a machine", {"nginx": "1.22.1"}, [outcome(router=[1 / 3])])
    back = decode(encode(report))
    assert back.outcomes[0].rows[0].samples == [{"cpu_us": 0.33333}]
    assert back.versions == report.versions
    assert back.outcome("canary") is not None
    assert back.outcome("shadow") is None
