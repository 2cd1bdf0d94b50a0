"""One contract for every registered pattern."""

from typing import Any, get_args

import pytest

from router.patterns.plan import Exposure
from router.patterns.registry import PATTERNS

EXAMPLES: dict[str, dict[str, Any]] = {
    "shadow": {"primary": "v1", "shadows": ["v2"]},
    "canary": {"stable": "v1", "candidate": "v2", "force": {"header": "x-version"}},
    "blue_green": {"blue": "v1", "green": "v2", "preview": {"header": "x-preview", "value": "1"}},
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_keeps_the_contract(pattern: Any) -> None:
    (name,) = get_args(pattern.model_fields["pattern"].annotation)
    spec = pattern.model_validate(EXAMPLES[name] | {"pattern": name})
    assert set(pattern.version_keys) <= set(pattern.model_fields)
    trusted = spec.trusted
    assert trusted == "v1"
    unexposed = spec.plan("loan", Exposure(trusted))
    assert unexposed.default == trusted
    assert unexposed.share == 0
    assert unexposed.copies is None
    exposed = spec.plan("loan", Exposure(trusted, share=100, mirror=100))
    assert exposed.default == trusted
    assert exposed.fallback in ("", trusted)
