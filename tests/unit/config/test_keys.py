"""Which keys the schema knows at a place, unions and references followed."""

import pytest

from router.config.keys import Keys
from router.config.places import Steps
from router.config.schema import Config

VALUES = {
    "listen": [{}],
    "deployments": {
        "a": {"rollout": {"pattern": "canary", "steps": [{}]}},
        "b": {"rollout": {"pattern": "unheard_of"}},
    },
}
KEYS = Keys(Config.model_json_schema(), VALUES)
A: Steps = ("deployments", "a")


@pytest.mark.parametrize(
    ("steps", "some", "none"),
    [
        ((), {"listen", "workers", "deployments"}, {"match"}),
        (("listen",), {"address", "tls"}, set()),
        (("listen", 0), {"address", "tls"}, set()),
        (A, {"match", "versions", "rollout"}, {"listen"}),
        ((*A, "versions", "any"), {"url", "urls", "limits"}, set()),
        ((*A, "rollout"), {"stable", "steps", "soak"}, {"primary", "blue"}),
        ((*A, "rollout", "steps", 0), {"share", "mirror", "pause"}, {"address"}),
        ((*A, "rollout", "sticky"), {"header", "cookie"}, set()),
        ((*A, "pairs", "compare"), {"json", "bytes"}, set()),
        ((*A, "pairs", "compare", "json", "numbers"), {"relative", "absolute"}, set()),
        (("deployments", "b", "rollout"), {"primary", "blue", "stable"}, set()),
    ],
)
def test_known_keys(steps: Steps, some: set[str], none: set[str]) -> None:
    known = set(KEYS.at(steps))
    assert some <= known
    assert not none & known


@pytest.mark.parametrize("steps", [("workers",), ("nowhere",), (*A, "retries", "attempts", 3)])
def test_where_no_keys_are(steps: Steps) -> None:
    assert KEYS.at(steps) == []


def test_choices_of_a_union() -> None:
    assert set(KEYS.choices(("deployments", "b", "rollout"))) == {"shadow", "canary", "blue_green"}
    assert set(KEYS.choices((*A, "pairs", "compare"))) == {"json", "label", "score", "text", "bytes"}
