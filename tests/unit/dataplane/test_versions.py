"""A version made ready: its counters by segment, its limits, and which of its endpoints is chosen."""

import msgspec

from router.dataplane.versions import choose
from router.patterns.plan import (
    DeploymentPlan,
    Match,
    Plan,
    Segment,
    VersionSpec,
)
from tests.support.heads import request_head
from tests.support.wires import DataPlane
from tests.support.workers import deployment

URLS: dict[str, str | tuple[str, ...]] = {"v1": "http://192.0.2.1:1", "v2": "http://192.0.2.2:2"}


async def test_segments_are_counted_by_value_within_a_bound() -> None:
    plan = msgspec.structs.replace(
        deployment(URLS, Plan("v1", cohort=1)), segment=Segment("region", "x-region", 2)
    )
    version = DataPlane(plan).engine.routes.by_name["d"]._default
    assert version.segments is not None
    values = (b"eu", b"us", b"eu", b"asia", b"", b"x" * 100_000)
    slices = [version.segments.counter(request_head(x_region=value)).slice for value in values]
    assert slices == ["region=eu", "region=us", "region=eu", "region=other", "region=none", "region=other"]


async def test_a_choice_prefers_what_is_up_not_ejected_and_less_busy() -> None:
    plane = DataPlane()
    one, two, three = (plane.endpoint(f"http://192.0.2.{n}") for n in (1, 2, 3))
    assert choose([], 0.0) is None
    one._busy = 5
    assert {choose([one, two], 0.0) for _ in range(50)} == {two}
    two.ejection.until = 10.0
    assert choose([one, two], 5.0) is one
    assert choose([one, two], 10.0) is two
    one.down = True
    assert choose([one, two], 5.0) is two, "the last one is never taken away by ejection"
    two.down = True
    assert choose([one, two], 5.0) is None
    assert choose([one], 5.0) is None
    assert {choose([one, two, three], 5.0) for _ in range(10)} == {three}


async def test_a_limit_of_connections_is_shared_by_the_endpoints_of_a_version() -> None:
    spec = VersionSpec("v1", ("http://192.0.2.1:1", "http://192.0.2.2:2", "http://192.0.2.3:3"), 7, 0)
    plan = DeploymentPlan("d", Match(path="/**"), (spec,), Plan("v1"))
    version = DataPlane(plan).engine.routes.by_name["d"]._default
    assert [endpoint.connection_limit for endpoint in version.endpoints] == [3, 3, 3]
    assert [endpoint.connection_limit for endpoint in version.copy_endpoints] == [0, 0, 0]


async def test_an_endpoint_that_was_tried_is_drawn_again_only_where_there_is_no_other() -> None:
    plane = DataPlane()
    one, two, three = (plane.endpoint(f"http://192.0.2.{n}") for n in (1, 2, 3))
    assert {choose([one, two], 0.0, one) for _ in range(50)} == {two}
    assert {choose([one, two, three], 0.0, one) for _ in range(50)} == {two, three}
    two.down = True
    assert choose([one, two], 0.0, one) is one
