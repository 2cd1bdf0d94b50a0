from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.demo.fit import agreement
from router.demo.model import LoanModel, known_agreement, load, read_coefficients
from router.demo.population import FEATURES


def test_the_probability_is_the_logistic_of_the_weighted_sum() -> None:
    model = LoanModel("x", 1.0, (2.0, -1.0))
    assert model.probability((0.0, 1.0)) == 0.5
    assert model.probability((1.0, 1.0)) == pytest.approx(0.880797, abs=1e-6)
    assert model.probability((-1.0, 1.0)) == pytest.approx(0.119203, abs=1e-6)
    assert model.approves((0.0, 1.0))
    assert not model.approves((-1.0, 1.0))


@given(st.floats(-1e300, 1e300))
def test_no_input_overflows(value: float) -> None:
    assert 0.0 <= LoanModel("x", 0.0, (1.0,)).probability((value,)) <= 1.0


def test_a_row_of_the_wrong_width_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        LoanModel("x", 0.0, (1.0, 2.0)).probability((1.0,))


def test_the_file_holds_both_versions() -> None:
    assert read_coefficients()["features"] == list(FEATURES)
    assert load("v1") != load("v2")
    with pytest.raises(KeyError):
        load("v3")


def test_more_debt_speaks_against_a_loan_and_less_so_in_v2() -> None:
    debt = FEATURES.index("debt_ratio")
    assert load("v1").weights[debt] < load("v2").weights[debt] < 0


def test_the_known_agreement_holds_for_other_people_too() -> None:
    """5,000 others: four standard errors are 1.4 points."""
    measured = agreement(load("v1"), load("v2"), 5_000, Random(99))
    assert measured == pytest.approx(known_agreement(), abs=0.014)
