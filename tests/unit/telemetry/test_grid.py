from router.telemetry.grid import GRID


def test_ratios_grow_and_none_is_a_bet_on_nothing() -> None:
    assert list(GRID) == sorted(set(GRID))
    assert len(GRID) == 8
    assert GRID[0] > 1.0
