"""Blue-green: the live colour answers, the other one previews and takes over."""

from typing import Any

import pytest
from pydantic import ValidationError

from router.patterns.blue_green import BlueGreenPattern
from router.patterns.plan import Exposure, Force

BLUE_GREEN = {"pattern": "blue_green", "blue": "v1", "green": "v2"}


def spec(**settings: Any) -> BlueGreenPattern:
    return BlueGreenPattern.model_validate(BLUE_GREEN | settings)


def test_the_live_colour_is_trusted_first() -> None:
    assert (spec().trusted, spec(live="green").trusted) == ("v1", "v2")


def test_colours_and_versions() -> None:
    pattern = spec()
    assert (pattern.version_of("blue"), pattern.version_of("green")) == ("v1", "v2")
    assert (pattern.other("v1"), pattern.other("v2")) == ("v2", "v1")


@pytest.mark.parametrize(("trusted", "other"), [("v1", "v2"), ("v2", "v1")])
def test_the_other_colour_takes_the_share(trusted: str, other: str) -> None:
    plan = spec().plan("loan", Exposure(trusted, share=1000))
    assert (plan.default, plan.candidate, plan.share) == (trusted, other, 1000)
    assert plan.copies is None
    assert plan.fallback == ""


@pytest.mark.parametrize(("trusted", "other"), [("v1", "v2"), ("v2", "v1")])
def test_the_preview_shows_the_colour_that_is_not_live(trusted: str, other: str) -> None:
    pattern = spec(preview={"header": "X-Preview", "value": "Yes"})
    assert pattern.plan("loan", Exposure(trusted)).force == Force("x-preview", {"Yes": other})
    assert spec().plan("loan", Exposure(trusted)).force is None


@pytest.mark.parametrize("change", [{"live": "red"}, {"preview": {"header": "x"}}, {"green": 2}, {"x": 1}])
def test_what_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        spec(**change)
