"""What may be shown of a configuration, and what never is."""

import json
from pathlib import Path
from typing import Any

import pytest

from router.config.loader import load
from router.config.masking import mask
from router.config.schema import Config
from router.errors import ConfigError

HUSH = "hush-hush"
GATES = [
    {"webhook": {"url": f"https://checks/loan?key={HUSH}", "headers": {"authorization": f"Bearer {HUSH}"}}},
    {"prometheus": {"url": "http://prometheus:9090", "query": "up", "min": 1, "headers": {"x-key": HUSH}}},
    {"error_rate": {"max": "2%"}},
]
CONFIG: dict[str, Any] = {
    "pairs": {
        "sinks": [
            {"webhook": {"url": f"https://c.test/in?k={HUSH}", "headers": {"authorization": HUSH}}},
            {"redis": {"url": "redis://c.test", "password": HUSH}},
        ]
    },
    "tracing": {"endpoint": f"http://c:4318/v1/traces?key={HUSH}", "headers": {"x-key": HUSH}},
    "admin": {"tokens": [{"name": "ci", "token": HUSH}]},
    "notify": [{"url": f"https://hooks.example.com/services/{HUSH}?a={HUSH}", "headers": {"x-key": HUSH}}],
    "deployments": {
        "loan": {
            "match": {"path": "/loan", "headers": {"x-tenant": "acme"}},
            "versions": {"v1": {"url": "http://a:1"}, "v2": {"url": "http://b:1"}},
            "rollout": {
                "pattern": "canary",
                "stable": "v1",
                "candidate": "v2",
                "steps": [{"share": "10%", "hold": "1m", "gates": GATES}],
                "gates": GATES,
            },
        }
    },
}


def test_no_secret_is_left_wherever_it_stood() -> None:
    shown = mask(Config.model_validate(CONFIG))
    assert HUSH not in json.dumps(shown)
    (target,) = shown["notify"]
    assert (target["url"], target["headers"]) == ("https://hooks.example.com/***", {"x-key": "***"})
    rollout = shown["deployments"]["loan"]["rollout"]
    for gates in (rollout["gates"], rollout["steps"][0]["gates"]):
        webhook, prometheus = gates[0]["webhook"], gates[1]["prometheus"]
        assert (webhook["url"], webhook["headers"]) == ("https://checks/loan?***", {"authorization": "***"})
        assert (prometheus["url"], prometheus["headers"]) == ("http://prometheus:9090", {"x-key": "***"})


def test_what_requests_prove_themselves_with_is_not_shown_where_they_are_matched_by_it() -> None:
    """By its name: a header that no pair shows either."""
    versions = {"v1": {"url": "http://a:1"}, "v2": {"url": "http://b:1"}}
    preview = {"header": "X-Api-Key", "value": HUSH}
    rollout = {"pattern": "blue_green", "blue": "v1", "green": "v2", "preview": preview}
    match = {"path": "/a", "headers": {"x-api-key": HUSH, "x-tenant": "acme"}}
    loan = {"match": match, "versions": versions, "rollout": rollout}
    shown = mask(Config.model_validate({"deployments": {"loan": loan}}))["deployments"]["loan"]
    assert HUSH not in json.dumps(shown)
    assert shown["match"]["headers"] == {"x-api-key": "***", "x-tenant": "acme"}


def test_what_is_no_secret_stays() -> None:
    shown = mask(Config.model_validate(CONFIG))
    loan = shown["deployments"]["loan"]
    assert loan["match"]["headers"] == {"x-tenant": "acme"}
    assert loan["versions"]["v1"]["url"] == "http://a:1"
    assert loan["rollout"]["gates"][2] == {"error_rate": {"max_ratio": 1.0, "pass_ratio": 2.0, "max": 0.02}}


def test_the_configuration_itself_is_not_touched() -> None:
    config = Config.model_validate(CONFIG)
    mask(config)
    assert config.notify[0].url.endswith(HUSH)


def test_no_secret_stands_in_what_is_said_about_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "router.yaml"
    file.write_text(
        f"""
notify:
  - {{url: "ftp://hooks/{HUSH}", headers: {{a b: "{HUSH}"}}}}
deployments:
  loan:
    match: {{path: /loan}}
    versions: {{v1: {{url: "http://a:1"}}, v2: {{url: "http://b:1"}}}}
    rollout:
      pattern: canary
      stable: v1
      candidate: v2
      steps:
        - share: 10%
          gates:
            - webhook: {{url: "http://a/#?key={HUSH}", headers: {{x: ["{HUSH}"], y: "{HUSH}\\r\\n"}}}}
"""
    )
    with pytest.raises(ConfigError) as error:
        load(file, {})
    assert len(error.value.problems) >= 4
    assert HUSH not in str(error.value)
