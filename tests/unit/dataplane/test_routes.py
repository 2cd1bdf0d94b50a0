"""A snapshot made ready: assignment, copies, what is carried over, what is retired."""

from collections.abc import Callable

import msgspec
import pytest

from router.dataplane.routes import FOUND_LENGTH, FOUND_LIMIT, Route
from router.http1.head import RequestHead
from router.patterns.assignment import bucket, salt_of
from router.patterns.plan import (
    Copies,
    DeploymentPlan,
    Force,
    Key,
    Match,
    Plan,
    Snapshot,
)
from tests.support.heads import request_head
from tests.support.wires import DataPlane
from tests.support.workers import deployment

URLS: dict[str, str | tuple[str, ...]] = {"v1": "http://192.0.2.1:1", "v2": "http://192.0.2.2:2"}


SALT = salt_of("d", "v2")


def route(plan: Plan) -> Route:
    return DataPlane(deployment(URLS, plan)).engine.routes.by_name["d"]


def assigned(plan: Plan, **fields: bytes) -> str:
    return route(plan).assign(request_head(**fields), b"192.0.2.7").name


@pytest.mark.parametrize(("share", "version"), [(0, "v1"), (10_000, "v2")])
async def test_no_share_and_all_of_it_are_exact(share: int, version: str) -> None:
    ready = route(Plan("v1", "v2", share, Key("header", "x-user")))
    assert {ready.assign(request_head(x_user=b"%d" % n), b"").name for n in range(300)} == {version}


async def test_a_share_without_a_key_is_drawn_anew() -> None:
    ready = route(Plan("v1", "v2", 3000))
    drawn = [ready.assign(request_head(), b"").name for _ in range(4000)]
    assert 1000 < drawn.count("v2") < 1400  # 1200, and seven standard deviations


@pytest.mark.parametrize(
    ("key", "request_of"),
    [
        (Key("header", "x-user"), lambda value: (request_head(x_user=value), b"ip")),
        (Key("cookie", "uid"), lambda value: (request_head(cookie=b"a=b; uid=%b; c" % value), b"ip")),
        (Key("client_ip"), lambda value: (request_head(x_user=b"no"), value)),
    ],
)
async def test_a_key_decides_by_its_bucket(
    key: Key, request_of: Callable[[bytes], tuple[RequestHead, bytes]]
) -> None:
    ready = route(Plan("v1", "v2", 2500, key, SALT))
    for number in range(200):
        value = b"user-%d" % number
        expected = "v2" if bucket(SALT, value) < 2500 else "v1"
        assert {ready.assign(*request_of(value)).name for _ in range(3)} == {expected}


async def test_without_its_key_a_request_is_drawn() -> None:
    ready = route(Plan("v1", "v2", 5000, Key("cookie", "uid"), SALT))
    assert {ready.assign(request_head(cookie=b"uidx=1; =2; uid"), b"").name for _ in range(100)} == {
        "v1",
        "v2",
    }


async def test_force_overrules_every_share() -> None:
    force = Force("x-version", {"v2": "v2", "old": "v1"})
    assert assigned(Plan("v1", "v2", 0, force=force), x_version=b"v2") == "v2"
    assert assigned(Plan("v1", "v2", 10_000, force=force), x_version=b"old") == "v1"
    assert assigned(Plan("v1", "v2", 0, force=force), x_version=b"unknown") == "v1"
    assert assigned(Plan("v1", "v2", 0, force=force)) == "v1"


async def test_what_new_rules_still_allow() -> None:
    force = Force("x-version", {"next": "v2"})
    rolled_back = route(Plan("v1", "v2", 0, force=force))
    v1, v2 = rolled_back._default, rolled_back._candidate
    assert rolled_back.allows(v1, request_head())
    assert not rolled_back.allows(v2, request_head())
    assert not rolled_back.allows(v2, request_head(x_version=b"other"))
    assert rolled_back.allows(v2, request_head(x_version=b"next"))
    assert route(Plan("v1", "v2", 1)).allows(v2, request_head())
    assert route(Plan("v2", "", fallback="v1")).allows(v1, request_head())
    assert not route(Plan("v1")).allows(v2, request_head())


async def test_copies_go_to_the_other_side_of_a_sample() -> None:
    targets: dict[str, tuple[str, ...]] = {"v1": ("v2",), "v2": ("v1",)}
    whole = route(Plan("v1", "v2", copies=Copies(10_000, targets, 1.0, 1, 1)))
    v1, v2 = whole._default, whole._candidate
    assert (whole.copies_for(v1), whole.copies_for(v2)) == ((v2,), (v1,))
    assert whole.copied_to == {"v1", "v2"}
    part = route(Plan("v1", "v2", copies=Copies(3000, targets, 1.0, 1, 1)))
    copied = sum(1 for _ in range(4000) if part.copies_for(part._default))
    assert 1000 < copied < 1400
    none = route(Plan("v1", "v2", copies=Copies(0, targets, 1.0, 1, 1)))
    assert none.copies_for(none._default) == ()
    assert route(Plan("v1")).copies_for(v1) == ()


