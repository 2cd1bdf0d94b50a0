import time
from datetime import datetime

import pytest

from router.cli.wording import PHASE_STYLES, milliseconds, moment, number, percent, plain
from router.rollout.phase import Phase
from router.spec import parse_share


@pytest.mark.parametrize("fraction", [0.0, 0.0001, 0.05, 0.333, 0.9999, 1.0])
def test_a_share_is_written_as_it_is_typed(fraction: float) -> None:
    assert parse_share(percent(fraction)) == pytest.approx(fraction)


def test_what_was_not_measured_is_a_dash() -> None:
    assert percent(None) == milliseconds(None) == "-"
    assert milliseconds(0.00312) == "3.1"


def test_one_is_no_plural() -> None:
    assert [number(count, "worker") for count in (0, 1, 2)] == ["0 workers", "1 worker", "2 workers"]


def test_the_date_is_left_out_today_only() -> None:
    noon = datetime(2026, 3, 1, 12, 0, 0).timestamp()
    assert moment(noon, noon + 60) == "12:00:00"
    assert moment(noon, noon + 86_400) == "2026-03-01 12:00:00"
    assert moment(time.time(), time.time() + 3 * 86_400).startswith("20")


def test_words_of_others_stay_in_one_line_and_steer_no_terminal() -> None:
    assert plain(" wrong\n on \x1b[31msmall\x07 loans\t") == "wrong on [31msmall loans"


def test_every_phase_has_its_style() -> None:
    assert PHASE_STYLES.keys() == {phase.value for phase in Phase}
