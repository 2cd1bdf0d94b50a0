"""What PromQL expressions ask for: the metrics and labels they name. As much of the language as our own use."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from ruamel.yaml import YAML

from router.rollout.phase import Phase
from router.telemetry.exposition import ControlFacts, Exposition, FleetFacts
from router.telemetry.ledger import Ledger

DEPLOY = Path(__file__).parents[2] / "deploy"

_SELECTOR = re.compile(r"\b(router_[a-z_]+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'([a-z_]+)(?:=~|!~|!=|=)"')
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right) \(([^)]*)\)")

OF_THE_TARGET = frozenset(("instance", "job"))
"""Labels that Prometheus adds."""


class Asked(NamedTuple):
    """Metrics with the labels their selectors match on, and all labels that results are grouped by."""

    selectors: list[tuple[str, frozenset[str]]]
    grouping: frozenset[str]


def asked(expression: str) -> Asked:
    """What an expression names."""
    selectors = [
        (name, frozenset(_MATCHER.findall(labels))) for name, labels in _SELECTOR.findall(expression)
    ]
    groups = [label.strip() for group in _GROUPING.findall(expression) for label in group.split(",")]
    return Asked(selectors, frozenset(filter(None, groups)) - OF_THE_TARGET)


class _Control:
    def facts(self) -> ControlFacts:
        return ControlFacts()


class _Fleet:
    def facts(self) -> FleetFacts:
        return FleetFacts()


def exposed() -> dict[str, frozenset[str]]:
    """Every sample a router may expose, by the name that a query uses, with its labels."""
    found: dict[str, frozenset[str]] = {}
    for family in Exposition(Ledger(), _Control(), _Fleet(), tuple(Phase)).collect():
        labels = frozenset(getattr(family, "_labelnames", ()))
        if isinstance(family, HistogramMetricFamily):
            found[f"{family.name}_bucket"] = labels | {"le"}
            found[f"{family.name}_sum"] = found[f"{family.name}_count"] = labels
        elif isinstance(family, CounterMetricFamily):
            found[f"{family.name}_total"] = labels
        else:
            found[family.name] = labels
    return found


def dashboard() -> dict[str, Any]:
    shown: dict[str, Any] = json.loads((DEPLOY / "grafana" / "router.json").read_text())
    return shown


def panels() -> list[dict[str, Any]]:
    """All panels but the headings."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def panel_queries() -> Iterator[tuple[str, str]]:
    """(Panel, expression) of every query of the dashboard, annotations and variables aside."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def filled(expression: str) -> str:
    """The expression with the dashboard's variables as they are when it is opened."""
    return expression.replace("$__rate_interval", "1m").replace("$deployment", ".+")


def rules() -> list[dict[str, Any]]:
    """Every alert."""
    file = YAML(typ="safe", pure=True).load(DEPLOY / "prometheus" / "alerts.yaml")
    return [rule for group in file["groups"] for rule in group["rules"]]
