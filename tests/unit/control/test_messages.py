"""What a notice says about a piece of news."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config.notify import PLACEHOLDERS
from router.control.messages import LONGEST, values_of

ROLLBACK = {
    "event": "rollback",
    "deployment": "loan",
    "who": "anna",
    "why": "wrong on small loans",
    "phase": "rolled_back",
    "phase_before": "progressing",
    "share": 0.125,
    "generation": 7,
    "when": 1_700_000_000.0,
}


def test_every_placeholder_has_its_piece() -> None:
    assert values_of(ROLLBACK, 0.0) == {
        "deployment": "loan",
        "event": "rollback",
        "phase": "rolled_back",
        "phase_before": "progressing",
        "share": "12.5%",
        "who": "anna",
        "why": "wrong on small loans",
        "time": "2023-11-14T22:13:20+00:00",
        "generation": "7",
        "summary": "loan: rollback by anna: wrong on small loans (now rolled_back, candidate at 12.5%)",
    }


@pytest.mark.parametrize(
    ("news", "summary"),
    [
        (ROLLBACK | {"why": ""}, "loan: rollback by anna (now rolled_back, candidate at 12.5%)"),
        ({"event": "config", "digest": "d1", "generation": 3}, "config d1"),
        ({"event": "hold", "deployment": "loan", "why": "no traffic"}, "loan: hold: no traffic"),
        (
            {"event": "config_error", "error": "a.yaml:3: wrong"},
            "the configuration on disk is refused, the one before it stays in force: a.yaml:3: wrong",
        ),
    ],
)
def test_the_summary_says_it_all(news: dict[str, Any], summary: str) -> None:
    assert values_of(news, 0.0)["summary"] == summary


def test_a_long_reason_is_cut_and_nothing_steers_a_terminal() -> None:
    why = values_of(ROLLBACK | {"why": "\x1b[31m" + "x" * 5000}, 0.0)["why"]
    assert len(why) == LONGEST
    assert why.startswith("[31mx")
    assert why.endswith("…")


@given(st.text(), st.text())
def test_whatever_people_wrote_every_piece_is_text(who: str, why: str) -> None:
    values = values_of(ROLLBACK | {"who": who, "why": why}, 0.0)
    assert set(values) == set(PLACEHOLDERS)
    assert all(isinstance(text, str) for text in values.values())