async def test_a_part_of_the_copied_requests_goes_to_the_version_itself_as_well() -> None:
    ready = route(Plan("v1", copies=Copies(10_000, {"v1": ("v2",)}, 1.0, 1, 1, noise=3000)))
    targets = [tuple(version.name for version in ready.copies_for(ready._default)) for _ in range(4000)]
    assert set(targets) == {("v2",), ("v2", "v1")}
    assert 1000 < targets.count(("v2", "v1")) < 1400
    assert ready.copied_to == {"v1", "v2"}


async def test_what_was_drawn_is_counted_under_its_cohort_and_nothing_else_is() -> None:
    force = Force("x-version", {"v2": "v2"})
    copies = Copies(10_000, {"v1": ("v2",), "v2": ("v1",)}, 1.0, 1, 1)
    ready = route(Plan("v1", "v2", 5000, force=force, fallback="v1", copies=copies, cohort=3))
    drawn = {ready.assign(request_head(), b"") for _ in range(100)}
    assert {(version.name, version.counter.cohort) for version in drawn} == {("v1", 3), ("v2", 3)}
    assert {target.shadow_counter.cohort for version in drawn for target in ready.copies_for(version)} == {3}
    forced = ready.assign(request_head(x_version=b"v2"), b"")
    assert (forced.counter.cohort, ready.copies_for(forced)[0].shadow_counter.cohort) == (0, 0)
    assert ready.fallback is not None
    assert ready.fallback.counter.cohort == 0


async def test_a_cause_is_the_same_for_one_client_and_one_kind_of_failure() -> None:
    by_user = route(Plan("v1", "v2", 5000, Key("header", "x-user"), count_causes=True))
    ann, bob = request_head(x_user=b"ann"), request_head(x_user=b"bob")
    assert by_user.cause(ann, b"1", 502) == by_user.cause(ann, b"2", 502)
    others = {
        by_user.cause(request, ip, code)
        for request, ip, code in (
            (ann, b"1", 502),
            (ann, b"1", 504),
            (bob, b"1", 502),
            (request_head(), b"1", 502),
        )
    }
    assert len(others) == 4
    anyone = route(Plan("v1", "v2", 5000, count_causes=True))
    assert anyone.cause(ann, b"1", 502) == anyone.cause(bob, b"1", 502) != anyone.cause(ann, b"2", 502)


def plan_for(name: str, path: str, **changes: object) -> DeploymentPlan:
    return msgspec.structs.replace(deployment(URLS, name=name, path=path), **changes)


async def test_what_did_not_change_is_carried_over() -> None:
    plane = DataPlane(plan_for("a", "/a"), plan_for("b", "/b"))
    before = plane.engine.routes
    plane.publish(plan_for("a", "/a"), plan_for("b", "/b", retries=3))
    after = plane.engine.routes
    assert after.by_name["a"] is before.by_name["a"]
    assert after.by_name["b"] is not before.by_name["b"]
    assert after._table is before._table
    assert after.by_name["b"]._default.counter is before.by_name["b"]._default.counter
    plane.publish(plan_for("a", "/other"))
    assert plane.engine.routes._table is not after._table
    assert plane.engine.routes.find(request_head(b"/a")) is None


async def test_an_older_snapshot_is_passed_over() -> None:
    plane = DataPlane(plan_for("a", "/a"))
    plane.engine.put_in_force(Snapshot(0, ()))
    assert plane.engine.routes.generation == 1


async def test_finding_ignores_port_case_and_query() -> None:
    routes = DataPlane(plan_for("a", "/a", match=Match(host="h.example", path="/a"))).engine.routes
    for host in (b"h.example", b"H.Example:8080"):
        found = routes.find(request_head(b"/a?x=/b", host))
        assert found is not None
        assert found.name == "a"
    assert routes.find(request_head(b"/a", b"other")) is None
    assert routes.find(request_head(b"/a", b"[::1]")) is None


async def test_what_is_remembered_of_paths_is_bounded() -> None:
    routes = DataPlane(plan_for("a", "/**")).engine.routes
    for number in range(FOUND_LIMIT + 10):
        assert routes.find(request_head(b"/%d" % number)) is not None
    assert len(routes._found) == 10
    assert routes.find(request_head(b"/" + b"a" * FOUND_LENGTH)) is not None
    assert len(routes._found) == 10


async def test_matches_on_fields_are_looked_up_each_time() -> None:
    by_tenant = Match(path="/**", headers=(("x-tenant", "acme"),))
    routes = DataPlane(plan_for("a", "/**"), plan_for("b", "/**", match=by_tenant)).engine.routes
    for _ in range(2):
        names = [routes.find(request_head(x_tenant=tenant)) for tenant in (b"acme", b"other")]
        assert [route.name for route in names if route is not None] == ["b", "a"]
