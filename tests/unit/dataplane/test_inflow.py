"""How much of a body, and how fast."""

from router.dataplane.faults import Fault
from router.dataplane.inflow import Inflow
from router.patterns.limits import ClientLimits


def test_a_body_has_a_size() -> None:
    inflow = Inflow(ClientLimits(), 0.0)
    assert inflow.add(1 << 40, 0.0) is None, "no limit is known yet"
    inflow.limit = (1 << 40) + 5
    assert inflow.add(5, 0.0) is None
    assert inflow.add(1, 0.0) is Fault.BODY_TOO_LARGE


def test_a_body_has_a_least_rate_from_the_first_piece_on() -> None:
    inflow = Inflow(ClientLimits(body_rate=10, body_grace=5.0), 100.0)
    assert [inflow.add(1, 100.0 + second) for second in range(5)] == [None] * 5
    assert inflow.add(1, 105.0) is Fault.BODY_STALLED


def test_the_rate_is_an_average_and_each_time_a_new_one() -> None:
    inflow = Inflow(ClientLimits(body_rate=10, body_grace=5.0), 0.0)
    assert inflow.add(1000, 1.0) is None
    assert inflow.add(1, 6.0) is None
    assert inflow.add(1, 7.0) is None
    assert inflow.add(1, 11.0) is Fault.BODY_STALLED


def test_what_is_not_the_clients_fault_is_not_counted() -> None:
    inflow = Inflow(ClientLimits(body_rate=10, body_grace=5.0), 0.0)
    inflow.pardon(60.0)
    assert inflow.add(1, 61.0) is None
    assert inflow.add(1, 65.0) is Fault.BODY_STALLED


def test_no_rate_is_no_limit() -> None:
    inflow = Inflow(ClientLimits(body_rate=0), 0.0)
    assert inflow.add(1, 1e6) is None
