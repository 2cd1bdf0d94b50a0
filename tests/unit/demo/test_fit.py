from random import Random

import pytest

from router.demo.fit import SAMPLES, TRUTH, agreement, fit, observe, solve
from router.demo.model import LoanModel, load


def test_solve() -> None:
    assert solve([[0.0, 2.0], [3.0, 1.0]], [4.0, 5.0]) == pytest.approx([1.0, 2.0])


def test_the_shipped_coefficients_are_what_the_script_fits() -> None:
    people, paid = observe(TRUTH["v1"], SAMPLES, Random(1))
    fitted, shipped = fit("v1", people, paid), load("v1")
    assert fitted.bias == pytest.approx(shipped.bias, abs=1e-4)
    assert fitted.weights == pytest.approx(shipped.weights, abs=1e-4)


def test_the_fit_finds_how_people_behave() -> None:
    for version, truth in TRUTH.items():
        assert load(version).weights == pytest.approx(truth.weights, abs=0.35, rel=0.3)


def test_agreement_counts_equal_decisions() -> None:
    yes, no = LoanModel("yes", 9.0, (0.0,) * 6), LoanModel("no", -9.0, (0.0,) * 6)
    assert agreement(yes, yes, 50, Random(1)) == 1.0
    assert agreement(yes, no, 50, Random(1)) == 0.0
