from random import Random

from router.demo.population import FEATURES, applicant


def test_people_have_every_feature_in_its_range() -> None:
    random = Random(5)
    for _ in range(2_000):
        income, debt_ratio, history, amount, late_payments, employed = applicant(random)
        assert 12 <= income <= 250
        assert 0 <= debt_ratio <= 1
        assert 0 <= history <= 40
        assert amount >= 1
        assert late_payments in range(13)
        assert 0 <= employed <= 40


def test_the_same_seed_draws_the_same_people() -> None:
    assert [applicant(Random(1)) for _ in range(3)] == [applicant(Random(1))] * 3
    assert applicant(Random(1)) != applicant(Random(2))
    assert len(applicant(Random(1))) == len(FEATURES)
