"""Canary: share, sticky key, forced versions, copies to the other side, fallback."""

from typing import Any

import pytest
from pydantic import ValidationError

from router.patterns.assignment import salt_of
from router.patterns.canary import CanaryPattern
from router.patterns.plan import Exposure, Force, Key, Plan

CANARY = {"pattern": "canary", "stable": "v1", "candidate": "v2"}


def plan(share: int = 0, mirror: int = 0, **settings: Any) -> Plan:
    spec = CanaryPattern.model_validate(CANARY | settings)
    return spec.plan("loan", Exposure(spec.trusted, share, mirror))


def test_the_candidate_answers_the_share_and_stable_catches_it() -> None:
    assert plan(share=500) == Plan(
        default="v1", candidate="v2", share=500, salt=salt_of("loan", "v2"), fallback="v1"
    )
    assert plan(share=500, fallback=False).fallback == ""


@pytest.mark.parametrize(
    ("sticky", "key"),
    [
        (None, None),
        ({"header": "X-User-Id"}, Key("header", "x-user-id")),
        ({"cookie": "Session"}, Key("cookie", "Session")),
        ("client_ip", Key("client_ip")),
    ],
)
def test_sticky_keys(sticky: object, key: Key | None) -> None:
    assert plan(sticky=sticky).key == key


def test_each_side_is_copied_to_the_other() -> None:
    copies = plan(share=500, mirror=1000).copies
    assert copies is not None
    assert (copies.sample, copies.targets) == (1000, {"v1": ("v2",), "v2": ("v1",)})
    assert plan(share=500).copies is None


def test_copies_have_a_budget_of_their_own() -> None:
    slow = plan(mirror=1000, copies={"timeout": "60s"}).copies
    assert slow is not None
    assert slow.timeout == 60.0


def test_noise_is_a_part_of_what_is_copied() -> None:
    noisy, quiet = plan(mirror=1000, noise="5%").copies, plan(mirror=1000).copies
    assert noisy is not None
    assert quiet is not None
    assert (noisy.noise, quiet.noise) == (500, 0)


def test_a_request_may_name_its_version_only_while_the_candidate_is_exposed() -> None:
    force = Force("x-router-version", {"v1": "v1", "v2": "v2"})
    header = {"header": "X-Router-Version"}
    assert plan(share=1, force=header).force == force
    assert plan(mirror=1, force=header).force == force
    assert plan(force=header).force is None, "rolled back: nothing reaches the candidate"


@pytest.mark.parametrize(
    "change",
    [
        {"sticky": {}},
        {"sticky": {"header": "a", "cookie": "b"}},
        {"sticky": {"header": ""}},
        {"sticky": "client-ip"},
        {"force": {}},
        {"candidate": None},
        {"unknown": 1},
    ],
)
def test_what_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CanaryPattern.model_validate(CANARY | change)
