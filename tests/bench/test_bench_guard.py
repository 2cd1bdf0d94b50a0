"""What a request takes in bytecodes and C calls has not grown, and the count is one to rely on."""

import asyncio
from pathlib import Path

import pytest

from bench import guard


@pytest.fixture(scope="module")
def found() -> guard.Ratios:
    return guard.measured()


def test_a_request_takes_no_more_than_was_stored(found: guard.Ratios) -> None:
    assert guard.complaints(found, guard.limits()) == []


def test_the_counts_are_the_same_every_time(found: guard.Ratios) -> None:
    again = guard.measured()
    for case, counts in found.items():
        assert again[case] == pytest.approx(counts, rel=0.005)


def test_a_few_more_steps_a_request_are_seen() -> None:
    async def count() -> tuple[guard.Counts, guard.Counts]:
        exchange = guard.bare_exchange()
        work: list[int] = []

        def longer(request: bytes) -> None:
            exchange(request)
            work.append(len(sorted(request)))

        return guard.counted(exchange), guard.counted(longer)

    plain, longer = asyncio.run(count())
    assert longer["bytecodes"] > plain["bytecodes"] + 5
    assert longer["C calls"] >= plain["C calls"] + 3


def test_a_complaint_says_what_grew_and_by_how_much() -> None:
    (complaint,) = guard.complaints(
        {"canary": {"bytecodes": 6.6, "C calls": 2.0}}, {"canary": {"bytecodes": 6.0, "C calls": 2.0}}
    )
    assert complaint.startswith(
        "canary: bytecodes of a request are 6.60 times those of the bare proxy, 6.00 are allowed"
    )


def test_a_copy_costs_more_than_none(found: guard.Ratios) -> None:
    assert found["mirrored"]["bytecodes"] > 1.5 * found["canary"]["bytecodes"] > 1.5


def test_what_is_stored_is_allowed_with_a_margin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(guard, "STORE", tmp_path / "guard.json")
    guard.store({"canary": {"bytecodes": 6.0}})
    assert guard.limits() == {"canary": {"bytecodes": pytest.approx(6.3)}}
    monkeypatch.setattr(guard, "_PYTHON", "3.99")
    assert guard.limits() == {"canary": {"bytecodes": pytest.approx(7.5)}}


def test_what_became_cheaper_is_no_complaint() -> None:
    assert guard.complaints({"canary": {"bytecodes": 3.0}}, {"canary": {"bytecodes": 6.0}}) == []
