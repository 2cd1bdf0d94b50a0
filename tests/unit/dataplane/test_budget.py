"""Retries are a part of the requests, however hard the times."""

from hypothesis import given
from hypothesis import strategies as st

from router.dataplane.budget import FLOOR, WINDOW, RetryBudget


def budget(parts: int, now: float = 0.0) -> tuple[RetryBudget, list[int]]:
    """A budget, and the number of requests it sees."""
    requests = [0]
    result = RetryBudget(lambda: requests[0], now)
    result.parts = parts
    return result, requests


def test_a_few_are_always_allowed_and_come_back_with_time() -> None:
    spent, _ = budget(0)
    assert [spent.take(100.0) for _ in range(FLOOR + 2)] == [True] * FLOOR + [False] * 2
    assert not spent.take(100.0 + WINDOW - 0.1)
    assert spent.take(100.0 + WINDOW)


def test_requests_of_this_window_earn_retries() -> None:
    spent, requests = budget(2000)
    requests[0] = 100
    assert sum(spent.take(5.0) for _ in range(100)) == FLOOR + 20
    requests[0] = 150
    assert sum(spent.take(6.0) for _ in range(100)) == 10


def test_those_of_the_window_before_count_as_well() -> None:
    spent, requests = budget(2000)
    requests[0] = 1000
    assert sum(spent.take(WINDOW) for _ in range(500)) == FLOOR + 200
    assert sum(spent.take(WINDOW + 1) for _ in range(500)) == 0


def test_after_a_long_time_without_trouble_it_is_the_average() -> None:
    spent, requests = budget(2000)
    requests[0] = 1000
    assert sum(spent.take(10 * WINDOW) for _ in range(500)) == FLOOR + 20


@given(st.integers(0, 10_000), st.floats(0.01, 2.0))
def test_a_steady_storm_stays_within_the_share(parts: int, pause: float) -> None:
    """Every window has at least WINDOW seconds, and no more retries than the floor and the share of the requests that
    come in one: the last may be a short one, and fractions of a retry are made whole once a window."""
    spent, requests = budget(parts)
    allowed, rounds = 0, 2000
    for number in range(rounds):
        requests[0] += 1
        allowed += spent.take(number * pause)
    windows = int(rounds * pause / WINDOW) + 1
    in_window = WINDOW / pause + 1
    assert allowed <= min(rounds, windows * (FLOOR + 1 + in_window * parts / 10_000))
