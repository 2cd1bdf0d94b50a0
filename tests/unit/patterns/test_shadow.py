"""Shadow: copies of a sample, and never an answer."""

import pytest
from pydantic import ValidationError

from router.patterns.copying import NOISE
from router.patterns.plan import Copies, Exposure, Plan
from router.patterns.shadow import ShadowPattern
from router.shares import share_parts

SHADOW = {"pattern": "shadow", "primary": "v1", "shadows": ["v2", "v3"]}


def test_the_sample_is_copied_to_every_shadow() -> None:
    spec = ShadowPattern.model_validate(SHADOW | {"timeout": "2s", "max_in_flight": 8, "max_body": "1KiB"})
    plan = spec.plan("loan", Exposure(spec.trusted, mirror=2500))
    assert plan == Plan(default="v1", copies=Copies(2500, {"v1": ("v2", "v3")}, 2.0, 8, 1024))


def test_without_a_mirror_it_is_a_proxy() -> None:
    spec = ShadowPattern.model_validate(SHADOW)
    assert spec.plan("loan", Exposure("v1")) == Plan(default="v1")


@pytest.mark.parametrize("mirror", [0, 1, 10_000])
def test_no_exposure_lets_a_shadow_answer(mirror: int) -> None:
    spec = ShadowPattern.model_validate(SHADOW)
    plan = spec.plan("loan", Exposure("v1", share=10_000, mirror=mirror))
    assert (plan.default, plan.candidate, plan.share, plan.force) == ("v1", "", 0, None)


@pytest.mark.parametrize(
    "change",
    [
        {"shadows": []},
        {"sample": "101%"},
        {"max_in_flight": 0},
        {"noise": "101%"},
        {"noise": "always"},
        {"unknown": 1},
    ],
)
def test_what_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ShadowPattern.model_validate(SHADOW | change)


@pytest.mark.parametrize(
    ("noise", "parts"),
    [(True, share_parts(NOISE)), (False, 0), ("100%", 10_000), ("0.5%", 50), (0.25, 2500)],
)
def test_a_part_of_the_copied_requests_goes_to_the_primary_as_well(noise: object, parts: int) -> None:
    copies = (
        ShadowPattern.model_validate(SHADOW | {"noise": noise}).plan("loan", Exposure("v1", mirror=1)).copies
    )
    assert copies is not None
    assert copies.noise == parts
