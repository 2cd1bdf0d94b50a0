"""Items reach the other thread, or are counted; the caller never waits."""

import logging
import threading
import time
from collections import Counter
from typing import Any

import pytest

from router.telemetry.handoff import Handoff


class Receiver:
    """Collects batches; `block` makes it hang, `error` fail."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.lost: Counter[str] = Counter()
        self.go = threading.Event()
        self.go.set()
        self.error: Exception | None = None

    def deliver(self, batch: list[int]) -> None:
        self.go.wait(10)
        if self.error is not None:
            raise self.error
        self.batches.append(batch)

    def drop(self, reason: str, count: int) -> None:
        self.lost[reason] += count

    def handoff(self, **bounds: Any) -> Handoff[int]:
        return Handoff("test", self.deliver, self.drop, **{"limit": 100, "batch": 10, **bounds})


def wait_for(condition: Any) -> None:
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_everything_arrives_in_order_and_in_batches() -> None:
    receiver = Receiver()
    handoff = receiver.handoff()
    for item in range(25):
        handoff.add(item)
    handoff.close()
    handoff.join(15)
    assert [item for batch in receiver.batches for item in batch] == list(range(25))
    assert max(map(len, receiver.batches)) == 10
    assert receiver.lost == {}


def test_who_hands_over_does_not_wait_for_one_who_hangs() -> None:
    receiver = Receiver()
    receiver.go.clear()
    handoff = receiver.handoff(limit=5)
    began = time.monotonic()
    for item in range(1000):
        handoff.add(item)
    assert time.monotonic() - began < 5, "nobody takes anything for ten"
    receiver.go.set()
    handoff.close()
    handoff.join(15)
    arrived = sum(map(len, receiver.batches))
    assert 5 <= arrived < 1000
    assert receiver.lost == {"queue_full": 1000 - arrived}


def test_what_fails_is_counted_and_said_once_until_it_works_again(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    receiver.error = OSError("no room")
    handoff = receiver.handoff(batch=1)
    with caplog.at_level(logging.WARNING):
        for item in range(3):
            handoff.add(item)
        wait_for(lambda: receiver.lost["failed"] == 3)
        assert [record.exc_info for record in caplog.records] == [None]
        assert "no room" in caplog.text
        receiver.error = None
        handoff.add(4)
        wait_for(lambda: receiver.batches == [[4]])
        receiver.error = ValueError("a bug")
        handoff.add(5)
        wait_for(lambda: receiver.lost["failed"] == 4)
    assert len(caplog.records) == 2
    assert caplog.records[1].exc_info is not None, "a bug of ours is told with its place"
    handoff.close()


def test_nothing_is_taken_after_the_end() -> None:
    receiver = Receiver()
    handoff = receiver.handoff()
    handoff.close()
    handoff.add(1)
    handoff.join(15)
    assert (receiver.batches, receiver.lost) == ([], {"closed": 1})
