"""Plans and snapshots travel as msgpack and come back equal."""

import msgspec
import pytest

from router.patterns.plan import (
    Copies,
    DeploymentPlan,
    Force,
    Key,
    Match,
    Plan,
    Snapshot,
    VersionSpec,
    decode_snapshot,
    encode_snapshot,
)

PLAN = Plan(
    default="v1",
    candidate="v2",
    share=500,
    key=Key("header", "x-user-id"),
    salt=b"\x00\xff",
    force=Force("x-router-version", {"v1": "v1", "v2": "v2"}),
    copies=Copies(10_000, {"v1": ("v2",), "v2": ("v1",)}, 5.0, 64, 1 << 20),
    fallback="v1",
)
SNAPSHOT = Snapshot(
    7,
    (
        DeploymentPlan(
            "loan",
            Match("h", "/a/**", ("GET",), (("x-a", "1"),)),
            (VersionSpec("v1", ("http://127.0.0.1:9001",), 8, 16),),
            PLAN,
        ),
    ),
)


def test_a_snapshot_comes_back_as_it_went() -> None:
    assert decode_snapshot(encode_snapshot(SNAPSHOT)) == SNAPSHOT
    assert decode_snapshot(encode_snapshot(Snapshot(0, ()))) == Snapshot(0, ())


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", encode_snapshot(SNAPSHOT)[:-1]])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_snapshot(data)


def test_a_plan_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        PLAN.share = 1  # type: ignore[misc]
