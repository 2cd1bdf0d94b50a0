"""The budget of copies, and how much of them measures noise."""

from typing import Any

import pytest
from pydantic import ValidationError

from router.patterns.copying import COPY_TIMEOUT, NOISE, CopyBudget, parse_noise
from router.patterns.plan import Copies


def test_the_budget_becomes_part_of_the_plan() -> None:
    budget = CopyBudget.model_validate({"timeout": "30s", "max_in_flight": 8, "max_body": "64KiB"})
    assert budget.of(500, {"v1": ("v2",)}, 0.05) == Copies(500, {"v1": ("v2",)}, 30.0, 8, 65536, 500)
    assert CopyBudget().of(1, {}, 0.0).timeout == COPY_TIMEOUT


@pytest.mark.parametrize("settings", [{"timeout": "0s"}, {"max_in_flight": 0}, {"max_body": -1}])
def test_a_budget_of_nothing_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CopyBudget.model_validate(settings)


def test_noise_is_yes_no_or_a_share() -> None:
    assert (parse_noise(True), parse_noise(False), parse_noise("5%")) == (NOISE, 0.0, 0.05)
    with pytest.raises(ValueError, match="true, false or a share"):
        parse_noise("much")
