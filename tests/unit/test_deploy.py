"""The dashboard and the alert rules ask for what the router exposes, and say what a person needs to know.

That every panel shows data is tested with a real Prometheus, in tests/integration/test_prometheus.py.
"""

import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.support.promql import DEPLOY, asked, dashboard, exposed, panel_queries, panels, rules

EXPOSED = exposed()
PAGE = (Path(__file__).parents[2] / "docs" / "observability.md").read_text()
ANNOTATIONS = [("annotation", each["expr"]) for each in dashboard()["annotations"]["list"]]
EXPRESSIONS = [*panel_queries(), *ANNOTATIONS, *((rule["alert"], rule["expr"]) for rule in rules())]

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: apt-get install prometheus)"
)


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_every_metric_and_label_asked_for_exists(where: str, expression: str) -> None:
    wanted = asked(expression)
    assert wanted.selectors or where == "RouterDown"
    for name, labels in wanted.selectors:
        assert name in EXPOSED, f"{where}: {name}"
        assert labels <= EXPOSED[name], f"{where}: {name} has no label {', '.join(labels - EXPOSED[name])}"
    known = frozenset[str]().union(*(EXPOSED[name] for name, _ in wanted.selectors))
    assert wanted.grouping <= known, f"{where}: grouped by {', '.join(wanted.grouping - known)}"


def test_names_and_labels_are_found() -> None:
    found = asked(
        'sum by (a, le) (rate(router_x_total{b="1",c!~"2"}[5m])) / on (d) group_left () router_y and up{e="1"}'
    )
    assert found.selectors == [("router_x_total", frozenset("bc")), ("router_y", frozenset())]
    assert found.grouping == {"a", "le", "d"}


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {name for _, expression in panel_queries() for name, _ in asked(expression).selectors}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in EXPOSED}
    assert families - {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown} == set()


def test_legends_name_labels_that_the_result_has() -> None:
    for panel in panels():
        for target in panel["targets"]:
            wanted = asked(target["expr"])
            known = wanted.grouping | frozenset[str]().union(*(EXPOSED[name] for name, _ in wanted.selectors))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= known, panel["title"]


def test_the_dashboard_can_be_imported_anywhere() -> None:
    shown = dashboard()
    assert [each["name"] for each in shown["templating"]["list"]] == ["datasource", "deployment"]
    assert shown["templating"]["list"][1]["definition"] == "label_values(router_share, deployment)"
    sources = re.findall(r'"uid": "([^"]+)"', (DEPLOY / "grafana" / "router.json").read_text())
    assert set(sources) == {"${datasource}", shown["uid"]}
    ids = [panel["id"] for panel in shown["panels"]]
    assert len(set(ids)) == len(ids)


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def test_panels_lie_side_by_side_and_say_what_they_show() -> None:
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    assert not [pair for pair in combinations(places, 2) if overlap(*pair)]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for panel in panels():
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_legends_are_shown_and_annotations_ask_in_the_old_way_and_the_new() -> None:
    """Grafana hides a legend that does not say showLegend, and moves an annotation's query to its target."""
    for panel in panels():
        assert panel["options"].get("legend", {"showLegend": True})["showLegend"] is True, panel["title"]
    for each in dashboard()["annotations"]["list"]:
        assert (each["target"]["expr"], each["target"]["interval"]) == (each["expr"], each["step"])


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_who_cares_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket", "info")
    assert set(rule["annotations"]) == {"summary", "description"}
    assert f"`{rule['alert']}`" in PAGE, "docs/observability.md explains every alert"


def test_every_alert_is_tested() -> None:
    tested = (DEPLOY / "prometheus" / "alerts_test.yaml").read_text()
    assert [rule["alert"] for rule in rules() if rule["alert"] not in tested] == []


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "alerts.yaml"),
        ("check", "config", "scrape.yaml"),
        ("test", "rules", "alerts_test.yaml"),
    ],
    ids=" ".join,
)
def test_promtool_agrees(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        ("promtool", *arguments), cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
