"""Counts kept from one controller to the next: each in exactly one place, whenever a controller dies."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channel import Histogram, SeriesTally, Tally, keep
from router.control.counts import KeptCounts
from router.control.runtime import RuntimeDirectory
from router.telemetry.ledger import Ledger

KEY = ("d", "v1", "live")
RETRIES = ("router_retries_total", "d", "v1")


def tally(requests: int, in_flight: int = 0) -> Tally:
    row = SeriesTally(
        *KEY, {200: requests}, Histogram({5: requests}, 0.5), Histogram({3: requests}, 0.1), in_flight
    )
    return Tally((row,), ((RETRIES, 1),))


class Controller:
    """What one controller of a runtime directory counts; the next one is made when it is dead."""

    def __init__(self, runtime: RuntimeDirectory, *living: str) -> None:
        self.runtime = runtime
        self.ledger = Ledger()
        self.counts = KeptCounts(runtime, self.ledger)
        self.counts.resume(living)

    @property
    def requests(self) -> int:
        totals = self.ledger.series().get(KEY)
        return 0 if totals is None else totals.codes[200]


@contextmanager
def runtime_directory() -> Iterator[RuntimeDirectory]:
    with tempfile.TemporaryDirectory() as path:
        yield RuntimeDirectory(Path(path) / "db")


def leave(runtime: RuntimeDirectory, name: str, requests: int) -> None:
    """What a worker does before it ends."""
    keep(runtime.last_counts_of(name), tally(requests, in_flight=2))


def names(runtime: RuntimeDirectory) -> set[str]:
    return {path.name for path in runtime.path.iterdir()}


async def test_what_ended_workers_had_counted_is_known_to_the_next_controller() -> None:
    with runtime_directory() as runtime:
        first = Controller(runtime)
        first.ledger.tally("worker-0-aa", tally(7))
        first.counts.gone("worker-0-aa")
        await first.counts.keep()
        second = Controller(runtime, "worker-0-bb")
        assert second.requests == 7
        assert second.ledger.events() == {RETRIES: 1}
        second.ledger.tally("worker-0-bb", tally(2))
        second.counts.gone("worker-0-bb")
        await second.counts.keep()
        assert Controller(runtime, "worker-0-cc").requests == 9
        assert names(runtime) == {"counts"}


async def test_a_worker_that_left_while_nobody_listened_counts() -> None:
    with runtime_directory() as runtime:
        leave(runtime, "worker-0-aa", 5)
        second = Controller(runtime, "worker-1-bb")
        assert second.requests == 5
        assert second.ledger.series()[KEY].in_flight == 0, "what it had in flight ended with it"
        assert Controller(runtime, "worker-1-bb").requests == 5, "the second one died at once"


async def test_what_a_worker_could_not_tell_is_in_its_file() -> None:
    with runtime_directory() as runtime:
        controller = Controller(runtime)
        controller.ledger.tally("worker-0-aa", tally(5))
        leave(runtime, "worker-0-aa", 8)
        controller.counts.gone("worker-0-aa")
        assert controller.requests == 8
        await controller.counts.keep()
        assert names(runtime) == {"counts"}


async def test_a_worker_that_was_adopted_while_it_left_counts_once() -> None:
    with runtime_directory() as runtime:
        leave(runtime, "worker-0-aa", 8)
        second = Controller(runtime, "worker-0-aa")
        assert second.requests == 0, "it tells the rest itself, or its file does when it has ended"
        second.counts.gone("worker-0-aa")
        assert second.requests == 8


async def test_counted_in_but_not_removed_is_not_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller dies between the two."""
    with runtime_directory() as runtime:
        first = Controller(runtime)
        leave(runtime, "worker-0-aa", 8)
        first.counts.gone("worker-0-aa")
        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", lambda *_, **__: None)
            await first.counts.keep()
        assert names(runtime) == {"counts", "worker-0-aa.counts"}
        assert Controller(runtime, "worker-1-bb").requests == 8
        assert names(runtime) == {"counts"}


async def test_a_start_that_finds_no_worker_begins_at_0() -> None:
    with runtime_directory() as runtime:
        first = Controller(runtime)
        first.ledger.tally("worker-0-aa", tally(7))
        first.counts.gone("worker-0-aa")
        await first.counts.keep()
        leave(runtime, "worker-0-bb", 5)
        assert Controller(runtime).requests == 0
        assert names(runtime) == set()


@pytest.mark.parametrize("content", [b"", b"\0\0\0\3abc", b"\xff" * 9])
async def test_what_can_not_be_read_is_said_and_the_rest_counts(
    content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with runtime_directory() as runtime:
        runtime.counts.write_bytes(content)
        runtime.last_counts_of("worker-0-aa").write_bytes(content)
        leave(runtime, "worker-0-bb", 5)
        assert Controller(runtime, "worker-1-cc").requests == 5
        assert caplog.text.count("can't be read") == 2


async def test_a_disk_that_takes_nothing_is_said_and_tried_again_with_the_next_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with runtime_directory() as runtime:
        controller = Controller(runtime)
        leave(runtime, "worker-0-aa", 5)
        runtime.counts.mkdir()
        controller.counts.gone("worker-0-aa")
        await controller.counts.keep()
        assert "can't be kept" in caplog.text
        assert names(runtime) == {"counts", "worker-0-aa.counts"}
        runtime.counts.rmdir()
        controller.counts.gone("worker-0-bb")
        await controller.counts.keep()
        assert names(runtime) == {"counts"}
        assert Controller(runtime, "worker-1-cc").requests == 5


STEPS = st.lists(st.sampled_from(["told", "leaves", "noticed", "kept", "controller dies"]), max_size=30)


@given(STEPS)
async def test_whatever_dies_when_no_count_of_a_worker_that_left_is_lost_or_doubled(steps: list[str]) -> None:
    """Workers come and go under controllers that come and go; one, that counts nothing, lives throughout."""
    with runtime_directory() as runtime:
        controller, living = Controller(runtime), {"worker-0-0": 0}
        ended: list[str] = []
        counted = 0
        for number, step in enumerate(steps, 1):
            newest = next(reversed(living))
            match step:
                case "told":
                    living[newest] += number
                    counted += number
                    controller.ledger.tally(newest, tally(living[newest]))
                case "leaves":
                    living[newest] += number
                    counted += number
                    leave(runtime, newest, living.pop(newest))
                    ended.append(newest)
                    living[f"worker-0-{number}"] = 0
                case "noticed" if ended:
                    controller.counts.gone(ended.pop())
                case "kept":
                    await controller.counts.keep()
                case "controller dies":
                    controller, ended = Controller(runtime, "worker-1-x", *living), []
                    for name, requests in living.items():
                        controller.ledger.tally(name, tally(requests))
        for name in ended:
            controller.counts.gone(name)
        assert controller.requests == counted
