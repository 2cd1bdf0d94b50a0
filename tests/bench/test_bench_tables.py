"""The tables, the chart and the page that are made of a report."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import chart, report
from bench.results import Column, Outcome, Report, Row, decode
from bench.tables import ABSENT, markdown, of_bars, of_outcome

COLUMNS = [
    Column("cpu_us", "CPU µs/request"),
    Column("rps", "requests/s", 0),
    Column("errors", "errors", 0, "sum"),
]


def measured(*rows: Row) -> Outcome:
    return Outcome("canary", "Canary 90/10", "cpu_us", "router", COLUMNS, list(rows))


OURS = Row(
    "router", [{"cpu_us": 20.0, "rps": 40000, "errors": 0}, {"cpu_us": 22.0, "rps": 42000, "errors": 1}]
)
ENVOY = Row("envoy", [{"cpu_us": 40.0, "rps": 20000}, {"cpu_us": 40.0, "rps": 22000}], "by weight")
REPORT = Report("2026-01-02 03:04 UTC", "quick", "2 x CPU", {"nginx": "1.22.1"}, [measured(OURS, ENVOY)])


def test_a_row_has_medians_ratios_and_its_note() -> None:
    cells = of_outcome(measured(OURS, ENVOY))
    assert cells.head == ["proxy", "CPU µs/request", "ours ÷ theirs", "requests/s", "errors", "note"]
    assert cells.rows == [
        ["router", "21.0", "", "41,000", "1", ""],
        ["envoy", "40.0", "0.50-0.53-0.55", "21,000", ABSENT, "by weight"],
    ]


def test_a_single_row_is_compared_with_nothing() -> None:
    assert of_outcome(measured(OURS)).head == ["proxy", "CPU µs/request", "requests/s", "errors"]


def test_markdown_has_a_cell_for_each_heading() -> None:
    lines = markdown(of_outcome(measured(OURS, ENVOY))).splitlines()
    assert {line.count("|") for line in lines} == {7}
    assert lines[1] == "| --- | ---: | ---: | ---: | ---: | --- |"


def test_the_bars_say_what_is_missing() -> None:
    rows = of_bars(REPORT).rows
    assert rows[0] == ["canary, sticky: CPU ÷ Envoy's", "≤ 0.5 x", "0.525 x", "missed by 5 %"]
    assert ["start to ready", "≤ 1.5 s", ABSENT, "not measured"] in rows


def test_the_chart_is_xml_with_a_bar_for_each_proxy_the_least_first() -> None:
    tree = ElementTree.fromstring(chart.of_report(REPORT))
    bars = [each for each in tree.iter() if each.tag.endswith("rect")]
    assert [each.get("class") for each in bars] == ["bar ours", "bar"]
    assert float(bars[0].get("width", 0)) < float(bars[1].get("width", 0))


def test_a_report_without_any_scenario_still_has_a_chart() -> None:
    ElementTree.fromstring(chart.of_report(Report("", "quick", "", {}, [])))


def test_the_page_keeps_what_stands_around_the_block() -> None:
    page = f"# Before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    new = report.filled(page, REPORT)
    assert new.startswith("# Before\n<!-- bench:begin -->\n")
    assert new.endswith("<!-- bench:end -->\nafter\n")
    assert "old" not in new
    assert "2026-01-02 03:04 UTC on 2 x CPU; nginx 1.22.1" in new
    assert report.filled(new, REPORT) == new


def test_a_smoke_run_is_called_one() -> None:
    smoke = Report("", "smoke", "", {}, [])
    assert "its figures are noise" in report.block(smoke)
    assert "its figures are noise" not in report.block(REPORT)


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="bench:begin"):
        report.filled("# Nothing", REPORT)


def test_the_page_of_this_program_is_that_of_the_figures_beside_it() -> None:
    docs = Path(__file__).parents[2] / "docs"
    page = (docs / "performance.md").read_text()
    assert report.filled(page, decode((docs / "performance.json").read_bytes())) == page
