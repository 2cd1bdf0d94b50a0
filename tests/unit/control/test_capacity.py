"""When a rollback warns, and that it does so whoever rolls back."""

import asyncio
from typing import Any

import pytest

from router.config.schema import VersionModel
from router.control.bulletin import Bulletin
from router.control.capacity import CapacityWatch, shortfalls

A, B, C = (f"http://{host}:1" for host in "abc")


def version(*urls: str, **limits: int) -> VersionModel:
    return VersionModel.model_validate({"urls": urls, "limits": limits})


@pytest.mark.parametrize(
    ("spec", "unhealthy", "in_flight", "says"),
    [
        (version(A, B), (), 10_000, []),
        (version(A, B), (C,), 5, []),
        (version(A), (A,), 0, ["no endpoint of v1 is healthy"]),
        (version(A, B), (A, B), 0, ["no endpoint of v1 is healthy"]),
        (version(A, B, C), (B,), 0, ["1 of 3 endpoints of v1"]),
        (version(A, in_flight=10), (), 10, []),
        (version(A, in_flight=10), (), 11, ["11 requests are in flight, and v1 takes 10 at once"]),
        (version(A, in_flight=10), (A,), 11, ["no endpoint", "11 requests"]),
        (version(A, connections=10), (), 11, []),
    ],
)
def test_what_is_lacking(spec: VersionModel, unhealthy: Any, in_flight: int, says: list[str]) -> None:
    found = shortfalls("v1", spec, unhealthy, in_flight)
    assert len(found) == len(says)
    assert all(sentence.startswith(start) for sentence, start in zip(found, says, strict=True))


async def test_a_rollback_that_leads_to_too_little_is_said_to_all_after_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bulletin = Bulletin()
    watch = CapacityWatch(bulletin, lambda name: ("no endpoint of v1 is healthy",) if name == "loan" else ())
    with bulletin.listen() as listening:
        for event, name in (("pause", "loan"), ("rollback", "fraud"), ("rollback", "loan")):
            bulletin.announce({"event": event, "deployment": name})
        async with asyncio.timeout(5):
            told = [await listening.next() for _ in range(4)]
    assert [news["event"] for news in told] == ["pause", "rollback", "rollback", "warning"]
    assert told[-1] == {"event": "warning", "deployment": "loan", "why": "no endpoint of v1 is healthy"}
    assert "loan: rolled back, but no endpoint of v1 is healthy" in caplog.text
    bulletin.detach(watch)
