"""Passive ejection: after how many failures, for how long, and how it ends."""

from router.dataplane.health import BASE, FAILURES, LIMIT, Ejection


def fail(ejection: Ejection, times: int, now: float) -> None:
    for _ in range(times):
        ejection.failure(now)


def test_failures_in_a_row_eject() -> None:
    ejection = Ejection()
    fail(ejection, FAILURES - 1, 100.0)
    assert ejection.until == 0.0
    ejection.success()
    fail(ejection, FAILURES - 1, 100.0)
    assert ejection.until == 0.0
    ejection.failure(100.0)
    assert ejection.until == 100.0 + BASE


def test_each_time_it_lasts_longer_up_to_a_limit() -> None:
    ejection = Ejection()
    lengths = []
    for _ in range(10):
        fail(ejection, FAILURES, 100.0)
        lengths.append(ejection.until - 100.0)
    assert lengths[:3] == [BASE, 2 * BASE, 3 * BASE]
    assert lengths[-1] == LIMIT


def test_a_success_forgets_the_past() -> None:
    ejection = Ejection()
    fail(ejection, 3 * FAILURES, 100.0)
    assert ejection.troubled
    ejection.success()
    assert not ejection.troubled
    fail(ejection, FAILURES, 500.0)
    assert ejection.until == 500.0 + BASE
