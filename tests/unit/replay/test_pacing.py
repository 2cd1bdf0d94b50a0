from hypothesis import given
from hypothesis import strategies as st

from router.replay.pacing import SLACK, Pacer


def departures(rate: float, waits: list[float]) -> list[float]:
    """When requests leave, if each asks for its turn so long after the one before has left."""
    pacer, now, left = Pacer(rate), 100.0, []
    for wait in waits:
        now += wait
        now += pacer.delay(now)
        left.append(now)
    return left


def test_requests_in_a_hurry_leave_at_the_rate() -> None:
    left = departures(50, [0.0] * 101)
    assert abs(left[-1] - left[0] - (2.0 - SLACK)) < 1e-6


def test_small_delays_are_made_up_for() -> None:
    """A sleep that ends a millisecond late every time does not lower the rate."""
    left = departures(200, [0.001] * 401)
    assert abs(left[-1] - left[0] - 2.0) < 0.03


def test_a_long_pause_is_not_made_up_for() -> None:
    left = departures(100, [0.0] * 10 + [60.0] + [0.0] * 10)
    assert left[20] - left[10] > 10 / 100 - SLACK - 1e-6


def test_without_a_rate_nothing_waits() -> None:
    pacer = Pacer(None)
    assert {pacer.delay(now) for now in (0.0, 0.0, 5.0)} == {0.0}


@given(st.floats(0.1, 10_000), st.lists(st.floats(0, 2), min_size=2, max_size=60))
def test_the_rate_is_never_passed_in_any_stretch_of_time(rate: float, waits: list[float]) -> None:
    left = departures(rate, waits)
    for first in range(len(left)):
        for last in range(first, len(left)):
            assert last - first + 1 <= rate * (left[last] - left[first] + SLACK) * (1 + 1e-9) + 1 + 1e-3
