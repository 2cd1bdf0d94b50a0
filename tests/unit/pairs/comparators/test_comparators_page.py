"""docs/comparators.md: every example gives the verdict that stands below it, and every comparator has one."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from ruamel.yaml import YAML

from router.pairs.comparators import Comparator
from router.pairs.comparators.base import Answer
from router.pairs.content import open_message
from router.pairs.settings import PairSettings
from tests.support.captures import message

PAGE = (Path(__file__).parents[4] / "docs/comparators.md").read_text()
EXAMPLE = re.compile(r"^```yaml\n(.*?)^```\n+```json\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = [(YAML(typ="safe").load(yaml), json.loads(pair)) for yaml, pair in EXAMPLE.findall(PAGE)]


def answer(body: Any) -> Answer:
    if not isinstance(body, str):
        return Answer(200, open_message(message(body)))
    kind = b"text/event-stream" if body.startswith("data: ") else b"text/plain"
    return Answer(200, open_message(message(body.encode(), ((b"content-type", kind),))))


@pytest.mark.parametrize(("settings", "pair"), EXAMPLES)
def test_the_example_is_true(settings: dict[str, Any], pair: dict[str, Any]) -> None:
    comparator = PairSettings.model_validate(settings).compare
    found = comparator.compare(answer(pair.pop("primary")), answer(pair.pop("shadow")))
    told = msgspec.to_builtins(found)
    told = {key: value for key, value in told.items() if value not in (None, 0, ()) or key == "score"}
    assert {key: list(value) if isinstance(value, tuple) else value for key, value in told.items()} == pair


def test_every_comparator_has_an_example_and_a_section() -> None:
    kinds = {kind.model_fields["tag"].default for kind in get_args(get_args(Comparator)[0])}
    assert {kind for settings, _ in EXAMPLES for kind in settings["compare"]} == kinds
    assert kinds <= set(re.findall(r"^## (\w+)$", PAGE, re.MULTILINE))


def test_no_block_is_left_out() -> None:
    assert len(EXAMPLES) * 2 == len(re.findall(r"^```\w+$", PAGE, re.MULTILINE))
